use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, value_parser};
use divvy::{
    Acks, Compression, Deliveries, Delivery, Producer, ProducerConfig, ProducerRecord,
    RoundRobinPartitioner,
};
use futures_util::{FutureExt as _, TryFutureExt as _};

use super::measure::{Began, Measured, Tally};
use super::values::Values;
use crate::options::{BackendOptions, ClusterOptions, duration};
use crate::produce::{acks, duration_or_zero, plain};

/// Cluster look-ups need a session, but nothing hangs on its timeout.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
/// How many messages are given to the producer in one call, and after how many of single calls those that were sent are asked
/// what became of them.
const AT_A_TIME: u64 = 1000;
/// What a message takes beside its value, at most.
const OVERHEAD: usize = 97;

/// Write messages to a topic, to its partitions in turns.
///
/// The values are lines as a web server logs them, the same in every run; they compress about 2:1 with snappy and lz4 and 3:1
/// with gzip. The clock runs from the first request, the one for metadata, to the last acknowledgement. Brokers verify the
/// checksum of everything that they are sent. Exit code 1 if a message is not delivered.
#[derive(Args)]
pub(crate) struct Produce {
    #[command(flatten)]
    cluster: ClusterOptions,

    /// The topic to write to. It must exist.
    #[arg(short, long)]
    topic: String,

    /// How many messages to write.
    #[arg(short, long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    messages: u64,

    /// How many bytes each value has.
    #[arg(short, long, value_name = "BYTES", default_value_t = 100, value_parser = size)]
    size: usize,

    /// Who must have a message before it counts as delivered: 0 nobody, 1 the leader, all every replica in sync.
    #[arg(long, value_name = "0|1|all", default_value = "all", value_parser = acks)]
    acks: Acks,

    /// The codec of whole batches: none, gzip, snappy, lz4 or zstd (brokers from 2.1 on).
    #[arg(long, value_name = "CODEC", default_value = "none")]
    compression: Compression,

    /// How long a message may wait for others to share its batch.
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = duration_or_zero)]
    linger: Duration,

    /// How many bytes a batch gathers.
    #[arg(long, value_name = "BYTES", default_value_t = 128 << 10)]
    batch_bytes: usize,

    /// How many bytes of messages may wait for their acknowledgement in all.
    #[arg(long, value_name = "BYTES", default_value_t = 32 << 20)]
    max_in_flight_bytes: usize,

    /// How long delivering a message may take, with every retry.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration)]
    delivery_timeout: Duration,

    /// Give the producer every message in a call of its own, instead of 1000 at a time.
    #[arg(long)]
    one_by_one: bool,

    #[command(flatten)]
    backend: BackendOptions,

    /// Print one JSON object.
    #[arg(short, long)]
    json: bool,
}

pub(crate) async fn run(args: Produce) -> Result<()> {
    let config = args.backend.apply_to_producer(args.config())?;
    config.validate().map_err(plain)?;
    let values = Values::new(args.size);
    let measured = args.measure(config, &values).await?;
    measured.print(args.json)
}

impl Produce {
    fn config(&self) -> ProducerConfig {
        let defaults = ProducerConfig::default();
        let largest = defaults.max_request_size.max(self.size + OVERHEAD);
        ProducerConfig {
            acks: self.acks,
            compression: self.compression,
            linger: self.linger,
            batch_size: self.batch_bytes,
            buffer_memory: self.max_in_flight_bytes,
            max_request_size: largest,
            request_timeout: self.cluster.request_timeout,
            delivery_timeout: self.delivery_timeout,
            partitioner: Arc::new(RoundRobinPartitioner::default()),
            ..defaults
        }
    }

    async fn measure(&self, config: ProducerConfig, values: &Values) -> Result<Measured> {
        let tally = Tally::default();
        let topic: Arc<str> = Arc::from(self.topic.as_str());
        let mut sent = Sent::default();
        let began = Began::now();
        let client = self.cluster.connect(SESSION_TIMEOUT).await?;
        let producer = Producer::new(&client, config).map_err(plain)?;
        let record = |number| {
            let value = values.get(number);
            tally.add(None, Some(&value));
            ProducerRecord::new(Arc::clone(&topic), value)
        };
        let mut first = 0;
        while first < self.messages {
            let numbers = first..self.messages.min(first.saturating_add(AT_A_TIME));
            first = numbers.end;
            if self.one_by_one {
                for number in numbers {
                    sent.push(producer.send(record(number)).await.map_err(plain)?);
                }
            } else {
                sent.push_all(producer.send_all(numbers.map(record)).await);
            }
            sent.ask()?;
        }
        let closed = producer.close(self.delivery_timeout).await;
        // A failure names the partition; that something failed says little.
        sent.ask()?;
        closed.map_err(plain)?;
        Ok(began.measured(&tally, true))
    }
}

/// Messages whose delivery is not known yet, in the order in which they were sent.
#[derive(Default)]
struct Sent {
    deliveries: VecDeque<Pending>,
}

/// The delivery of one message, or of many that were sent with one call.
type Pending = Pin<Box<dyn Future<Output = Result<(), divvy::ProducerError>> + Send>>;

impl Sent {
    fn push(&mut self, delivery: Delivery) {
        self.deliveries.push_back(Box::pin(delivery.map_ok(|_| ())));
    }

    fn push_all(&mut self, deliveries: Deliveries) {
        self.deliveries.push_back(Box::pin(deliveries.all()));
    }

    /// Forgets those that were delivered, up to one that is on its way. Fails with the first that was not delivered.
    fn ask(&mut self) -> Result<()> {
        while let Some(delivery) = self.deliveries.front_mut() {
            let Some(outcome) = delivery.now_or_never() else {
                break;
            };
            outcome
                .map_err(plain)
                .context("a message was not delivered")?;
            self.deliveries.pop_front();
        }
        Ok(())
    }
}

fn size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size) if size <= 1 << 29 => Ok(size),
        Ok(_) => Err("must be 512 MiB at most".to_owned()),
        Err(_) => Err("write a number of bytes".to_owned()),
    }
}
