//! A consumer that stops reading for a while, in a process of its own, so that its memory can be looked at:
//!
//! ```text
//! cargo run -p divvy-tests --bin reader -- 127.0.0.1:9092 orders [PARTITION…]
//! ```
//!
//! It receives one message, prints `holds` and asks for nothing until it is given a line. Where partitions are named, only these
//! stop, and the others are read on, each by a task of its own. Each time that nothing more comes, it prints `read N`, the number
//! of messages so far.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use divvy::{Client, ClientConfig, Handle, SimpleConsumer, SimpleConsumerConfig};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{interval, timeout};

/// How long nothing may come before it is said what came.
const IDLE: Duration = Duration::from_millis(500);

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: reader BOOTSTRAP TOPIC [PARTITION…]";
    let bootstrap = arguments.next().context(usage)?;
    let topic = arguments.next().context(usage)?;
    let stopping: Result<Vec<i32>, _> = arguments.map(|argument| argument.parse()).collect();
    let stopping = stopping.context(usage)?;
    Runtime::new()?.block_on(async {
        let client = Client::connect(ClientConfig::bootstrap([bootstrap])).await?;
        let mut config = SimpleConsumerConfig::new([topic]);
        config.consumer.use_rdkafka = divvy_tests::use_rdkafka();
        let mut consumer = SimpleConsumer::new(&client, config)?;
        consumer.start().await?;
        match stopping.is_empty() {
            true => read(&mut consumer).await,
            false => read_apart(&mut consumer, &stopping).await,
        }
    })
}

async fn read(consumer: &mut SimpleConsumer) -> Result<()> {
    consumer.recv().await?;
    say("holds")?;
    line().await?;
    let mut messages = 1;
    loop {
        match timeout(IDLE, consumer.next_batch()).await {
            Ok(batch) => messages += batch?.records().count(),
            Err(_) => say(&format!("read {messages}"))?,
        }
    }
}

async fn read_apart(consumer: &mut SimpleConsumer, stopping: &[i32]) -> Result<()> {
    let messages = Arc::new(AtomicUsize::new(0));
    let (let_go, goes_on) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for (tp, handle) in consumer.partition_handles()? {
        let goes_on = match stopping.contains(&tp.partition) {
            true => Some(goes_on.clone()),
            false => None,
        };
        tasks.spawn(count(handle, Arc::clone(&messages), goes_on));
    }
    tasks.spawn(async move {
        line().await?;
        let_go.send(true)?;
        std::future::pending().await
    });
    let mut looks = interval(IDLE);
    let mut last = 0;
    loop {
        tokio::select! {
            Some(ended) = tasks.join_next() => ended??,
            _ = looks.tick() => {
                let now = messages.load(Ordering::Relaxed);
                if now == last {
                    say(&format!("read {now}"))?;
                }
                last = now;
            }
        }
    }
}

/// Counts what is received, and stops behind the first message until it may go on.
async fn count(
    mut handle: Handle,
    messages: Arc<AtomicUsize>,
    goes_on: Option<watch::Receiver<bool>>,
) -> Result<()> {
    if let Some(mut goes_on) = goes_on {
        handle.recv().await?;
        messages.fetch_add(1, Ordering::Relaxed);
        goes_on.wait_for(|goes_on| *goes_on).await?;
    }
    loop {
        let count = handle.next_batch().await?.records().count();
        messages.fetch_add(count, Ordering::Relaxed);
    }
}

async fn line() -> Result<()> {
    spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
    Ok(())
}

fn say(line: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}
