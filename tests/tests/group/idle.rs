//! More members than partitions.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use divvy_tests::group::PATIENCE;
use divvy_tests::{Cluster, Group, KafkaVersion, on_every_version, scale};

on_every_version!(members_without_a_partition_wait_for_one);

const PARTITIONS: usize = 8;
const MEMBERS: usize = 12;

/// Twelve members on eight partitions: four are idle, say so, and take over when others leave.
fn members_without_a_partition_wait_for_one(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, &[8])?;
    let topic = group.topic().to_owned();
    let producer = cluster.produce_numbers(&topic, 0..8, scale(500, 2000))?;
    for _ in 0..MEMBERS {
        group.join()?;
    }
    let owners = group.owners()?;
    let idle = members(&group, |group, member| {
        group.owned_by(member, &owners).is_empty()
    });
    ensure!(idle.len() == MEMBERS - PARTITIONS, "idle are {idle:?}");
    for member in &idle {
        group
            .divvy(*member)
            .wait_for_event(PATIENCE, "idle", |_| true)?;
    }
    let say_so = members(&group, |group, member| {
        !group.divvy(member).events_named("idle").is_empty()
    });
    ensure!(
        say_so == idle,
        "{say_so:?} said that they are idle, {idle:?} are"
    );

    for leaver in members(&group, |_, member| !idle.contains(&member))
        .into_iter()
        .take(4)
    {
        group.leave(leaver)?;
    }
    for member in &idle {
        let assigned = group
            .divvy(*member)
            .wait_for_event(PATIENCE, "assigned", |_| true)?;
        ensure!(assigned.partitions().len() == 1, "{assigned:?}");
    }
    group.wait_for_lines(scale(500, 20_000))?;

    let acknowledged = producer.stop()?;
    group.wait_until_printed(&topic, &acknowledged)?;
    group.printed_once_and_in_order()
}

fn members(group: &Group<'_>, which: impl Fn(&Group<'_>, usize) -> bool) -> BTreeSet<usize> {
    (0..MEMBERS)
        .filter(|member| which(group, *member))
        .collect()
}
