//! Kafka's own high-level consumers and divvy's in one group.

use std::time::Duration;

use anyhow::{Context as _, Result};
use divvy_tests::group::{Program, Rule};
use divvy_tests::{Cluster, Group, KafkaVersion, on_every_version, scale};

on_every_version!(
    members_of_both_kinds_share_by_range,
    members_of_both_kinds_share_round_robin,
);

/// A change of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Join(Kind),
    Leave(Kind),
    Kill(Kind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Divvy,
    Java,
}

use Change::{Join, Kill, Leave};
use Kind::{Divvy, Java};

/// Beginning with two of each kind, every change of either, and back.
const CYCLE: [Change; 8] = [
    Kill(Java),
    Leave(Divvy),
    Join(Java),
    Join(Divvy),
    Kill(Divvy),
    Leave(Java),
    Join(Divvy),
    Join(Java),
];

fn members_of_both_kinds_share_by_range(version: KafkaVersion) -> Result<()> {
    let changes = scale(3, 20);
    share(
        version,
        Rule::Range,
        &[5],
        CYCLE.into_iter().cycle().take(changes),
    )
}

fn members_of_both_kinds_share_round_robin(version: KafkaVersion) -> Result<()> {
    // In a short run the other half of what the range rule sees.
    let (skipped, changes) = scale((4, 2), (0, 20));
    let changes = CYCLE.into_iter().cycle().skip(skipped).take(changes);
    share(version, Rule::RoundRobin, &[5, 4], changes)
}

/// Two members of each kind come, then more come and go, in order or not. After each change every partition is owned by whom
/// Kafka's own assignor names, in time, and in the end nothing is lost.
fn share(
    version: KafkaVersion,
    rule: Rule,
    partitions: &[i32],
    changes: impl Iterator<Item = Change>,
) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, partitions)?
        .sharing(rule, 1)
        .session_timeout(Duration::from_secs(3))
        .judged_by_java()?;
    // The first one stores where each partition begins, which Kafka's own would leave out.
    group.join()?;
    let producers = group.produce(200)?;
    for change in [Join(Java), Join(Divvy), Join(Java)]
        .into_iter()
        .chain(changes)
    {
        make(change, &mut group).with_context(|| format!("at {change:?}"))?;
        group.wait_for_lines(50)?;
    }
    group.nothing_is_lost(producers)
}

fn make(change: Change, group: &mut Group<'_>) -> Result<()> {
    match change {
        Join(Divvy) => group.join().map(drop),
        Join(Java) => group.join_java().map(drop),
        Leave(kind) => group.leave(oldest(group, kind)?),
        Kill(kind) => group.kill_and_settle(oldest(group, kind)?).map(drop),
    }
}

/// The member of this kind that has been there for longest.
fn oldest(group: &Group<'_>, kind: Kind) -> Result<usize> {
    let mut members = group.members.iter();
    members
        .position(|member| {
            let is_java = matches!(member.program, Program::Java(_));
            member.lives && is_java == (kind == Java)
        })
        .with_context(|| format!("there is no member left that is {kind:?}"))
}
