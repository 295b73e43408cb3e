//! Messages that come when nothing else does.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use divvy::{
    Acks, BalancedConsumer, BalancedConsumerConfig, Consumer, ConsumerConfig, Coordination,
    FetchConfig, Producer, ProducerConfig, ProducerRecord, SimpleConsumer, SimpleConsumerConfig,
    ZooKeeperConfig,
};
use divvy_tests::{Cluster, KafkaVersion, on_every_version, scale, unique};
use tokio::time::timeout;

use crate::scene::{PATIENCE, Topic, holds, live, value};

on_every_version!(
    a_message_on_an_idle_topic_comes_at_once,
    the_first_message_after_the_group_formed_comes_at_once,
);

const PARTITIONS: i32 = 4;
/// How long a broker holds its answer back where there is nothing. Whoever waits for that is late.
const FETCH_WAIT: Duration = Duration::from_secs(5);
/// What a message may take on a machine that does much else.
const AT_ONCE: Duration = Duration::from_secs(2);

fn a_message_on_an_idle_topic_comes_at_once(version: KafkaVersion) -> Result<()> {
    live(async {
        let cluster = Cluster::shared(version)?;
        let topic = Topic::new(cluster, PARTITIONS).await?;
        let config = SimpleConsumerConfig {
            consumer: patient(),
            ..SimpleConsumerConfig::new([topic.name.as_str()])
        };
        let mut consumer = SimpleConsumer::new(&topic.client, config)?;
        consumer.start().await?;
        come_at_once(&topic, &mut consumer, scale(20, 200)).await?;
        consumer.close().await?;
        Ok(())
    })
}

fn the_first_message_after_the_group_formed_comes_at_once(version: KafkaVersion) -> Result<()> {
    live(async {
        let cluster = Cluster::shared(version)?;
        for _ in 0..scale(2, 10) {
            let topic = Topic::new(cluster, PARTITIONS).await?;
            let zookeeper = ZooKeeperConfig::new(cluster.zookeeper_connect());
            let config = BalancedConsumerConfig {
                consumer: patient(),
                ..BalancedConsumerConfig::new(zookeeper, unique("idle"), [topic.name.as_str()])
            };
            let mut consumer = BalancedConsumer::new(&topic.client, config)?;
            consumer.start().await?;
            holds(&consumer, usize::try_from(PARTITIONS)?).await?;
            come_at_once(&topic, &mut consumer, 8).await?;
            consumer.close().await?;
        }
        Ok(())
    })
}

fn patient() -> ConsumerConfig {
    ConsumerConfig {
        fetch: FetchConfig {
            fetch_wait_max: FETCH_WAIT,
            ..FetchConfig::default()
        },
        use_rdkafka: divvy_tests::use_rdkafka(),
        ..ConsumerConfig::default()
    }
}

/// Appends so many messages, each when the one before it was received.
async fn come_at_once<C: Coordination>(
    topic: &Topic<'_>,
    consumer: &mut Consumer<C>,
    messages: i32,
) -> Result<()> {
    let config = ProducerConfig {
        acks: Acks::Leader,
        linger: Duration::ZERO,
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&topic.client, config)?;
    let mut taken = Vec::new();
    for number in 0..messages {
        let (partition, offset) = (number % PARTITIONS, i64::from(number / PARTITIONS));
        let record = ProducerRecord {
            partition: Some(partition),
            ..ProducerRecord::new(topic.name.as_str(), value(offset, 8))
        };
        producer.send(record).await?.await?;
        let stored = Instant::now();
        let message = timeout(PATIENCE, consumer.recv())
            .await
            .with_context(|| format!("message {number} did not come"))??;
        ensure!(
            (message.partition().partition, message.offset()) == (partition, offset),
            "{message:?} is another one"
        );
        taken.push(stored.elapsed());
        ensure!(
            stored.elapsed() < AT_ONCE,
            "message {number} took {:?}",
            stored.elapsed()
        );
    }
    eprintln!("the first took {:?}, all {taken:?}", taken.first());
    Ok(())
}
