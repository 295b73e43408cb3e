//! The producer against brokers that answer as a test tells them to.

#![allow(clippy::unwrap_used, reason = "what is wrong in a test may panic")]

mod cluster;
mod delivery;
mod faults;
mod keys;
mod many;

use std::time::Duration;

use divvy_client::{BrokerVersionSetting, Client, ClientConfig};
use divvy_producer::{Producer, ProducerConfig, ProducerRecord};
use divvy_protocol::BrokerVersion;
use tokio::time::timeout;

use self::cluster::Cluster;

/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

async fn client(cluster: &Cluster) -> Client {
    let mut config = ClientConfig::bootstrap([cluster.bootstrap()]);
    config.broker_version = BrokerVersionSetting::Fixed(BrokerVersion::V0_9);
    config.backoff = Duration::from_millis(10);
    Client::connect(config).await.unwrap()
}

async fn producer(cluster: &Cluster, change: impl FnOnce(&mut ProducerConfig)) -> Producer {
    let mut config = ProducerConfig {
        linger: Duration::ZERO,
        retry_backoff: Duration::from_millis(10),
        ..ProducerConfig::default()
    };
    change(&mut config);
    Producer::new(&client(cluster).await, config).unwrap()
}

/// A record for a partition of the topic that every cluster here has.
fn record(partition: i32, value: impl Into<String>) -> ProducerRecord {
    ProducerRecord {
        partition: Some(partition),
        ..ProducerRecord::new("t", value.into())
    }
}

/// What comes within the patience of these tests.
async fn soon<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("it takes too long")
}

/// Lets the other tasks go on until this holds.
async fn until(mut holds: impl FnMut() -> bool) {
    soon(async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
