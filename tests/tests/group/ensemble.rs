//! A group on three brokers and three ZooKeeper servers, below a chroot, some of which die.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Acknowledged, Cluster, KafkaVersion, scale};

use crate::group::Group;
use crate::on_both_versions;

on_both_versions!(brokers_and_servers_die_and_come_back);

const PARTITIONS: i32 = 8;
/// How long a message of a partition whose leader lives may take from its acknowledgement to its line.
const PAUSE: Duration = Duration::from_secs(2);

/// A broker is killed and restarted, then the leading ZooKeeper server: no owner changes, nothing is lost, nothing comes twice.
fn brokers_and_servers_die_and_come_back(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder()
        .kafka(version)
        .brokers(3)
        .zookeepers(3)
        .chroot("/legacy/kafka")
        // What was acknowledged survives the death of any broker.
        .property("min.insync.replicas", 2)
        .property("unclean.leader.election.enable", false)
        .start()?;
    let mut group = Group::new(&cluster, &[PARTITIONS])?;
    let topic = group.topic().to_owned();
    let producer = cluster.produce_numbers(&topic, 0..PARTITIONS, 2000)?;
    for _ in 0..3 {
        group.join()?;
    }
    group.wait_for_lines(2000)?;
    let owners = group.owners()?;

    let mut had_another_leader = BTreeMap::new();
    for victim in scale(vec![1], vec![1, 0, 2]) {
        for (partition, leader) in leaders(&cluster, &topic)? {
            let led_by_victim = leader == victim;
            *had_another_leader.entry(partition).or_insert(true) &= !led_by_victim;
        }
        let broker = usize::try_from(victim)?;
        cluster.brokers()[broker].kill();
        cluster.wait_until_settled("the others to take over", |metadata| {
            metadata.topics[&topic]
                .values()
                .all(|partition| partition.leader.is_some_and(|leader| leader != victim))
        })?;
        group.wait_for_lines(2000)?;
        group.nothing_moved_since(&owners)?;
        cluster.brokers()[broker].start()?;
        cluster.wait_until_in_sync()?;
        group.wait_for_lines(2000)?;
        group.nothing_moved_since(&owners)?;
    }
    cluster.zookeeper_leader()?.restart()?;
    group.wait_for_lines(2000)?;
    group.nothing_moved_since(&owners)?;

    let acknowledged = producer.stop()?;
    group.wait_until_printed(&topic, &acknowledged)?;
    group.printed_once_and_in_order()?;
    for (partition, _) in had_another_leader.into_iter().filter(|(_, lived)| *lived) {
        let paused = longest_pause(&group, &topic, partition, &acknowledged)?;
        ensure!(
            paused <= PAUSE,
            "partition {partition} has paused for {paused:?}"
        );
    }
    group.join()?;
    (0..4).try_for_each(|member| group.leave(member))
}

fn leaders(cluster: &Cluster, topic: &str) -> Result<BTreeMap<i32, i32>> {
    cluster.metadata()?.topics[topic]
        .iter()
        .map(|(partition, metadata)| {
            let leader = metadata
                .leader
                .with_context(|| format!("{partition} has none"))?;
            Ok((*partition, leader))
        })
        .collect()
}

/// The longest time from an acknowledgement to the line. Kafka itself acknowledges nothing, and shows nothing to consumers, until
/// it has given up the dead replica; that time is not divvy's.
fn longest_pause(
    group: &Group<'_>,
    topic: &str,
    partition: i32,
    acknowledged: &[Acknowledged],
) -> Result<Duration> {
    let lines = group.output.first_times(&(topic.to_owned(), partition));
    let pauses = acknowledged
        .iter()
        .filter(|message| message.partition == partition)
        .filter_map(|message| {
            Some(
                lines
                    .get(&message.offset)?
                    .saturating_duration_since(message.at),
            )
        });
    pauses.max().context("a partition without messages")
}
