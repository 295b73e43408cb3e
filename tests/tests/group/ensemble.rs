//! A group on three brokers and three ZooKeeper servers, below a chroot, some of which die.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use divvy_tests::metadata::PartitionMetadata;
use divvy_tests::{Acknowledged, Cluster, Group, KafkaVersion, on_both_versions, scale};

// The embedded cluster has one ZooKeeper server.
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
        // Without a replica that died, Kafka goes on after one to two of these.
        .property("replica.lag.time.max.ms", 1000)
        .property("replica.fetch.wait.max.ms", 250)
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

    let mut outages = Vec::new();
    for victim in scale(vec![1], vec![1, 0, 2]) {
        outages.push(strike(&cluster, &mut group, victim)?);
        group.nothing_moved_since(&owners)?;
    }
    cluster.zookeeper_leader()?.restart()?;
    group.wait_for_lines(2000)?;
    group.nothing_moved_since(&owners)?;

    let acknowledged = producer.stop()?;
    group.wait_until_printed(&topic, &acknowledged)?;
    group.printed_once_and_in_order()?;
    for outage in outages {
        outage.paused_nobody_else(&group, &acknowledged)?;
    }
    group.join()?;
    (0..4).try_for_each(|member| group.leave(member))
}

/// The time between a broker's death and the moment when others lead what it led.
struct Outage {
    from: Instant,
    to: Instant,
    /// The partitions that it did not lead.
    led_by_others: Vec<i32>,
}

/// Kills a broker, and starts it again when the group reads on without it.
fn strike(cluster: &Cluster, group: &mut Group<'_>, victim: i32) -> Result<Outage> {
    let topic = group.topic().to_owned();
    let broker = &cluster.brokers()[usize::try_from(victim)?];
    let leads = |partition: &PartitionMetadata| partition.leader == Some(victim);
    let partitions = cluster.metadata()?.topics[&topic].clone();
    let led_by_others = partitions.iter().filter(|(_, metadata)| !leads(metadata));
    let led_by_others = led_by_others.map(|(partition, _)| *partition).collect();

    let from = Instant::now();
    broker.kill();
    cluster.wait_until_settled("the others to take over", |metadata| {
        let mut partitions = metadata.topics[&topic].values();
        partitions.all(|partition| partition.leader.is_some() && !leads(partition))
    })?;
    let to = Instant::now();
    group.wait_for_lines(2000)?;
    broker.start()?;
    cluster.wait_until_in_sync()?;
    group.wait_for_lines(2000)?;
    Ok(Outage {
        from,
        to,
        led_by_others,
    })
}

impl Outage {
    /// Demands that the other partitions were read on, each message soon after its acknowledgement. Kafka itself acknowledges
    /// nothing, and shows nothing to consumers, until it has given up the dead replica: that time is not the group's.
    fn paused_nobody_else(&self, group: &Group<'_>, acknowledged: &[Acknowledged]) -> Result<()> {
        for partition in &self.led_by_others {
            let lines = group
                .output
                .first_times(&(group.topic().to_owned(), *partition));
            let pauses: Vec<Duration> = acknowledged
                .iter()
                .filter(|message| message.partition == *partition)
                .filter(|message| (self.from..self.to).contains(&message.at))
                .filter_map(|message| {
                    let printed = lines.get(&message.offset)?;
                    Some(printed.saturating_duration_since(message.at))
                })
                .collect();
            let longest = pauses.iter().max();
            let longest = longest.with_context(|| format!("nothing came to {partition}"))?;
            ensure!(
                *longest <= PAUSE,
                "partition {partition} has paused for {longest:?}"
            );
        }
        Ok(())
    }
}
