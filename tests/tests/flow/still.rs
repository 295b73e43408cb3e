//! Applications that ask for nothing for long, on brokers that close connections on which nothing happens.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use divvy::{
    BalancedConsumer, BalancedConsumerConfig, Client, Compression, Consumer, ConsumerConfig,
    Coordination, FetchConfig, SimpleConsumer, SimpleConsumerConfig, ZooKeeperConfig,
};
use divvy_tests::wait::pass;
use divvy_tests::{Cluster, KafkaVersion, on_every_version, scale, unique, use_rdkafka};
use tokio::time::timeout;

use crate::scene::{PATIENCE, Read, Topic, client, holds, live};

on_every_version!(who_asked_for_nothing_gets_the_new_message_on_the_first_call);

const SESSION: Duration = Duration::from_secs(2);
/// After how long the brokers close a connection.
const IDLE_MS: u64 = 700;
/// What the first call may take on a machine that does much else.
const AT_ONCE: Duration = Duration::from_secs(2);
const BUDGET: usize = 64 << 10;
/// Far more than the budget.
const BACKLOG: i64 = 500;

/// Two wait for less than it takes to be closed and so have busy connections, two for longer, and two have a full queue, so that
/// nothing is fetched.
fn who_asked_for_nothing_gets_the_new_message_on_the_first_call(
    version: KafkaVersion,
) -> Result<()> {
    let cluster = Cluster::builder()
        .kafka(version)
        .brokers_behind_proxies()
        .property("connections.max.idle.ms", IDLE_MS)
        .start()?;
    let proxy = cluster.brokers()[0].proxy().context("no proxy")?;
    live(async {
        let mut quiet = Topic::new(&cluster, 1).await?;
        let mut full = Topic::new(&cluster, 1).await?;
        full.fill(BACKLOG, 1000, Compression::None).await?;
        let brief = Duration::from_millis(100);
        let long = Duration::from_secs(30);
        let client = client(&cluster).await?;
        let mut simple = [
            simple(&client, &quiet, brief).await?,
            simple(&client, &quiet, long).await?,
            simple(&client, &full, brief).await?,
        ];
        let mut balanced = [
            balanced(&client, &quiet, brief).await?,
            balanced(&client, &quiet, long).await?,
            balanced(&client, &full, brief).await?,
        ];
        let before = proxy.accepted();
        pass(SESSION * scale(3, 10)).await;
        let closed = proxy.accepted() - before;
        // 0.8.2 closes but one at a time. librdkafka connects again only when it has something to ask for.
        ensure!(closed > 0 || use_rdkafka(), "no connection was closed");

        for topic in [&mut quiet, &mut full] {
            topic.fill(1, 1000, Compression::None).await?;
        }
        for (of, topic) in [&quiet, &quiet, &full].into_iter().enumerate() {
            let taken = [
                first_call(&mut simple[of], topic).await?,
                first_call(&mut balanced[of], topic).await?,
            ];
            eprintln!("the first call took {taken:?}");
        }
        for consumer in simple {
            consumer.close().await?;
        }
        for consumer in balanced {
            consumer.close().await?;
        }
        Ok(())
    })
}

async fn simple(client: &Client, topic: &Topic<'_>, wait: Duration) -> Result<SimpleConsumer> {
    let config = SimpleConsumerConfig {
        consumer: fetching(wait),
        ..SimpleConsumerConfig::new([topic.name.as_str()])
    };
    let mut consumer = SimpleConsumer::new(client, config)?;
    consumer.start().await?;
    Ok(consumer)
}

async fn balanced(client: &Client, topic: &Topic<'_>, wait: Duration) -> Result<BalancedConsumer> {
    let zookeeper = ZooKeeperConfig {
        session_timeout: SESSION,
        ..ZooKeeperConfig::new(topic.cluster.zookeeper_connect())
    };
    let config = BalancedConsumerConfig {
        consumer: fetching(wait),
        ..BalancedConsumerConfig::new(zookeeper, unique("still"), [topic.name.as_str()])
    };
    let mut consumer = BalancedConsumer::new(client, config)?;
    consumer.start().await?;
    holds(&consumer, 1).await?;
    Ok(consumer)
}

fn fetching(wait: Duration) -> ConsumerConfig {
    ConsumerConfig {
        fetch: FetchConfig {
            fetch_wait_max: wait,
            max_queued_bytes: BUDGET,
            ..FetchConfig::default()
        },
        use_rdkafka: use_rdkafka(),
        ..ConsumerConfig::default()
    }
}

/// What it takes until the first message comes; then reads to the end.
async fn first_call<C: Coordination>(
    consumer: &mut Consumer<C>,
    topic: &Topic<'_>,
) -> Result<Duration> {
    let called = Instant::now();
    let mut first = None;
    let mut read = Read::default();
    while read.next(0) < topic.end(0) {
        let received = timeout(PATIENCE, consumer.recv()).await;
        let message = received.context("nothing came")??;
        first.get_or_insert_with(|| called.elapsed());
        read.take(0, message.offset(), message.value())?;
    }
    let first = first.context("there was nothing to read")?;
    ensure!(first < AT_ONCE, "the first call took {first:?}");
    Ok(first)
}
