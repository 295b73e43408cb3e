//! Groups that move between Kafka's own high-level consumer and divvy.

use std::collections::BTreeMap;

use anyhow::Result;
use divvy_tests::{Cluster, JavaConsumer, unique, wait_for};

use crate::program::{printed, values};
use crate::{PATIENCE, on_every_version};

on_every_version!(
    a_group_moves_to_divvy_and_back,
    a_group_with_offsets_in_kafka_moves_to_divvy_and_back,
);

const PARTITIONS: usize = 4;

/// Java begins, divvy goes on and stops in the middle, Java reads the rest: each begins where the other has stopped, and Kafka's
/// own tool shows what divvy has stored.
fn a_group_moves_to_divvy_and_back(cluster: &Cluster) -> Result<()> {
    let (topic, group) = (unique("moving"), unique("group"));
    cluster.create_topic(&topic, PARTITIONS, 1)?;
    cluster.produce(&topic, "none", 0..100)?;
    let java = JavaConsumer::new(&group, &topic);
    assert_eq!(prints(cluster, &java, 100)?, Vec::from_iter(0..100));

    cluster.produce(&topic, "none", 100..200)?;
    let before = checked(cluster, &group, &topic)?;
    assert_eq!(before.values().sum::<i64>(), 100);
    let zookeeper = cluster.zookeeper_connect();
    let consume = format!("consume --zookeeper {zookeeper} --group {group} --topic {topic}");
    let by_divvy = printed(&[&consume, "--max-messages 37"])?;
    assert_eq!(by_divvy.len(), 37);
    let mut after = before;
    for message in &by_divvy {
        let next = after.entry(message.partition).or_default();
        assert_eq!(message.offset, *next, "{message:?} out of order");
        *next += 1;
    }
    assert_eq!(checked(cluster, &group, &topic)?, after);
    assert_eq!(cluster.zookeeper_view()?.offsets(&group, &topic)?, after);

    let java = JavaConsumer {
        // The tool refuses it for a group that has offsets.
        from_beginning: false,
        ..java
    };
    let mut both = prints(cluster, &java, 63)?;
    both.extend(values(&by_divvy)?);
    both.sort_unstable();
    assert_eq!(both, Vec::from_iter(100..200));

    cluster.produce(&topic, "none", 200..210)?;
    let last = printed(&[&consume, "--exit-at-end"])?;
    assert_eq!(values(&last)?, Vec::from_iter(200..210));
    Ok(())
}

/// The same with offsets in Kafka's own topic, where Java's consumer can keep them, too.
fn a_group_with_offsets_in_kafka_moves_to_divvy_and_back(cluster: &Cluster) -> Result<()> {
    let (topic, group) = (unique("moving"), unique("group"));
    cluster.create_topic(&topic, PARTITIONS, 1)?;
    cluster.produce(&topic, "none", 0..100)?;
    let zookeeper = cluster.zookeeper_connect();
    let consume =
        format!("consume --zookeeper {zookeeper} --group {group} --topic {topic} --offsets kafka");
    let by_divvy = printed(&[&consume, "--max-messages 30"])?;
    assert_eq!(by_divvy.len(), 30);
    // It asks Kafka's store first.
    let stored = checked(cluster, &group, &topic)?;
    assert_eq!(stored.values().sum::<i64>(), 30);
    assert_eq!(
        cluster.zookeeper_view()?.offsets(&group, &topic)?,
        BTreeMap::new()
    );

    let mut java = JavaConsumer::new(&group, &topic);
    java.from_beginning = false;
    java.properties = [
        ("offsets.storage", "kafka"),
        ("dual.commit.enabled", "false"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    let mut both = prints(cluster, &java, 70)?;
    both.extend(values(&by_divvy)?);
    both.sort_unstable();
    assert_eq!(both, Vec::from_iter(0..100));

    cluster.produce(&topic, "none", 100..110)?;
    let last = printed(&[&consume, "--exit-at-end"])?;
    assert_eq!(values(&last)?, Vec::from_iter(100..110));
    Ok(())
}

/// Everything that Java's consumer prints until it has printed `count` messages and left its group.
fn prints(cluster: &Cluster, java: &JavaConsumer, count: usize) -> Result<Vec<i32>> {
    let consumer = java.spawn(cluster)?;
    wait_for(PATIENCE, "Java's consumer to print", || {
        consumer.stdout().len() >= count
    })?;
    consumer.term()?;
    consumer.wait(PATIENCE)?;
    let mut values = consumer
        .stdout()
        .texts()
        .iter()
        .map(|line| Ok(line.parse()?))
        .collect::<Result<Vec<i32>>>()?;
    values.sort_unstable();
    Ok(values)
}

/// What `ConsumerOffsetChecker` says is stored.
fn checked(cluster: &Cluster, group: &str, topic: &str) -> Result<BTreeMap<i32, i64>> {
    let rows = cluster.consumer_offset_checker(group, topic)?;
    let offset = |(partition, row): (i32, divvy_tests::cluster::CheckedOffset)| {
        Some((partition, row.offset?))
    };
    Ok(rows.into_iter().filter_map(offset).collect())
}
