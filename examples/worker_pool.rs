//! A pool of workers behind a spout: they finish messages in any order, and some of them not at the first try.
//!
//! ```text
//! cargo run -p divvy-examples --bin worker_pool -- 127.0.0.1:2181 billing orders failed-orders
//! ```
//!
//! - Nothing is lost: what no worker has finished comes again, here or, when this member dies, at its successor.
//! - What fails is tried again after a pause. What has failed too often goes to another topic, with its key and value, and
//!   holds nothing up. Both topics must exist.
//! - At most so many messages are in flight, so a slow worker slows the reading down and costs no memory.
//! - Ctrl-C, or a polite kill, stops the handing out, waits for the workers, commits, and leaves the group.
//!
//! Start it several times, and the members share the partitions. It prints `ack`, `fail` or `dead` with the id and value of each
//! message, before it tells the spout.

#![allow(clippy::print_stdout, reason = "printing is what the example does")]

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use divvy::spout::{After, DeadLetter, DeadLetters, RetryPolicy};
use divvy::{
    AckMode, BalancedConsumer, BalancedConsumerConfig, Client, ClientConfig, Producer,
    ProducerConfig, ProducerRecord, SpoutAcker, SpoutConfig, SpoutMessage, ZooKeeper,
    ZooKeeperConfig,
};
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

/// The topic of what has failed too often.
struct FailedTopic {
    producer: Producer,
    topic: Arc<str>,
}

#[async_trait]
impl DeadLetters for FailedTopic {
    async fn bury(
        &self,
        letter: &DeadLetter,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let message = &letter.message;
        let record = ProducerRecord {
            topic: Arc::clone(&self.topic),
            partition: None,
            key: message.key.clone(),
            value: message.value.clone(),
            timestamp: message.timestamp,
            headers: message.headers.clone(),
        };
        // The message counts as finished only when the brokers have this.
        self.producer.send(record).await?.await?;
        say("dead", message);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [zookeeper, group, topic, failed] = &args[..] else {
        anyhow::bail!("usage: worker_pool ZOOKEEPER GROUP TOPIC FAILED_TOPIC");
    };
    let mut zookeeper = ZooKeeperConfig::new(zookeeper);
    // Short, so that the partitions of a member that dies are soon read on.
    zookeeper.session_timeout = Duration::from_secs(4);
    let client =
        Client::connect(ClientConfig::zookeeper(ZooKeeper::new(zookeeper.clone())?)).await?;
    let producer = Producer::new(&client, ProducerConfig::default())?;

    let mut config = BalancedConsumerConfig::new(zookeeper, group, [topic]);
    // What a spout hands out is finished by its acknowledgement alone.
    config.consumer.ack_mode = AckMode::Explicit;
    config.consumer.auto_commit_interval = Some(Duration::from_millis(500));
    let mut consumer = BalancedConsumer::new(&client, config)?;
    consumer.start().await?;
    let mut spout = consumer.spout(SpoutConfig {
        max_in_flight: 200,
        max_in_flight_per_partition: 100,
        in_flight_timeout: Some(Duration::from_secs(30)),
        retry: RetryPolicy {
            initial: Duration::from_millis(50),
            factor: 1.5,
            limit: Some(6),
            after: After::DeadLetter(Arc::new(FailedTopic {
                producer: producer.clone(),
                topic: failed.as_str().into(),
            })),
            ..RetryPolicy::default()
        },
        ..SpoutConfig::new()
    })?;

    let mut workers = JoinSet::new();
    let mut asked_to_end = pin!(asked_to_end()?);
    loop {
        let messages = tokio::select! {
            messages = spout.next_many(100, Duration::from_secs(1)) => messages?,
            () = &mut asked_to_end => break,
        };
        for message in messages {
            workers.spawn(work(spout.acker(), message));
        }
        while workers.try_join_next().is_some() {}
    }
    let acker = spout.acker();
    // Nothing more is handed out. Closing waits for what is in flight, and not for what would have been tried again.
    drop(spout);
    consumer.close().await?;
    producer.close(Duration::from_secs(10)).await?;
    println!("{:?}", acker.stats());
    Ok(())
}

/// Completes when the program is to end. It listens from the moment of the call.
fn asked_to_end() -> anyhow::Result<impl Future<Output = ()>> {
    let mut term = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = ctrl_c() => {}
            _ = term.recv() => {}
        }
    })
}

/// A worker's share of one message.
async fn work(acker: SpoutAcker, message: SpoutMessage) {
    // An acknowledgement that comes too late has no effect: the message is somebody else's by then, and comes again there.
    if work_off(&message).await {
        say("ack", &message);
        acker.ack(&message.id);
    } else {
        say("fail", &message);
        acker.fail(&message.id);
    }
}

/// Stands for the work: it takes up to 50 ms, one in ten fails, and what ends in 99 always.
async fn work_off(message: &SpoutMessage) -> bool {
    tokio::time::sleep(Duration::from_millis(rand::random_range(0..50))).await;
    let value = message.value.as_deref().unwrap_or_default();
    !value.ends_with(b"99") && rand::random_range(0..10) != 0
}

fn say(what: &str, message: &SpoutMessage) {
    let value = message.value.as_deref().unwrap_or_default();
    println!("{what} {} {}", message.id, String::from_utf8_lossy(value));
}
