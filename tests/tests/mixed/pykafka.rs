//! A PyKafka member comes into a group of divvy's, which it cannot share.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use divvy_tests::group::show;
use divvy_tests::{Cluster, Divvy, Group, KafkaVersion, on_every_version, wait_for};

on_every_version!(
    a_pykafka_member_is_named_and_survived,
    a_pykafka_member_is_refused_by_name,
);

/// How soon each member must say who is in the way.
const SAID_WITHIN: Duration = Duration::from_secs(1);
/// How soon they must own everything again when it is gone.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// A real PyKafka consumer registers as Kafka's own members cannot read: ours name its node, and give up what they have. When it
/// has left, they own everything again, and nothing is lost.
fn a_pykafka_member_is_named_and_survived(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, &[8])?.session_timeout(Duration::from_secs(3));
    let ours = [group.join()?, group.join()?];
    let producers = group.produce(500)?;
    group.wait_for_lines(500)?;

    let stranger = group.enter_pykafka()?;
    let entered = Instant::now();
    for member in ours {
        let id = &group.members[stranger].id;
        let blocked = group
            .divvy(member)
            .wait_for_event(SAID_WITHIN, "blocked", |event| {
                event["node"]
                    .as_str()
                    .is_some_and(|node| node.ends_with(id))
            })?;
        ensure!(
            blocked.at <= entered + SAID_WITHIN,
            "said after {:?}",
            blocked.at - entered
        );
    }
    wait_for(BACK_WITHIN, "everything to be given up", || {
        group.owners().is_ok_and(|owners| owners.is_empty())
    })?;

    let from = group.members[stranger].program.stdout().len();
    wait_for(Duration::from_secs(30), "lines of PyKafka's", || {
        group.members[stranger].program.stdout().len() > from + 100
    })
    .with_context(|| group.members[stranger].program.stderr().tail(20))?;
    group.members[stranger].program.term()?;
    let gone = wait_for(Duration::from_secs(30), "PyKafka's member to leave", || {
        let ids = group.view.ids(&group.name);
        ids.is_ok_and(|ids| ids.len() == ours.len())
    });
    gone?;
    group.members[stranger].lives = false;
    let owners = group.settle_from(&[].into(), BACK_WITHIN)?;
    ensure!(owners.len() == 8, "{}", show(&owners));
    group.nothing_is_lost(producers)?;
    ours.into_iter().try_for_each(|member| group.leave(member))
}

/// Members that are told to refuse it give everything up and end with an error that names its node, and do not start beside it.
fn a_pykafka_member_is_refused_by_name(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, &[8])?
        .session_timeout(Duration::from_secs(3))
        .arguments(&["--foreign-members", "refuse"]);
    let ours = group.join()?;
    let producers = group.produce(200)?;
    group.wait_for_lines(100)?;
    let stranger = group.enter_pykafka()?;
    refuses(&group, group.divvy(ours), &group.members[stranger].id)?;
    ensure!(group.owners()?.is_empty(), "{}", show(&group.owners()?));
    ensure!(group.view.ids(&group.name)?.len() == 1);

    let late = group.spawn(&cluster.zookeeper_connect())?;
    refuses(&group, &late, &group.members[stranger].id)?;
    drop(producers);
    Ok(())
}

/// Waits until a member has ended with an error that names the stranger's node.
fn refuses(group: &Group<'_>, divvy: &Divvy, stranger: &str) -> Result<()> {
    let status = divvy.wait(Duration::from_secs(5))?;
    let said = divvy.stderr().tail(20);
    ensure!(status.code() == Some(1), "{status}: {said}");
    let node = format!("/consumers/{}/ids/{stranger}", group.name);
    ensure!(
        said.contains(&format!("divvy: group `{}`: {node}", group.name)),
        "{said}"
    );
    Ok(())
}
