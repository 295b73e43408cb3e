//! A member of a group that says itself when to commit: after each batch has been written to where it belongs.
//!
//! ```text
//! cargo run -p divvy-examples --bin commit_by_hand -- 127.0.0.1:2181 billing orders
//! ```

#![allow(clippy::print_stdout, reason = "printing is what the example does")]

use std::pin::pin;

use divvy::{
    BalancedConsumer, BalancedConsumerConfig, Batch, Client, ClientConfig, ZooKeeper,
    ZooKeeperConfig,
};
use tokio::signal::ctrl_c;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(connect), Some(group), Some(topic)) = (args.next(), args.next(), args.next()) else {
        anyhow::bail!("usage: commit_by_hand ZOOKEEPER GROUP TOPIC");
    };
    let zookeeper = ZooKeeperConfig::new(connect);
    let client =
        Client::connect(ClientConfig::zookeeper(ZooKeeper::new(zookeeper.clone())?)).await?;
    let mut config = BalancedConsumerConfig::new(zookeeper, group, [topic]);
    // Nothing is committed but on request, not even when the group is left.
    config.consumer.auto_commit_interval = None;
    let mut consumer = BalancedConsumer::new(&client, config)?;
    consumer.start().await?;

    let mut asked_to_end = pin!(ctrl_c());
    loop {
        let batch = tokio::select! {
            batch = consumer.next_batch() => batch?,
            _ = &mut asked_to_end => break,
        };
        // An error here ends the program before the commit, and the batch comes again.
        write_down(batch)?;
        // Commits exactly what was taken out of the batch. What fails by itself for a moment has been tried again within.
        consumer.commit().await?;
    }
    consumer.close().await?;
    Ok(())
}

/// Stands for the work: a database, a file, another service.
fn write_down(mut batch: Batch<'_>) -> anyhow::Result<()> {
    let partition = batch.partition().clone();
    let count = batch.records().count();
    println!("{partition}: {count} messages written");
    Ok(())
}
