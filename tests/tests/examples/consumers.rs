//! What reads.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use divvy_tests::{Cluster, KafkaVersion, on_every_version, unique, wait_for};

use super::{PATIENCE, interrupt, run, start, write};

on_every_version!(
    the_last_messages_of_each_partition_are_printed,
    every_partition_is_counted,
    members_print_and_commit_what_there_is,
);

const VALUES: [(i32, &str); 6] = [(0, "a"), (1, "b"), (0, "c"), (0, "d"), (1, "e"), (0, "f")];

fn the_last_messages_of_each_partition_are_printed(version: KafkaVersion) -> Result<()> {
    let (cluster, topic) = topic(version, 3)?;
    let bootstrap = cluster.bootstrap();
    for (count, expected) in [
        ("0", &[][..]),
        ("2", &["0@2: d", "0@3: f", "1@0: b", "1@1: e"]),
        ("3", &["0@1: c", "0@2: d", "0@3: f", "1@0: b", "1@1: e"]),
    ] {
        let mut printed = run("last_messages", &[&bootstrap, &topic, count], "")?;
        printed.sort();
        let expected: Vec<String> = expected.iter().map(|at| format!("{topic}-{at}")).collect();
        ensure!(printed == expected, "of {count}: {printed:?}");
    }
    Ok(())
}

fn every_partition_is_counted(version: KafkaVersion) -> Result<()> {
    let (cluster, topic) = topic(version, 2)?;
    let printed = run("simple_consumer", &[&cluster.bootstrap(), &topic], "")?;
    let expected = [
        format!("{topic}-0: 4 messages with 4 bytes"),
        format!("{topic}-1: 2 messages with 2 bytes"),
    ];
    ensure!(printed == expected, "{printed:?}");
    Ok(())
}

fn members_print_and_commit_what_there_is(version: KafkaVersion) -> Result<()> {
    let (cluster, topic) = topic(version, 2)?;
    let zookeeper = cluster.zookeeper_connect();
    let view = cluster.zookeeper_view()?;
    let all = BTreeMap::from([(0, 4), (1, 2)]);
    for (name, expected) in [
        ("balanced_consumer", ["0@3: f", "1@1: e"]),
        (
            "commit_by_hand",
            ["0: 4 messages written", "1: 2 messages written"],
        ),
        (
            "rebalance_listener",
            ["after 4 messages", "after 2 messages"],
        ),
    ] {
        let group = unique(name);
        let program = start(name, &[&zookeeper, &group, &topic])?;
        wait_for(PATIENCE, "everything to be committed", || {
            let committed = view.offsets(&group, &topic);
            committed.is_ok_and(|committed| committed == all)
        })?;
        interrupt(&program)?;
        let printed = program.stdout().texts();
        for line in expected {
            ensure!(
                printed.iter().any(|printed| printed.ends_with(line)),
                "{name} has printed {printed:?}, and not {line}"
            );
        }
        let owners = view.owners(&group, &topic)?;
        ensure!(owners.is_empty(), "{name} has left {owners:?} behind");
    }
    Ok(())
}

/// A topic of so many partitions, with [`VALUES`] in the first two.
fn topic(version: KafkaVersion, partitions: usize) -> Result<(&'static Cluster, String)> {
    let cluster = Cluster::shared(version)?;
    let topic = unique("orders");
    cluster.create_topic(&topic, partitions, 1)?;
    write(cluster, &topic, &VALUES)?;
    Ok((cluster, topic))
}
