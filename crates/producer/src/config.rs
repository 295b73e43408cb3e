use std::sync::Arc;
use std::time::Duration;

use divvy_protocol::compression::Compression;

use crate::error::{Error, Result};
use crate::partitioner::{DefaultPartitioner, Partitioner};
use crate::record::BATCH_OVERHEAD;

/// How a [`Producer`](crate::Producer) sends.
///
/// A plain struct: take the default and change single fields with struct update.
///
/// ```
/// use divvy_producer::{Acks, Compression, ProducerConfig};
///
/// let config = ProducerConfig {
///     acks: Acks::Leader,
///     compression: Compression::Snappy,
///     ..ProducerConfig::default()
/// };
/// config.validate()?;
/// # Ok::<(), divvy_producer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// Who must have a record before it counts as delivered. Kafka: `acks`, `request.required.acks`; PyKafka: `required_acks`.
    /// Default: [`Acks::All`].
    pub acks: Acks,
    /// The codec of whole batches. Zstandard needs the feature `zstd` and brokers from 2.1 on. Kafka: `compression.type`; PyKafka:
    /// `compression`. Default: [`Compression::None`].
    pub compression: Compression,
    /// How long a record may wait for others to share its batch; a full batch goes at once, and so does every batch while
    /// somebody waits for room in the buffer. Kafka: `linger.ms`; PyKafka: `linger_ms`. Default: 5 ms.
    pub linger: Duration,
    /// How many bytes a batch gathers, uncompressed, and no more than [`ProducerConfig::max_request_size`]; a larger record has a
    /// batch to itself. Only what comes within [`ProducerConfig::linger`], or while the batch before is on its way, fills a large
    /// batch. Kafka: `batch.size`. Default: 128 KiB.
    pub batch_size: usize,
    /// How many records a batch gathers at most. Kafka's librdkafka: `batch.num.messages`; PyKafka: `min_queued_messages`, after
    /// which it sends. Default: 100 000.
    pub batch_messages: u32,
    /// How many bytes of records may wait or be on their way in all, counted by the memory that batches reserve as they grow.
    /// While they are on their way their encoded form is held besides: up to twice [`ProducerConfig::max_request_size`] for each
    /// request. Kafka: `buffer.memory`; PyKafka counts messages instead (`max_queued_messages`). Default: 32 MiB.
    pub buffer_memory: usize,
    /// The largest record, and the most that one request carries, in bytes before compression. The default is what brokers accept
    /// unless told otherwise (`message.max.bytes`). Kafka: `max.request.size`; PyKafka: `max_request_size`. Default: 1 000 012.
    pub max_request_size: usize,
    /// How many requests are on their way to one broker at a time. Of one partition there is never more than one, so that retries
    /// cannot change the order. Kafka: `max.in.flight.requests.per.connection`. Default: 5.
    pub max_in_flight: usize,
    /// Over how many connections records are sent to one broker, which serves the requests of a connection one by one: with two,
    /// it reads one request while it stores another. Default: 2.
    pub connections_per_broker: usize,
    /// How long a broker may take to answer one request before its connection is given up; nine tenths of it are left to the
    /// replicas. Kafka: `request.timeout.ms`, `timeout.ms`; PyKafka: `ack_timeout_ms`. Default: 30 s.
    pub request_timeout: Duration,
    /// How long delivering a record may take in all, with every retry; then it has failed. Kafka: `delivery.timeout.ms`; PyKafka
    /// counts attempts instead, see [`ProducerConfig::max_retries`]. Default: 2 min.
    pub delivery_timeout: Duration,
    /// How often a batch is sent again before it has failed, whatever time is left; `None` for as often as the time allows.
    /// Kafka: `retries`, `message.send.max.retries`; PyKafka: `max_retries` (3). Default: `None`.
    pub max_retries: Option<u32>,
    /// The first pause before a batch is sent again; it doubles with each failure and is jittered. Kafka: `retry.backoff.ms`;
    /// PyKafka: `retry_backoff_ms`. Default: 100 ms.
    pub retry_backoff: Duration,
    /// The longest such pause. Kafka: `retry.backoff.max.ms`. Default: 1 s.
    pub retry_backoff_max: Duration,
    /// Whether a topic that does not exist is asked for by name, so that brokers create it that are set to do so
    /// (`auto.create.topics.enable`); sending the first record for it waits until its partitions have leaders, or for the request
    /// timeout. Kafka's producers always ask so, as does PyKafka. Kafka's consumer: `allow.auto.create.topics`. Default: false,
    /// because a mistyped name becomes a topic otherwise.
    pub allow_auto_create_topics: bool,
    /// What chooses the partition of records that do not name one. Kafka: `partitioner.class`; PyKafka: `partitioner`. Default:
    /// [`DefaultPartitioner`], which puts keys where Kafka's Java producer puts them.
    pub partitioner: Arc<dyn Partitioner>,
    /// Whether librdkafka carries batches to the brokers, and not connections of our own. Batches, order, retries, deadlines and
    /// deliveries are the same with both. It takes the feature `rdkafka`: without it a producer that asks for librdkafka cannot be
    /// made. librdkafka has one connection to each broker, so that [`ProducerConfig::connections_per_broker`] must be left at its
    /// default; and it takes no [`ProducerConfig::request_timeout`] above 5 min. PyKafka: `use_rdkafka`. Default: false.
    pub use_rdkafka: bool,
    /// Further properties of librdkafka, by its names. Those that would break a producer's guarantees are refused when it is made,
    /// and so are all without [`ProducerConfig::use_rdkafka`]. Default: none.
    pub rdkafka_properties: Vec<(String, String)>,
}

/// Who must have a record before it counts as delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Acks {
    /// Nobody (0): it counts as delivered once it is written to the connection. It may be lost without an error, and its offset
    /// is not known. [`Producer::flush`](crate::Producer::flush) and [`Producer::close`](crate::Producer::close) still wait until
    /// the brokers have read it.
    None,
    /// The partition's leader (1). It is lost if the leader dies before another replica has it.
    Leader,
    /// Every replica in sync (-1, `all`). How few these may be is up to the topic: `min.insync.replicas`.
    #[default]
    All,
}

impl Acks {
    /// The number on the wire.
    pub(crate) const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            acks: Acks::default(),
            compression: Compression::None,
            linger: Duration::from_millis(5),
            batch_size: 128 << 10,
            batch_messages: 100_000,
            buffer_memory: 32 << 20,
            max_request_size: 1_000_012,
            max_in_flight: 5,
            connections_per_broker: CONNECTIONS,
            request_timeout: Duration::from_secs(30),
            delivery_timeout: Duration::from_secs(120),
            max_retries: None,
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            allow_auto_create_topics: false,
            partitioner: Arc::new(DefaultPartitioner::default()),
            use_rdkafka: false,
            rdkafka_properties: Vec::new(),
        }
    }
}

/// How many connections to a broker there usually are.
const CONNECTIONS: usize = 2;
/// Half of what a request's length field can say, so that its other fields fit too.
const LARGEST_REQUEST: usize = 1 << 30;
/// The least that leaves room for a record of some use.
const SMALLEST_REQUEST: usize = BATCH_OVERHEAD + 451;
/// Beyond it, adding to the present could overflow on some systems.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

impl ProducerConfig {
    /// Checks every field and says which one is wrong.
    ///
    /// # Errors
    ///
    /// [`divvy_client::Error::Config`], within [`Error::Client`].
    pub fn validate(&self) -> Result<()> {
        if !self.compression.is_available() {
            return Err(Error::config(
                "compression",
                format!(
                    "this build has no {}; build it with the feature of that name",
                    self.compression
                ),
            ));
        }
        if !(SMALLEST_REQUEST..=LARGEST_REQUEST).contains(&self.max_request_size) {
            return Err(Error::config(
                "max_request_size",
                "must be 512 bytes to 1 GiB",
            ));
        }
        if self.batch_size == 0 {
            return Err(Error::config("batch_size", "must be 1 byte at least"));
        }
        if self.batch_messages == 0 {
            return Err(Error::config("batch_messages", "must be 1 at least"));
        }
        if self.buffer_memory < self.max_request_size {
            return Err(Error::config(
                "buffer_memory",
                "must be max_request_size at least",
            ));
        }
        if !(1..=100).contains(&self.connections_per_broker) {
            return Err(Error::config("connections_per_broker", "must be 1 to 100"));
        }
        if !(1..=1000).contains(&self.max_in_flight) {
            return Err(Error::config("max_in_flight", "must be 1 to 1000"));
        }
        self.validate_rdkafka()?;
        self.validate_times()
    }

    fn validate_rdkafka(&self) -> Result<()> {
        if !self.use_rdkafka && !self.rdkafka_properties.is_empty() {
            let why = "are properties of librdkafka, which is not used: set use_rdkafka";
            return Err(Error::config("rdkafka_properties", why));
        }
        if self.use_rdkafka && self.connections_per_broker != CONNECTIONS {
            let why = format!(
                "librdkafka has one connection to each broker: leave it at {CONNECTIONS}, or do not set use_rdkafka"
            );
            return Err(Error::config("connections_per_broker", why));
        }
        Ok(())
    }

    fn validate_times(&self) -> Result<()> {
        for (field, value) in [
            ("request_timeout", self.request_timeout),
            ("delivery_timeout", self.delivery_timeout),
            ("retry_backoff", self.retry_backoff),
            ("retry_backoff_max", self.retry_backoff_max),
        ] {
            if value.is_zero() || value > LONGEST {
                return Err(Error::config(
                    field,
                    "must be longer than zero and at most a year",
                ));
            }
        }
        if self.request_timeout.as_millis() > i32::MAX.unsigned_abs().into() {
            return Err(Error::config("request_timeout", "is longer than 24 days"));
        }
        if self.linger > self.delivery_timeout {
            return Err(Error::config("linger", "is longer than delivery_timeout"));
        }
        if self.retry_backoff_max < self.retry_backoff {
            return Err(Error::config(
                "retry_backoff_max",
                "is shorter than retry_backoff",
            ));
        }
        Ok(())
    }
}
