//! What an application sees when ZooKeeper or brokers cannot be reached, and what it has to do: as a rule nothing.
//!
//! ```text
//! cargo run -p divvy-examples --bin connection_loss -- 127.0.0.1:2181 billing orders
//! ```
//!
//! Stop and start brokers and ZooKeeper servers while it runs. Connections are made again for ever, with pauses that grow, and no
//! message is lost. Meanwhile events tell what is going on:
//!
//! - `suspended`: ZooKeeper has not answered for so long that others may soon take the partitions over. Nothing is handed out.
//! - `resumed`: it has answered, and the partitions are still this member's. It goes on where it stood.
//! - `lost`: they are somebody else's. What was handed out and not committed is handed out again there.
//! - `trouble`: something else that is tried again.
//!
//! Only what nobody can mend by waiting ends the program.

#![allow(clippy::print_stdout, reason = "printing is what the example does")]

use std::pin::pin;

use divvy::{
    Assignment, BalancedConsumer, BalancedConsumerConfig, Client, ClientConfig, Event, ZooKeeper,
    ZooKeeperConfig,
};
use tokio::signal::ctrl_c;
use tokio::sync::broadcast;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(connect), Some(group), Some(topic)) = (args.next(), args.next(), args.next()) else {
        anyhow::bail!("usage: connection_loss ZOOKEEPER GROUP TOPIC");
    };
    let zookeeper = ZooKeeperConfig::new(connect);
    let client =
        Client::connect(ClientConfig::zookeeper(ZooKeeper::new(zookeeper.clone())?)).await?;
    let config = BalancedConsumerConfig::new(zookeeper, group, [topic]);
    let mut consumer = BalancedConsumer::new(&client, config)?;
    // In a task of its own, so that it speaks while the consumer waits.
    let watcher = tokio::spawn(watch(consumer.events()));
    // The first contact is tried for some seconds only: a wrong address should not wait for ever.
    consumer.start().await?;

    let mut asked_to_end = pin!(ctrl_c());
    loop {
        let received = tokio::select! {
            received = consumer.recv() => received,
            _ = &mut asked_to_end => break,
        };
        match received {
            Ok(message) => {
                let value = String::from_utf8_lossy(message.value().unwrap_or_default());
                println!("{}@{}: {value}", message.partition(), message.offset());
                // Work that takes long looks again before it changes anything elsewhere.
                if !message.is_current() {
                    println!("{} may be somebody else's by now", message.partition());
                }
            }
            // The next call tries again.
            Err(error) if error.is_retriable() => println!("trouble: {error}"),
            // One partition stands still, before a damaged message for example. The others go on.
            Err(error) if error.halted_partition().is_some() => println!("halted: {error}"),
            Err(error) => return Err(error.into()),
        }
    }
    // Without ZooKeeper it gives up after some seconds. The partitions are free when the session is over.
    if let Err(error) = consumer.close().await {
        println!("trouble: {error}");
    }
    watcher.abort();
    Ok(())
}

async fn watch(mut events: broadcast::Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(Event::Assigned { partitions }) => println!("assigned: {}", list(&partitions)),
            Ok(Event::Revoked { partitions }) => println!("revoked: {}", list(&partitions)),
            Ok(Event::Suspended { partitions }) => println!("suspended: {}", list(&partitions)),
            Ok(Event::Resumed { partitions }) => println!("resumed: {}", list(&partitions)),
            Ok(Event::Lost { partitions, reason }) => {
                println!("lost: {}, because {reason}", list(&partitions));
            }
            Ok(Event::Error { message }) => println!("trouble: {message}"),
            // There are more, for whoever wants to know.
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(missed)) => println!("{missed} events missed"),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

fn list(partitions: &[Assignment]) -> String {
    let tps = partitions.iter().map(|held| held.tp.to_string());
    tps.collect::<Vec<_>>().join(", ")
}
