mod lines;
mod partitioning;
mod report;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use clap::Args;
use divvy::{Acks, Compression, Producer, ProducerConfig, ProducerError, ProducerRecord};
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::lines::Line;
use self::partitioning::Partitioning;
use self::report::{Reporter, Sent, show_failure};
use crate::metrics::MetricsOptions;
use crate::options::{BackendOptions, ClusterOptions, duration};
use crate::signals;

/// Cluster look-ups need a session, but nothing hangs on its timeout.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
/// How often progress is shown.
const PROGRESS: Duration = Duration::from_millis(500);
/// How long reporting may go on after the last message has its outcome.
const LAST_REPORTS: Duration = Duration::from_secs(5);

/// Write the lines of stdin to a topic, one message each.
///
/// Lines go to the partitions in turns, unless they have a key, or --partition or --partitioner is given. Ends when stdin does and everything is
/// acknowledged. SIGTERM and SIGINT end the reading, and what was sent is delivered; a second one gives that up. What is not
/// delivered is told on stderr, and then the exit code is 1.
#[derive(Args)]
pub(crate) struct Produce {
    #[command(flatten)]
    cluster: ClusterOptions,

    /// The topic to write to. It must exist, unless --allow-auto-create-topics is given.
    #[arg(short, long)]
    topic: String,

    /// Write to this partition only.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,

    /// What chooses the partition of each message, without --partition.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "default",
        conflicts_with = "partition"
    )]
    partitioner: Partitioning,

    /// Ask for a topic that does not exist by its name, which creates it where the brokers' auto.create.topics.enable is true.
    #[arg(long)]
    allow_auto_create_topics: bool,

    /// What stands between a key and its value in each line (\t for a tab). Lines without it have no key.
    #[arg(short = 'K', long, value_name = "TEXT", value_parser = delimiter)]
    key_delimiter: Option<String>,

    /// The codec of whole batches: none, gzip, snappy, lz4 or zstd (brokers from 2.1 on).
    #[arg(long, value_name = "CODEC", default_value = "none")]
    compression: Compression,

    /// Who must have a message before it counts as delivered: 0 nobody, 1 the leader, all every replica in sync.
    #[arg(long, value_name = "0|1|all", default_value = "all", value_parser = acks)]
    acks: Acks,

    /// How long a message may wait for others to share its batch.
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = duration_or_zero)]
    linger: Duration,

    /// How many bytes a batch gathers.
    #[arg(long, value_name = "BYTES", default_value_t = 128 << 10)]
    batch_bytes: usize,

    /// How many bytes of messages may wait for their acknowledgement in all.
    #[arg(long, value_name = "BYTES", default_value_t = 32 << 20)]
    max_in_flight_bytes: usize,

    /// The largest message, with its overhead of up to 97 bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 1_000_012)]
    max_message_bytes: usize,

    /// How long delivering a message may take, with every retry.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration)]
    delivery_timeout: Duration,

    #[command(flatten)]
    backend: BackendOptions,

    #[command(flatten)]
    metrics: MetricsOptions,

    /// Print a line of JSON on stdout for each acknowledged message: topic, partition, offset, key and value.
    #[arg(long)]
    report: bool,

    /// Show on stderr how many messages were read and acknowledged (the default on a terminal when stdin comes from elsewhere).
    #[arg(long)]
    progress: bool,
}

pub(crate) async fn run(args: Produce) -> Result<()> {
    let config = args.backend.apply_to_producer(args.config())?;
    config.validate().map_err(plain)?;
    args.metrics.start().await?;
    let client = args.cluster.connect(SESSION_TIMEOUT).await?;
    let producer = Producer::new(&client, config).map_err(plain)?;
    let partitions = producer.partitions_for(&args.topic).await.map_err(plain)?;
    if let Some(partition) = args.partition.filter(|one| !partitions.contains(one)) {
        return Err(anyhow!(
            "topic `{}` has no partition {partition}; it has {}",
            args.topic,
            partitions.len()
        ));
    }
    let mut pump = Pump {
        reporter: Reporter::start(args.report)?,
        progress: Progress::new(args.progress),
        topic: Arc::from(args.topic.as_str()),
        args,
        producer,
        read: 0,
        refused: 0,
    };
    let pumped = tokio::select! {
        pumped = pump.pump() => pumped,
        asked = signals::asked_to_end() => asked,
    };
    let ended = pump.end().await;
    pumped.and(ended)
}

impl Produce {
    fn config(&self) -> ProducerConfig {
        let max_request_size = self.max_message_bytes.min(self.max_in_flight_bytes);
        ProducerConfig {
            acks: self.acks,
            compression: self.compression,
            linger: self.linger,
            batch_size: self.batch_bytes.min(max_request_size),
            buffer_memory: self.max_in_flight_bytes,
            max_request_size,
            request_timeout: self.cluster.request_timeout,
            delivery_timeout: self.delivery_timeout,
            allow_auto_create_topics: self.allow_auto_create_topics,
            partitioner: self.partitioner.partitioner(),
            ..ProducerConfig::default()
        }
    }
}

struct Pump {
    args: Produce,
    topic: Arc<str>,
    producer: Producer,
    reporter: Reporter,
    progress: Progress,
    /// How many lines were read.
    read: u64,
    /// How many of them the producer did not take.
    refused: u64,
}

impl Pump {
    /// Sends every line of stdin. When cancelled, the reporter knows of every message that was sent.
    async fn pump(&mut self) -> Result<()> {
        let mut lines = lines::of_stdin(self.args.max_message_bytes)?;
        let mut tick = interval(PROGRESS);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                block = lines.recv() => match block {
                    None => return Ok(()),
                    Some(block) => {
                        for line in block.context("stdin cannot be read")? {
                            self.send(line).await?;
                        }
                    }
                },
                _ = tick.tick() => self.show_progress(),
            }
        }
    }

    async fn send(&mut self, line: Line) -> Result<()> {
        self.read += 1;
        let line = match line {
            Line::Whole(line) => line,
            Line::TooLong(size) => {
                self.refuse(
                    b"",
                    &too_large(&self.topic, size, self.args.max_message_bytes),
                );
                return Ok(());
            }
        };
        let (key, value) = split(&line, self.args.key_delimiter.as_deref());
        let record = ProducerRecord {
            partition: self.args.partition,
            key: key.clone(),
            ..ProducerRecord::new(Arc::clone(&self.topic), value.clone())
        };
        let Some(report) = self.reporter.reserve().await else {
            return Err(anyhow!("stdout cannot be written any more"));
        };
        let error = match self.producer.send(record).await {
            Ok(delivery) => {
                report.send(Sent {
                    key,
                    value,
                    delivery,
                });
                return Ok(());
            }
            Err(error) => error,
        };
        drop(report);
        if matches!(error, ProducerError::Closed) {
            return Err(plain(error));
        }
        self.refuse(&value, &error);
        Ok(())
    }

    fn refuse(&mut self, value: &[u8], error: &ProducerError) {
        self.refused += 1;
        show_failure(value, error);
    }

    /// Delivers what was read, unless the user asks to end once more, and tells of all of it.
    async fn end(self) -> Result<()> {
        let mut tick = interval(PROGRESS);
        let producer = self.producer.clone();
        let mut closing = std::pin::pin!(producer.close(self.args.delivery_timeout));
        let mut again = std::pin::pin!(signals::asked_to_end());
        loop {
            tokio::select! {
                // What failed is told message by message.
                _ = &mut closing => break,
                _ = &mut again => {
                    let _ = self.producer.close(Duration::ZERO).await;
                    break;
                }
                _ = tick.tick() => self.show_progress(),
            }
        }
        let finished = tokio::time::timeout(LAST_REPORTS, self.reporter.finish()).await;
        let counts = finished
            .map_err(|_| anyhow!("nobody reads stdout; not every acknowledgement was reported"))?
            .context("cannot write to stdout")?;
        self.progress.end(self.read, counts.delivered);
        match counts.failed + self.refused {
            0 => Ok(()),
            failed => Err(anyhow!(
                "{failed} of {} message(s) were not delivered",
                self.read
            )),
        }
    }

    fn show_progress(&self) {
        self.progress
            .show(self.read, self.reporter.counts().delivered);
    }
}

/// The key and the value of a line.
fn split(line: &Bytes, delimiter: Option<&str>) -> (Option<Bytes>, Bytes) {
    let found = delimiter.map(str::as_bytes).and_then(|delimiter| {
        let mut windows = line.windows(delimiter.len().max(1));
        let at = windows.position(|window| window == delimiter)?;
        Some((at, at + delimiter.len()))
    });
    match found {
        Some((end, start)) => (Some(line.slice(..end)), line.slice(start..)),
        None => (None, line.clone()),
    }
}

fn too_large(topic: &str, size: usize, max: usize) -> ProducerError {
    ProducerError::RecordTooLarge {
        topic: topic.to_owned(),
        size,
        max,
        limit: "--max-message-bytes",
    }
}

/// The cluster's errors as they are, so that those of the configuration are told from others.
pub(crate) fn plain(error: ProducerError) -> anyhow::Error {
    match error {
        ProducerError::Client(error) => error.into(),
        other => other.into(),
    }
}

pub(crate) fn acks(text: &str) -> Result<Acks, String> {
    match text {
        "0" => Ok(Acks::None),
        "1" => Ok(Acks::Leader),
        "all" | "-1" => Ok(Acks::All),
        _ => Err("write 0, 1 or all".to_owned()),
    }
}

fn delimiter(text: &str) -> Result<String, String> {
    match text {
        "" => Err("must not be empty".to_owned()),
        "\\t" => Ok("\t".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

pub(crate) fn duration_or_zero(text: &str) -> Result<Duration, String> {
    match text {
        "0" | "0s" | "0ms" => Ok(Duration::ZERO),
        _ => duration(text),
    }
}

struct Progress {
    shown: bool,
    since: Instant,
}

impl Progress {
    fn new(asked: bool) -> Self {
        Self {
            shown: asked || (io::stderr().is_terminal() && !io::stdin().is_terminal()),
            since: Instant::now(),
        }
    }

    fn show(&self, read: u64, delivered: u64) {
        if self.shown {
            let rate = delivered as f64 / self.since.elapsed().as_secs_f64().max(0.001);
            // With a closed stderr there is nobody left to tell.
            let _ = write!(
                io::stderr(),
                "\r{read} read, {delivered} acknowledged, {rate:.0}/s "
            );
        }
    }

    fn end(&self, read: u64, delivered: u64) {
        if self.shown {
            let elapsed = self.since.elapsed();
            let _ = writeln!(
                io::stderr(),
                "\r{read} read, {delivered} acknowledged in {elapsed:.1?}"
            );
        }
    }
}
