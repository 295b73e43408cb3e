//! An ensemble of three servers, some of which die.

use std::time::Duration;

use anyhow::Result;
use divvy_tests::group::Owners;
use divvy_tests::{Cluster, Group, scale, turn};

const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
/// The leader is killed, then the server to which a member is connected: they come back by other servers, and own what they did.
#[test]
fn servers_die_and_no_owner_changes() -> Result<()> {
    let _turn = turn();
    let cluster = Cluster::builder().zookeepers(3).start()?;
    let mut group = Group::new(&cluster, &[8])?.session_timeout(SESSION_TIMEOUT);
    let producers = group.produce(1000)?;
    for _ in 0..3 {
        group.join()?;
    }
    group.wait_for_lines(1000)?;
    let owners = group.owners()?;

    for round in 0..scale(1, 5) {
        cluster.zookeeper_leader()?.restart()?;
        still_own(&mut group, &owners)?;
        let member = &group.members[round % group.members.len()].id;
        let registration = format!("/consumers/{}/ids/{member}", group.name);
        cluster.zookeepers()[cluster.server_of(&registration)?].restart()?;
        still_own(&mut group, &owners)?;
    }
    group.nothing_is_lost(producers)?;
    group.printed_once_and_in_order()
}

fn still_own(group: &mut Group<'_>, owners: &Owners) -> Result<()> {
    group.wait_for_lines(1000)?;
    group.nothing_moved_since(owners)
}
