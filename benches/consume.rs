//! Measures reading a topic by batches, once, from its first message to what was its end at the beginning.
//!
//! ```text
//! cargo run --release -p divvy-benches --bin consume -- --bootstrap 127.0.0.1:9092 --topic orders
//! ```
//!
//! Checksums are verified, nothing is committed, and every value is touched. The clock starts before the partitions are looked
//! up; what is counted as CPU is the time of the whole process in that while, in user and kernel mode.

#![allow(clippy::print_stdout, reason = "the measurement is printed")]

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Parser;
use divvy::{Batch, Client, ClientConfig, SimpleConsumer, SimpleConsumerConfig, TopicPartition};
use rustix::time::{ClockId, clock_gettime};
use tokio::time::timeout;

/// How long no message may come before the positions are looked at: a log may end with what is never handed out.
const IDLE: Duration = Duration::from_millis(200);
/// How long no message may come before it is an error.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Parser)]
struct Args {
    /// Brokers to ask first, host:port[,host:port…].
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap: String,
    /// The topic to read.
    #[arg(long)]
    topic: String,
    /// Do everything on one thread.
    #[arg(long)]
    single_threaded: bool,
}

/// What was read, and what that took.
#[derive(Default)]
struct Measured {
    messages: u64,
    bytes: u64,
    /// The sum of the first byte of every value, so that none is skipped.
    value_sum: u64,
    wall: Duration,
    cpu: Duration,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut builder = match args.single_threaded {
        true => tokio::runtime::Builder::new_current_thread(),
        false => tokio::runtime::Builder::new_multi_thread(),
    };
    let measured = builder.enable_all().build()?.block_on(consume(&args))?;
    measured.print();
    Ok(())
}

async fn consume(args: &Args) -> Result<Measured> {
    let client = Client::connect(ClientConfig::bootstrap([args.bootstrap.as_str()])).await?;
    let config = SimpleConsumerConfig::new([args.topic.as_str()]);
    let mut consumer = SimpleConsumer::new(&client, config)?;

    let (began, cpu_before) = (Instant::now(), cpu_time());
    consumer.start().await?;
    let tps: Vec<TopicPartition> = consumer
        .assignments()
        .into_iter()
        .map(|assignment| assignment.tp)
        .collect();
    let mut unread = consumer.end_offsets(&tps).await?;
    let mut measured = Measured::default();
    let mut last = Instant::now();
    loop {
        unread.retain(|tp, end| consumer.position(tp).is_ok_and(|position| position < *end));
        if unread.is_empty() {
            break;
        }
        match timeout(IDLE, consumer.next_batch()).await {
            Ok(batch) => {
                measured.count(batch?);
                last = Instant::now();
            }
            Err(_) if last.elapsed() > PATIENCE => {
                let unread: Vec<String> = unread.keys().map(ToString::to_string).collect();
                bail!("no message came for {PATIENCE:?} of {}", unread.join(", "));
            }
            Err(_) => {}
        }
    }
    measured.wall = began.elapsed();
    measured.cpu = cpu_time().saturating_sub(cpu_before);
    consumer.close().await?;
    if measured.messages == 0 {
        bail!("topic `{}` holds no message", args.topic);
    }
    Ok(measured)
}

impl Measured {
    fn count(&mut self, mut batch: Batch<'_>) {
        for record in batch.records() {
            let (key, value) = (
                record.key.unwrap_or_default(),
                record.value.unwrap_or_default(),
            );
            self.messages += 1;
            self.bytes += (key.len() + value.len()) as u64;
            self.value_sum += u64::from(value.first().copied().unwrap_or_default());
        }
    }

    fn print(&self) {
        let seconds = self.wall.as_secs_f64();
        let (messages, bytes) = (self.messages as f64, self.bytes as f64);
        println!("messages    {}", self.messages);
        println!("seconds     {seconds:.3}");
        println!("msg/s       {:.0}", messages / seconds);
        println!("MB/s        {:.1}", bytes / seconds / 1e6);
        println!("CPU ns/msg  {:.0}", self.cpu.as_nanos() as f64 / messages);
        println!("value sum   {}", self.value_sum);
    }
}

/// What the process has used up so far.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let part = |value: i64| u64::try_from(value).unwrap_or_default();
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}
