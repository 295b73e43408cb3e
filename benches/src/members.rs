//! Measures a group whose members all live in this process, each with its own connections and its own ZooKeeper session.
//!
//! The clock runs from when every member has its share to the last message. Until then each fetches ahead, 64 MiB in all.

#![allow(clippy::print_stdout, reason = "the measurement is printed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use divvy::{BalancedConsumer, BalancedConsumerConfig, Client, ClientConfig, ZooKeeperConfig};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::measure::{Began, Tally};

/// The very code of `divvy bench`, so that all contenders count alike.
#[allow(dead_code, reason = "messages are counted by their members here")]
#[path = "../../crates/cli/src/bench/measure.rs"]
mod measure;

/// How much the members fetch ahead in all, and each of them at least.
const QUEUED: usize = 64 << 20;
const QUEUED_EACH: usize = 1 << 20;
/// How often a member without messages looks whether all is read.
const LOOK: Duration = Duration::from_millis(20);
/// How long joining may take, and how long reading.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Parser)]
struct Args {
    /// Brokers to ask first, host:port[,host:port…].
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap: String,
    /// Where the group meets.
    #[arg(long, value_name = "CONNECT")]
    zookeeper: String,
    /// A group that was never there.
    #[arg(long)]
    group: String,
    /// The topic to read.
    #[arg(long)]
    topic: String,
    /// How many messages it holds.
    #[arg(long, value_name = "N")]
    messages: u64,
    /// How many members share it.
    #[arg(long, value_name = "N")]
    members: usize,
}

/// What all members have read.
#[derive(Debug, Default)]
struct Sum {
    messages: AtomicU64,
    bytes: AtomicU64,
    value_sum: AtomicU64,
}

fn main() -> Result<()> {
    // The helper that frees a dead member's partitions is this program too.
    divvy::crash_release::run_if_asked();
    run(Args::parse())
}

#[tokio::main]
async fn run(args: Args) -> Result<()> {
    let mut members = Vec::new();
    for _ in 0..args.members {
        members.push(join(&args).await?);
    }
    let deadline = Instant::now() + PATIENCE;
    while !members.iter().all(|member| member.is_settled()) {
        ensure!(Instant::now() < deadline, "the group does not settle");
        sleep(LOOK).await;
    }

    let began = Began::now();
    let sum = Arc::new(Sum::default());
    let mut reading = JoinSet::new();
    for member in members {
        reading.spawn(read(member, args.messages, Arc::clone(&sum)));
    }
    let mut read = Vec::new();
    while let Some(member) = reading.join_next().await {
        read.push(member??);
    }
    let tally = Tally::default();
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    tally.add_many(of(&sum.messages), of(&sum.bytes), of(&sum.value_sum));
    let measured = began.measured(&tally, true);
    for member in read {
        member.close().await?;
    }
    measured.print(true)
}

async fn join(args: &Args) -> Result<BalancedConsumer> {
    let client = Client::connect(ClientConfig::bootstrap([args.bootstrap.as_str()])).await?;
    let zookeeper = ZooKeeperConfig::new(args.zookeeper.as_str());
    let mut config =
        BalancedConsumerConfig::new(zookeeper, args.group.as_str(), [args.topic.as_str()]);
    config.consumer.fetch.max_queued_bytes = (QUEUED / args.members.max(1)).max(QUEUED_EACH);
    let mut member = BalancedConsumer::new(&client, config)?;
    member.start().await?;
    Ok(member)
}

/// Reads a member's share until all of them together have read everything.
async fn read(
    mut member: BalancedConsumer,
    messages: u64,
    sum: Arc<Sum>,
) -> Result<BalancedConsumer> {
    let deadline = Instant::now() + PATIENCE;
    while sum.messages.load(Ordering::Relaxed) < messages {
        let Ok(batch) = timeout(LOOK, member.next_batch()).await else {
            let read = sum.messages.load(Ordering::Relaxed);
            ensure!(
                Instant::now() < deadline,
                "the members have read {read} of {messages} messages"
            );
            continue;
        };
        let (mut count, mut bytes, mut value_sum) = (0, 0, 0);
        for record in batch?.records() {
            let value = record.value.unwrap_or_default();
            count += 1;
            bytes += value.len() as u64;
            value_sum += u64::from(value.first().copied().unwrap_or_default());
        }
        sum.bytes.fetch_add(bytes, Ordering::Relaxed);
        sum.value_sum.fetch_add(value_sum, Ordering::Relaxed);
        sum.messages.fetch_add(count, Ordering::Relaxed);
    }
    Ok(member)
}
