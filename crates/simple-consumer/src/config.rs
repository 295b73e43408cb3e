use std::time::Duration;

use divvy_client::FetchConfig;

use crate::error::{Error, Result};

/// What simple and balanced consumers have in common.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// The group under whose name offsets are stored. Kafka: `group.id`; PyKafka: `consumer_group`. Default: none, and nothing is
    /// stored.
    pub group: Option<String>,
    /// Where offsets are stored. Kafka: `offsets.storage` with `dual.commit.enabled`. Default: ZooKeeper.
    pub offset_storage: OffsetStorage,
    /// Where reading begins without a stored offset, or with one below the log's start. Kafka and PyKafka: `auto.offset.reset`.
    /// Default: [`OffsetReset::Earliest`], so that nothing in the topic is lost.
    pub auto_offset_reset: OffsetReset,
    /// How often what is finished is committed in the background; `None` for never. With `None` nothing is committed but on
    /// request. Kafka: `auto.commit.enable` and `auto.commit.interval.ms`; PyKafka: `auto_commit_enable`. Default: 5 s.
    pub auto_commit_interval: Option<Duration>,
    /// What finishes a message. Default: [`AckMode::GivenBack`].
    pub ack_mode: AckMode,
    /// Whether the streams of a group's member are received apart, each through its
    /// [`stream_handle`](crate::Consumer::stream_handle) (the consumer itself is stream 0). Otherwise the consumer receives all of
    /// them. Default: false.
    pub separate_streams: bool,
    /// Whether checksums are verified. librdkafka: `check.crcs`. Default: true.
    pub check_crcs: bool,
    /// How often storing or looking up offsets is tried before it is an error, for faults that may pass. Kafka and PyKafka:
    /// `offsets.commit.max.retries`. Default: 5.
    pub offsets_max_retries: u32,
    /// How long revoking a partition waits for messages in the application's hands. Default: 4 s, within the patience of Java
    /// members that wait for the partition.
    pub drain_timeout: Duration,
    /// How long the application may have messages of a partition without finishing any before that is reported
    /// ([`Event::Stalled`](crate::Event::Stalled)); `None` for ever. Kafka's later consumers: `max.poll.interval.ms`. Default:
    /// `None`, because ZooKeeper's session lives on whatever the application does.
    pub max_processing_interval: Option<Duration>,
    /// What else happens then. Default: [`StallPolicy::Report`].
    pub on_stall: StallPolicy,
    /// How messages are fetched.
    pub fetch: FetchConfig,
    /// Whether librdkafka fetches, and not the native backend. Groups, offsets and fencing are the same with both. It takes the
    /// feature `rdkafka`: without it a consumer that asks for librdkafka cannot be made. PyKafka: `use_rdkafka`. Default: false.
    pub use_rdkafka: bool,
    /// Further properties of librdkafka, by its names. Those that would break a consumer's guarantees are refused when it is made,
    /// and so are all without [`ConsumerConfig::use_rdkafka`]. Default: none.
    pub rdkafka_properties: Vec<(String, String)>,
}

/// Where a group's offsets are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OffsetStorage {
    /// In ZooKeeper, under `/consumers/<group>/offsets`; through a broker where the client has no ZooKeeper.
    #[default]
    ZooKeeper,
    /// In Kafka's topic `__consumer_offsets`.
    Kafka,
    /// In both, ZooKeeper first; the larger one counts on reading. For moving a group from one to the other.
    Dual,
}

/// Where reading begins without a usable stored offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the first message of the log. Kafka: `smallest`.
    #[default]
    Earliest,
    /// At the end of the log. Kafka: `largest`.
    Latest,
    /// Nowhere: it is an error.
    Error,
}

/// What happens when the application does not go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StallPolicy {
    /// It is reported, and nothing else.
    #[default]
    Report,
    /// A member of a group leaves it, so that others go on with its partitions, and joins again when the application asks for
    /// messages. What it had in hand is handed out again by its successors. A consumer without a group reports.
    Release,
}

/// What finishes a message, so that its offset may be committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AckMode {
    /// Giving it back: asking for more, committing, or closing. A message that was made to outlive that
    /// ([`Message::into_owned`](crate::Message::into_owned)) is finished by its acknowledgement.
    #[default]
    GivenBack,
    /// Its acknowledgement alone. Streams need this.
    Explicit,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            group: None,
            offset_storage: OffsetStorage::default(),
            auto_offset_reset: OffsetReset::default(),
            auto_commit_interval: Some(Duration::from_secs(5)),
            ack_mode: AckMode::default(),
            separate_streams: false,
            check_crcs: true,
            offsets_max_retries: 5,
            drain_timeout: Duration::from_secs(4),
            max_processing_interval: None,
            on_stall: StallPolicy::default(),
            fetch: FetchConfig::default(),
            use_rdkafka: false,
            rdkafka_properties: Vec::new(),
        }
    }
}

impl ConsumerConfig {
    /// Checks every field and says which one is wrong.
    pub fn validate(&self) -> Result<()> {
        if let Some(group) = &self.group {
            divvy_zookeeper::paths::validate_group(group)
                .map_err(|error| Error::config("group", error.to_string()))?;
        }
        if self
            .auto_commit_interval
            .is_some_and(|interval| interval.is_zero())
        {
            return Err(Error::config(
                "auto_commit_interval",
                "must be longer than zero",
            ));
        }
        if self
            .max_processing_interval
            .is_some_and(|interval| interval < Duration::from_millis(1))
        {
            return Err(Error::config(
                "max_processing_interval",
                "must be 1 ms at least",
            ));
        }
        if !self.use_rdkafka && !self.rdkafka_properties.is_empty() {
            let why = "are properties of librdkafka, which is not used: set use_rdkafka";
            return Err(Error::config("rdkafka_properties", why));
        }
        self.fetch.validate()?;
        Ok(())
    }
}
