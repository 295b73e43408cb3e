//! The receiving side, in a process of its own.
//!
//! It prints `ready` when it has received the first message, and notes when it got each of those behind it. When it has all, it
//! prints them, a line with a number and a time in nanoseconds for each.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use divvy::{
    BalancedConsumer, BalancedConsumerConfig, Client, ClientConfig, Consumer, Coordination, Handle,
    SimpleConsumer, SimpleConsumerConfig, ZooKeeperConfig,
};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::{PARTITIONS, now};

/// What a slow handler takes for each message.
const SLOWNESS: Duration = Duration::from_millis(100);

#[derive(Args, Clone)]
pub(crate) struct ReceiveArgs {
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    topic: String,
    /// The number of the first message, which may come several times; smaller ones are of no interest.
    #[arg(long)]
    first: u64,
    /// How many come behind it.
    #[arg(long)]
    messages: u64,
    /// The group's ZooKeeper, for a member of a group.
    #[arg(long, requires = "group")]
    zookeeper: Option<String>,
    #[arg(long)]
    group: Option<String>,
    /// A partition whose handler is slow; each has a handle of its own then, and this one's messages are not noted.
    #[arg(long)]
    slow: Option<i32>,
    /// Whether it is received in the program's own thread, where tokio's threads have to wake it, and not in a task of theirs.
    #[arg(long)]
    in_main: bool,
}

/// When which message was received.
struct Noted {
    first: u64,
    /// How many are still to come.
    missing: u64,
    is_ready: bool,
    times: Vec<(u64, i64)>,
}

pub(crate) fn receive(args: &ReceiveArgs) -> Result<()> {
    let runtime = Runtime::new()?;
    let noting = note_all(args.clone());
    let noted = match args.in_main {
        true => runtime.block_on(noting)?,
        false => runtime.block_on(runtime.spawn(noting))??,
    };
    let mut stdout = std::io::stdout().lock();
    for (number, time) in noted.times {
        writeln!(stdout, "{number} {time}")?;
    }
    Ok(())
}

async fn note_all(args: ReceiveArgs) -> Result<Noted> {
    let client = Client::connect(ClientConfig::bootstrap([args.bootstrap.as_str()])).await?;
    let mut noted = Noted {
        first: args.first,
        missing: args.expected(),
        is_ready: false,
        times: Vec::new(),
    };
    if let (Some(zookeeper), Some(group)) = (&args.zookeeper, &args.group) {
        let zookeeper = ZooKeeperConfig::new(zookeeper.as_str());
        let config = BalancedConsumerConfig::new(zookeeper, group.as_str(), [args.topic.as_str()]);
        let mut consumer = BalancedConsumer::new(&client, config)?;
        consumer.start().await?;
        note_from(&mut consumer, &mut noted).await?;
        consumer.close().await?;
        return Ok(noted);
    }
    let config = SimpleConsumerConfig::new([args.topic.as_str()]);
    let mut consumer = SimpleConsumer::new(&client, config)?;
    consumer.start().await?;
    match args.slow {
        None => note_from(&mut consumer, &mut noted).await?,
        Some(slow) => note_apart(&mut consumer, slow, &mut noted).await?,
    }
    Ok(noted)
}

impl ReceiveArgs {
    /// How many messages are noted: those of a slow partition are not.
    fn expected(&self) -> u64 {
        let noted = |number: &u64| match (self.slow, partition_of(*number)) {
            (Some(slow), partition) => partition != slow,
            (None, _) => true,
        };
        let numbers = self.first + 1..=self.first + self.messages;
        numbers.filter(noted).count() as u64
    }
}

/// To which partition the sender sends a message.
fn partition_of(number: u64) -> i32 {
    i32::try_from(number % PARTITIONS).unwrap_or_default()
}

impl Noted {
    /// Takes a message in. Gives whether it was the last.
    fn note(&mut self, number: u64, time: i64) -> Result<bool> {
        if number >= self.first && !self.is_ready {
            self.is_ready = true;
            let mut stdout = std::io::stdout().lock();
            writeln!(stdout, "ready")?;
            stdout.flush()?;
        }
        if number > self.first {
            self.times.push((number, time));
            self.missing = self.missing.saturating_sub(1);
        }
        Ok(self.missing == 0)
    }
}

async fn note_from<C: Coordination>(consumer: &mut Consumer<C>, noted: &mut Noted) -> Result<()> {
    loop {
        let message = consumer.recv().await?;
        let time = now();
        if noted.note(number_in(message.value())?, time)? {
            return Ok(());
        }
    }
}

/// Receives by a handle for each partition, each in a task of its own.
async fn note_apart(consumer: &mut SimpleConsumer, slow: i32, noted: &mut Noted) -> Result<()> {
    let mut tasks = JoinSet::new();
    let (sender, mut received) = mpsc::unbounded_channel();
    for (tp, handle) in consumer.partition_handles()? {
        match tp.partition == slow {
            true => tasks.spawn(dawdle(handle)),
            false => tasks.spawn(pass_on(handle, sender.clone())),
        };
    }
    loop {
        tokio::select! {
            Some((number, time)) = received.recv() => {
                if noted.note(number, time)? {
                    return Ok(());
                }
            }
            Some(ended) = tasks.join_next() => ended??,
        }
    }
}

async fn dawdle(mut handle: Handle) -> Result<()> {
    loop {
        handle.recv().await?;
        sleep(SLOWNESS).await;
    }
}

async fn pass_on(mut handle: Handle, noted: mpsc::UnboundedSender<(u64, i64)>) -> Result<()> {
    loop {
        let message = handle.recv().await?;
        let time = now();
        if noted.send((number_in(message.value())?, time)).is_err() {
            return Ok(());
        }
    }
}

fn number_in(value: Option<&[u8]>) -> Result<u64> {
    let Some(number) = value.and_then(<[u8]>::first_chunk) else {
        bail!("a message without a number");
    };
    Ok(u64::from_be_bytes(*number))
}
