//! A member of a group whose handler takes its time with each message:
//!
//! ```text
//! cargo run -p divvy-tests --bin handler -- 127.0.0.1:2181 billing orders 20 [FETCH_BYTES]
//! ```
//!
//! The fourth argument is how long one message takes, in milliseconds. It commits several times a second, and fetches no more than
//! `FETCH_BYTES` of a partition at a time. It prints its id once it has joined, and runs until it is killed.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use divvy::{
    BalancedConsumer, BalancedConsumerConfig, Client, ClientConfig, ZooKeeper, ZooKeeperConfig,
};
use divvy_tests::wait::pass;

/// Many of these fit into the time over which rates are counted.
const COMMIT_INTERVAL: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next();
    let usage = "usage: handler ZOOKEEPER GROUP TOPIC MILLISECONDS [FETCH_BYTES]";
    let zookeeper = ZooKeeperConfig::new(next().context(usage)?);
    let (group, topic) = (next().context(usage)?, next().context(usage)?);
    let takes = Duration::from_millis(next().context(usage)?.parse()?);
    let client = ClientConfig::zookeeper(ZooKeeper::new(zookeeper.clone())?);
    let client = Client::connect(client).await?;
    let mut config = BalancedConsumerConfig::new(zookeeper, group, [topic]);
    config.consumer.auto_commit_interval = Some(COMMIT_INTERVAL);
    if let Some(bytes) = next() {
        config.consumer.fetch.fetch_message_max_bytes = bytes.parse()?;
    }
    let mut consumer = BalancedConsumer::new(&client, config)?;
    consumer.start().await?;
    writeln!(std::io::stdout(), "{}", consumer.consumer_id())?;
    loop {
        consumer.recv().await?;
        if !takes.is_zero() {
            pass(takes).await;
        }
    }
}
