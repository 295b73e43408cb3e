//! A handler that keeps its thread for longer than a session lasts.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use divvy::zookeeper::{Config, ZooKeeper};
use divvy::{BalancedConsumer, BalancedConsumerConfig, Client, ClientConfig};
use divvy_tests::group::{PATIENCE, show};
use divvy_tests::{Cluster, Group, KafkaVersion, on_embedded, on_kafka_0_8_2_2, wait_for};

on_embedded!(a_handler_that_burns_the_processor_costs_no_partition);
on_kafka_0_8_2_2!(a_handler_that_burns_the_processor_costs_no_partition);

/// The shortest session that the cluster grants.
const SESSION_TIMEOUT: Duration = Duration::from_secs(1);
const BURNING: Duration = Duration::from_secs(5);

/// A member whose handler computes for five session timeouts, on a runtime of one thread, keeps its session and its partitions.
fn a_handler_that_burns_the_processor_costs_no_partition(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, &[8])?.session_timeout(SESSION_TIMEOUT);
    let producers = group.produce(100)?;
    let other = group.enter()?;

    let mut zookeeper = Config::new(cluster.zookeeper_connect());
    zookeeper.session_timeout = SESSION_TIMEOUT;
    let topic = group.topic().to_owned();
    let mut config = BalancedConsumerConfig::new(zookeeper, &group.name, [topic]);
    config.consumer.use_rdkafka = divvy_tests::use_rdkafka();
    let (began, beginning) = mpsc::channel();
    let handler = thread::spawn(move || burn(config, &began));
    beginning
        .recv_timeout(PATIENCE)
        .context("the handler got no message")?;

    // It was handed a message, so it owns its share.
    let owners = group.owners()?;
    ensure!(
        owners.len() == 8 && group.owned_by(other, &owners).len() == 4,
        "{}",
        show(&owners)
    );
    let burning = Instant::now();
    wait_for(PATIENCE, "the handler", || {
        handler.is_finished() || group.nothing_moved_since(&owners).is_err()
    })?;
    ensure!(
        burning.elapsed() >= BURNING - SESSION_TIMEOUT,
        "after {:?} owners are\n{}and were\n{}",
        burning.elapsed(),
        show(&group.owners()?),
        show(&owners)
    );
    match handler.join() {
        Ok(burned) => burned?,
        Err(_) => anyhow::bail!("the handler has panicked"),
    }
    for (_, producer) in producers {
        producer.stop()?;
    }
    Ok(())
}

/// Joins, takes one message, and computes. Its partitions are gone when it returns.
fn burn(config: BalancedConsumerConfig, began: &mpsc::Sender<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let zookeeper = ZooKeeper::new(config.zookeeper.clone())?;
        let client = Client::connect(ClientConfig::zookeeper(zookeeper)).await?;
        let mut consumer = BalancedConsumer::new(&client, config)?;
        consumer.start().await?;
        let message = consumer.recv().await?;
        let mut digest = message.offset().unsigned_abs();
        began.send(())?;
        let until = Instant::now() + BURNING;
        while Instant::now() < until {
            digest =
                std::hint::black_box(digest.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(7));
        }
        consumer.close().await?;
        Ok(())
    })
}
