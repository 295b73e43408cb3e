//! Groups of other shapes: several topics, several streams, another rule, topics that grow.

use anyhow::Result;
use divvy_tests::group::{PATIENCE, Rule, SETTLED_WITHIN};
use divvy_tests::{Cluster, Group, KafkaVersion, on_every_version, wait_for};

on_every_version!(
    streams_share_several_topics_by_range,
    streams_share_several_topics_round_robin,
    added_partitions_are_read_from_their_start,
);

fn streams_share_several_topics_by_range(version: KafkaVersion) -> Result<()> {
    streams_share_several_topics(version, Rule::Range)
}

fn streams_share_several_topics_round_robin(version: KafkaVersion) -> Result<()> {
    streams_share_several_topics(version, Rule::RoundRobin)
}

/// Three members of two streams each on two topics; one leaves.
fn streams_share_several_topics(version: KafkaVersion, rule: Rule) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, &[8, 4])?.sharing(rule, 2);
    let topics: Vec<(String, i32)> = group
        .topics()
        .map(|(topic, partitions)| (topic.to_owned(), partitions))
        .collect();
    let mut producers = Vec::new();
    for (topic, partitions) in &topics {
        producers.push(cluster.produce_numbers(topic, 0..*partitions, 500)?);
    }
    for _ in 0..3 {
        group.join()?;
    }
    group.wait_for_lines(1000)?;
    group.leave(0)?;
    group.wait_for_lines(1000)?;
    for ((topic, _), producer) in topics.iter().zip(producers) {
        group.wait_until_printed(topic, &producer.stop()?)?;
    }
    group.printed_once_and_in_order()
}

/// Partitions that are added are shared out, and read from their first message even by members that start at the end of a log
/// and learn of them late.
fn added_partitions_are_read_from_their_start(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group =
        Group::new(cluster, &[4])?.arguments(&["--from", "latest", "--session-timeout", "10s"]);
    let topic = group.topic().to_owned();
    for _ in 0..2 {
        let member = group.join()?;
        let divvy = group.divvy(member);
        divvy.wait_for_event(PATIENCE, "assigned", |_| true)?;
    }
    let first = cluster.produce_numbers(&topic, 0..4, 500)?;
    group.wait_for_lines(500)?;

    let before = group.owners()?;
    group.stop(0)?;
    group.stop(1)?;
    group.grow(8)?;
    let second = cluster.produce_numbers(&topic, 4..8, 500)?;
    wait_for(PATIENCE, "messages in every new partition", || {
        let written = second.acknowledged();
        (4..8).all(|new| written.iter().any(|message| message.partition == new))
    })?;
    group.cont(0)?;
    group.cont(1)?;
    group.settle_from(&before, SETTLED_WITHIN)?;
    group.wait_for_lines(1000)?;
    for producer in [first, second] {
        group.wait_until_printed(&topic, &producer.stop()?)?;
    }
    group.printed_once_and_in_order()
}
