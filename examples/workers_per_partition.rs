//! A member of a group with a worker for each of its partitions: messages of one partition are worked on in their order, and
//! partitions at the same time. A slow one holds up no other.
//!
//! ```text
//! cargo run -p divvy-examples --bin workers_per_partition -- 127.0.0.1:2181 billing orders
//! ```

#![allow(clippy::print_stdout, reason = "printing is what the example does")]

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use divvy::{
    AckMode, BalancedConsumer, BalancedConsumerConfig, Client, ClientConfig, Event, OwnedMessage,
    TopicPartition, ZooKeeper, ZooKeeperConfig,
};
use tokio::signal::ctrl_c;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

/// How many messages may wait for a worker. Then its partition is paused.
const QUEUE: usize = 100;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(connect), Some(group), Some(topic)) = (args.next(), args.next(), args.next()) else {
        anyhow::bail!("usage: workers_per_partition ZOOKEEPER GROUP TOPIC");
    };
    let zookeeper = ZooKeeperConfig::new(connect);
    let client =
        Client::connect(ClientConfig::zookeeper(ZooKeeper::new(zookeeper.clone())?)).await?;
    let mut config = BalancedConsumerConfig::new(zookeeper, group, [topic]);
    // A worker has a message for longer than until the next call, and finishes it itself.
    config.consumer.ack_mode = AckMode::Explicit;
    let mut consumer = BalancedConsumer::new(&client, config)?;
    let mut events = consumer.events();
    consumer.start().await?;

    let mut workers: BTreeMap<TopicPartition, mpsc::Sender<OwnedMessage>> = BTreeMap::new();
    // Holds at most one entry for each partition, which is paused until then.
    let (has_room, mut with_room) = mpsc::unbounded_channel();
    let mut asked_to_end = pin!(ctrl_c());
    loop {
        tokio::select! {
            message = consumer.recv() => {
                let message = message?.into_owned();
                let tp = message.tp.clone();
                let worker = workers.entry(tp.clone()).or_insert_with(|| {
                    let (worker, messages) = mpsc::channel(QUEUE);
                    tokio::spawn(work(tp.clone(), messages, has_room.clone()));
                    worker
                });
                // There is room, because a partition without is paused, and a worker ends only after this.
                worker.send(message).await?;
                if worker.capacity() == 0 {
                    println!("{tp} is paused");
                    // A partition that has just been revoked cannot be paused, and need not.
                    let _ = consumer.pause(&[tp]);
                }
            }
            Some(tp) = with_room.recv() => {
                let _ = consumer.resume(&[tp]);
            }
            event = events.recv() => match event {
                Ok(Event::Revoked { partitions } | Event::Lost { partitions, .. }) => {
                    for gone in partitions {
                        workers.remove(&gone.tp);
                    }
                }
                Err(RecvError::Closed) => break,
                // Others, and those that were missed: a worker that stays without need does no harm.
                _ => {}
            },
            _ = &mut asked_to_end => break,
        }
    }
    // Hands nothing out any more, waits for the workers, commits what they have finished, and leaves the group.
    consumer.close().await?;
    Ok(())
}

/// Works on the messages of one partition, one after the other.
async fn work(
    tp: TopicPartition,
    mut messages: mpsc::Receiver<OwnedMessage>,
    has_room: mpsc::UnboundedSender<TopicPartition>,
) {
    let mut was_full = false;
    while let Some(message) = messages.recv().await {
        was_full |= messages.len() + 1 >= QUEUE;
        // The partition may have gone to another member meanwhile, and all that waits here with it.
        if message.is_current() {
            let value = String::from_utf8_lossy(message.value.as_deref().unwrap_or_default());
            // Stands for the work.
            tokio::time::sleep(Duration::from_millis(1)).await;
            println!("{tp}@{}: {value}", message.offset);
            message.ack();
        }
        if was_full && messages.len() <= QUEUE / 2 {
            was_full = false;
            // Nobody is there to hear it when the program ends.
            let _ = has_room.send(tp.clone());
        }
    }
}
