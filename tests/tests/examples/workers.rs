//! A worker for each partition.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, KafkaVersion, on_every_version, unique};

use super::{PATIENCE, interrupt, start};

on_every_version!(partitions_are_worked_on_in_order_and_at_the_same_time);

const PARTITIONS: usize = 4;
const MESSAGES: usize = 2000;

fn partitions_are_worked_on_in_order_and_at_the_same_time(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let (group, topic) = (unique("workers"), unique("orders"));
    cluster.create_topic(&topic, PARTITIONS, 1)?;
    cluster.produce(&topic, "none", 0..MESSAGES)?;
    let arguments = [&cluster.zookeeper_connect(), &group, &topic];
    let program = start("workers_per_partition", &arguments.map(String::as_str))?;
    let mut worked = 0;
    program
        .stdout()
        .wait_for(PATIENCE, "all messages", |line| {
            worked += usize::from(line.contains('@'));
            worked == MESSAGES
        })?;
    interrupt(&program)?;

    let mut next: BTreeMap<String, i64> = BTreeMap::new();
    let (mut values, mut turns, mut last, mut pauses) = (BTreeSet::new(), 0, String::new(), 0);
    for line in program.stdout().texts() {
        if line.ends_with("is paused") {
            pauses += 1;
            continue;
        }
        let (place, value) = line.split_once(": ").context("not a message")?;
        let (partition, offset) = place.split_once('@').context("no place")?;
        let expected = next.entry(partition.to_owned()).or_default();
        ensure!(
            offset.parse() == Ok(*expected),
            "{line}, and {expected} is next"
        );
        *expected += 1;
        turns += usize::from(last != partition);
        partition.clone_into(&mut last);
        values.insert(value.to_owned());
    }
    ensure!(values.len() == MESSAGES, "{} are different", values.len());
    ensure!(next.len() == PARTITIONS, "only of {next:?}");
    ensure!(turns > MESSAGES / 10, "they took only {turns} turns");
    ensure!(
        pauses > 0,
        "the consumer has run ahead of the workers without an end"
    );
    let committed = cluster.zookeeper_view()?.offsets(&group, &topic)?;
    let sum: i64 = committed.values().sum();
    ensure!(
        usize::try_from(sum)? == MESSAGES,
        "{committed:?} is committed"
    );
    Ok(())
}
