//! Programs without `async`: the same behaviour as with it, on real clusters and the embedded one, and nothing that blocks a
//! runtime.

mod consuming;
mod groups;
mod producing;
mod runtimes;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use divvy::blocking::{Client, Producer, SimpleConsumer};
use divvy::{
    ClientConfig, OwnedMessage, ProducerConfig, ProducerRecord, SimpleConsumerConfig,
    TopicPartition, ZooKeeper, ZooKeeperConfig,
};
use divvy_tests::{Cluster, KafkaVersion, unique, use_rdkafka};

const PATIENCE: Duration = Duration::from_secs(30);
/// After such a silence there is nothing more: the log was full before anybody asked.
const IDLE: Duration = Duration::from_secs(3);
const PARTITIONS: i32 = 4;

/// A topic of its own on a real cluster.
struct Scene {
    cluster: &'static Cluster,
    client: Client,
    topic: String,
    group: String,
}

impl Scene {
    fn new(version: KafkaVersion) -> Result<Self> {
        let cluster = Cluster::shared(version)?;
        let topic = unique("blocking");
        cluster.create_topic(&topic, usize::try_from(PARTITIONS)?, 1)?;
        let zookeeper = ZooKeeper::new(ZooKeeperConfig::new(cluster.zookeeper_connect()))?;
        Ok(Self {
            client: Client::connect(ClientConfig::zookeeper(zookeeper))?,
            cluster,
            topic,
            group: unique("group"),
        })
    }

    fn tp(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(self.topic.as_str(), partition)
    }

    fn producer(&self) -> Result<Producer> {
        self.lingering(ProducerConfig::default().linger)
    }

    /// A producer that waits so long for more to come into a batch.
    fn lingering(&self, linger: Duration) -> Result<Producer> {
        let config = ProducerConfig {
            use_rdkafka: use_rdkafka(),
            linger,
            ..ProducerConfig::default()
        };
        Ok(Producer::new(&self.client, config)?)
    }

    /// Writes so many numbers, in turns to all partitions: the number's place says its partition and offset.
    fn fill(&self, numbers: i64) -> Result<()> {
        let producer = self.producer()?;
        let records = (0..numbers).map(|number| self.record(number));
        producer.send_all(records.collect::<Vec<_>>())?.all()?;
        Ok(producer.close(PATIENCE)?)
    }

    fn record(&self, number: i64) -> ProducerRecord {
        ProducerRecord {
            partition: i32::try_from(number % i64::from(PARTITIONS)).ok(),
            ..ProducerRecord::new(self.topic.as_str(), number.to_string())
        }
    }

    /// A consumer of everything that commits for the group, on request only.
    fn simple(&self, change: impl FnOnce(&mut SimpleConsumerConfig)) -> Result<SimpleConsumer> {
        let mut config = SimpleConsumerConfig::new([&self.topic[..]]);
        config.consumer.group = Some(self.group.clone());
        config.consumer.auto_commit_interval = None;
        config.consumer.use_rdkafka = use_rdkafka();
        change(&mut config);
        let mut consumer = SimpleConsumer::new(&self.client, config)?;
        consumer.start()?;
        Ok(consumer)
    }

    fn committed(&self) -> Result<BTreeMap<i32, i64>> {
        let view = self.cluster.zookeeper_view()?;
        view.offsets(&self.group, &self.topic)
    }
}

/// The number that a message holds, which must be what [`Scene::fill`] put there.
fn number(message: &OwnedMessage) -> Result<i64> {
    number_at(&message.tp, message.offset, message.value.as_deref())
}

fn number_at(tp: &TopicPartition, offset: i64, value: Option<&[u8]>) -> Result<i64> {
    let number = std::str::from_utf8(value.context("it has no value")?)?.parse()?;
    let expected = offset * i64::from(PARTITIONS) + i64::from(tp.partition);
    anyhow::ensure!(
        number == expected,
        "{number} lies at offset {offset} of {tp}"
    );
    Ok(number)
}
