use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use divvy_client::TopicPartition;
use divvy_protocol::records::BuildError;

/// Why a record was not taken, or not delivered.
///
/// What [`Delivery`](crate::Delivery) reports is final: whatever could pass by itself has been tried again until the
/// [delivery timeout](crate::ProducerConfig::delivery_timeout).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The cluster cannot be reached, does not have the topic or partition, or refused the record.
    #[error(transparent)]
    Client(#[from] divvy_client::Error),
    /// The record is larger than a request, or than the whole budget, may be. Nothing was queued.
    #[error(
        "a record for topic `{topic}` takes {size} bytes, more than {max} ({limit}); make it smaller, or raise the limit here and \
         message.max.bytes at the brokers"
    )]
    RecordTooLarge {
        /// The topic.
        topic: String,
        /// What it takes, in bytes, with the overhead of a batch.
        size: usize,
        /// What it may take.
        max: usize,
        /// The setting that says so.
        limit: &'static str,
    },
    /// The record says something that Kafka cannot store. Nothing was queued.
    #[error("a record for topic `{topic}` cannot be stored: {why}")]
    InvalidRecord {
        /// The topic.
        topic: String,
        /// What is wrong.
        why: String,
    },
    /// The record's key or value cannot be encoded. There is no record to be queued.
    #[error("the {part} of a record for topic `{topic}` cannot be encoded: {source}")]
    Encode {
        /// The topic.
        topic: String,
        /// `key` or `value`.
        part: &'static str,
        /// What the encoder says.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// The budget is used up by records that wait for their brokers. Only [`Producer::try_send`](crate::Producer::try_send)
    /// fails so; [`Producer::send`](crate::Producer::send) waits.
    #[error(
        "a record of {needed} bytes does not fit into what is left of the buffer of {buffer_memory} bytes"
    )]
    BufferFull {
        /// What the record takes, in bytes.
        needed: usize,
        /// The budget.
        buffer_memory: usize,
    },
    /// The topic has not been looked up yet, which [`Producer::try_send`](crate::Producer::try_send) cannot wait for.
    #[error("topic `{topic}` has not been looked up yet; call partitions_for first")]
    NotLookedUp {
        /// The topic.
        topic: String,
    },
    /// The partitioner chose a partition that the topic does not have.
    #[error("the partitioner chose {tp}, which does not exist")]
    Partitioner {
        /// What it chose.
        tp: TopicPartition,
    },
    /// The batch cannot be written in the format that the partition's leader understands.
    #[error("a batch for {tp} cannot be written for the broker at {broker}: {source}")]
    Build {
        /// The partition.
        tp: TopicPartition,
        /// The leader's address.
        broker: String,
        /// What does not go together.
        source: BuildError,
    },
    /// librdkafka has not delivered the record, for a reason of its own and not of a broker's. Only with
    /// [`ProducerConfig::use_rdkafka`](crate::ProducerConfig::use_rdkafka).
    #[error("librdkafka has not delivered to {tp}: {why}")]
    Library {
        /// The partition.
        tp: TopicPartition,
        /// librdkafka's text.
        why: Arc<str>,
        /// Whether it may pass by itself.
        passes: bool,
    },
    /// The delivery timeout has passed. The record may have been stored if an attempt was made.
    #[error(
        "not delivered to {tp} within {after:?}{}",
        last.as_ref().map_or_else(|| ": the partition had no leader, or its turn did not come".to_owned(), |last| format!("; last: {last}"))
    )]
    Expired {
        /// The partition.
        tp: TopicPartition,
        /// The delivery timeout.
        after: Duration,
        /// Why the last attempt failed; `None` if none was made, or none has ended.
        last: Option<Box<Error>>,
    },
    /// Some records were not delivered, or their delivery is not known.
    #[error(
        "{} record(s) were not delivered: {}; first reason: {first}",
        total(partitions),
        list(partitions)
    )]
    Undelivered {
        /// How many of which partition.
        partitions: Vec<(TopicPartition, usize)>,
        /// Why the first of them was not.
        first: Box<Error>,
    },
    /// The producer was closed, or dropped. The record may have been stored if it was being sent at that moment.
    #[error("the producer is closed")]
    Closed,
}

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether sending the same record again may succeed without anybody acting.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Client(error) => error.is_retriable() || error.is_disconnect(),
            Self::BufferFull { .. } | Self::NotLookedUp { .. } | Self::Expired { .. } => true,
            Self::Library { passes, .. } => *passes,
            Self::Undelivered { first, .. } => first.is_retriable(),
            _ => false,
        }
    }

    /// A configuration error.
    pub(crate) fn config(field: &'static str, why: impl Into<String>) -> Self {
        Self::Client(divvy_client::Error::config(field, why))
    }
}

fn total(partitions: &[(TopicPartition, usize)]) -> usize {
    partitions.iter().map(|(_, records)| records).sum()
}

fn list(partitions: &[(TopicPartition, usize)]) -> String {
    let list: Vec<String> = partitions
        .iter()
        .map(|(tp, records)| format!("{records} of {tp}"))
        .collect();
    list.join(", ")
}
