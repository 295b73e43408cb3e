//! The group that the tests strike.

use std::time::Duration;

use anyhow::Result;
use divvy_tests::{Cluster, CommittedWatch, Group, NumberProducer, Store};

pub(crate) const PARTITIONS: i32 = 8;
/// Messages a second.
pub(crate) const RATE: u32 = 400;
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(3);
/// How long after its last word from ZooKeeper a member may deliver.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// How long after a member's session could have ended the others may take to own its partitions.
pub(crate) const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(5);

/// What writes into a group's topics.
pub(crate) type Producers = Vec<(String, NumberProducer)>;

/// Members that share eight partitions and are at work.
pub(crate) fn group(cluster: &Cluster, members: usize) -> Result<(Group<'_>, Producers)> {
    group_with(cluster, members, &[])
}

/// The same with further arguments for each member.
pub(crate) fn group_with<'a>(
    cluster: &'a Cluster,
    members: usize,
    arguments: &[&str],
) -> Result<(Group<'a>, Producers)> {
    let mut group = Group::new(cluster, &[PARTITIONS])?
        .session_timeout(SESSION_TIMEOUT)
        .arguments(arguments)
        .arguments(&["--commit-interval", "500ms"])
        .behind_proxies();
    let producers = group.produce(RATE)?;
    for _ in 0..members {
        group.join()?;
    }
    group.wait_for_lines(RATE as usize)?;
    Ok((group, producers))
}

pub(crate) fn committed<'a>(group: &Group<'a>) -> Result<CommittedWatch<'a>> {
    CommittedWatch::new(
        group.cluster,
        Store::ZooKeeper,
        &group.name,
        group.topic(),
        PARTITIONS,
    )
}
