//! A member of a group: prints its share of a topic. Start it several times, and the members share the partitions.
//!
//! ```text
//! cargo run -p divvy-examples --bin balanced_consumer -- 127.0.0.1:2181 billing orders
//! ```

#![allow(clippy::print_stdout, reason = "printing is what the example does")]

use std::pin::pin;

use divvy::{
    BalancedConsumer, BalancedConsumerConfig, Client, ClientConfig, ZooKeeper, ZooKeeperConfig,
};
use tokio::signal::ctrl_c;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(connect), Some(group), Some(topic)) = (args.next(), args.next(), args.next()) else {
        anyhow::bail!("usage: balanced_consumer ZOOKEEPER GROUP TOPIC");
    };
    let zookeeper = ZooKeeperConfig::new(connect);
    let client =
        Client::connect(ClientConfig::zookeeper(ZooKeeper::new(zookeeper.clone())?)).await?;
    let config = BalancedConsumerConfig::new(zookeeper, group, [topic]);
    let mut consumer = BalancedConsumer::new(&client, config)?;
    consumer.start().await?;

    let mut asked_to_end = pin!(ctrl_c());
    loop {
        // Asking for the next message finishes the one before: from then on its offset may be committed.
        let message = tokio::select! {
            message = consumer.recv() => message?,
            _ = &mut asked_to_end => break,
        };
        let value = String::from_utf8_lossy(message.value().unwrap_or_default());
        println!("{}@{}: {value}", message.partition(), message.offset());
    }
    // Commits what is finished and leaves the group, so that the others take over at once.
    consumer.close().await?;
    Ok(())
}
