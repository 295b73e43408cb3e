//! A server that loses its leader, and does not tell its clients.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use divvy_tests::group::{PATIENCE, show};
use divvy_tests::{Cluster, Group, Node, ZooKeeperView, scale, turn, wait_for};

const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
/// For how long a server is cut off from its leader.
const CUT_OFF: Duration = Duration::from_secs(15);

/// How a server loses its leader.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Neither hears the other.
    Both,
    /// The leader does not hear the follower.
    Mute,
    /// The follower does not hear the leader.
    Deaf,
}

/// A member's server goes on answering the member's pings when it has lost its leader, and the leader ends the member's session.
/// While that lives no owner changes; after that the others take over; and the member has stopped by then.
#[test]
fn the_member_of_a_server_without_a_leader_stops() -> Result<()> {
    let _turn = turn();
    let cluster = Cluster::builder().zookeepers(3).linked().start()?;
    let mut group = Group::new(&cluster, &[9])?
        .session_timeout(SESSION_TIMEOUT)
        .behind_proxies();
    // The others would be asked of the server that is cut off.
    let leader = cluster.zookeeper_leader()?.address();
    group.view = ZooKeeperView::new(leader.to_string())?;
    let producers = group.produce(1000)?;
    for _ in 0..3 {
        group.join()?;
    }
    for fault in scale(
        vec![Fault::Both],
        vec![Fault::Both, Fault::Mute, Fault::Deaf],
    ) {
        group.wait_for_lines(1000)?;
        cut_off(&cluster, &mut group, fault).with_context(|| format!("{fault:?}"))?;
    }
    group.nothing_is_lost(producers)?;
    group.printed_by_one_at_a_time()
}

fn cut_off(cluster: &Cluster, group: &mut Group<'_>, fault: Fault) -> Result<()> {
    let leader = cluster.zookeeper_leader()?.address();
    let place = |server: &Node| server.address() == leader;
    let leader = cluster.zookeepers().iter().position(place);
    let leader = leader.context("the leader is none of the servers")?;
    // A broker that loses its session, too, is another test's matter.
    let of_broker = cluster.server_of("/brokers/ids/0")?;
    let follower = (0..3).find(|server| *server != leader && *server != of_broker);
    let follower = follower.context("there is no third server")?;

    let before = group.owners()?;
    let cut = Instant::now();
    match fault {
        Fault::Both => cluster.separate(leader, follower)?,
        Fault::Mute => cluster.silence(follower, leader)?,
        Fault::Deaf => cluster.silence(leader, follower)?,
    }
    // Member n is connected to server n.
    let id = group.members[follower].id.clone();
    wait_for(PATIENCE, "the end of the member's session", || {
        let unmoved = group.nothing_moved_since(&before);
        let lives = group
            .view
            .ids(&group.name)
            .is_ok_and(|ids| ids.contains_key(&id));
        unmoved.is_err() || !lives
    })?;
    let lived = cut.elapsed();
    ensure!(
        lived > SESSION_TIMEOUT - Duration::from_secs(1),
        "after {lived:?} owners are\n{}",
        show(&group.owners()?)
    );
    group.members[follower].lives = false;
    let alone = group.settle_from(&before, Duration::from_secs(1))?;
    group.wait_for_lines(1000)?;
    wait_for(CUT_OFF, "the end of the fault", || cut.elapsed() >= CUT_OFF)?;
    cluster.join(leader, follower)?;
    group.members[follower].lives = true;
    group.settle_from(&alone, PATIENCE)?;
    Ok(())
}
