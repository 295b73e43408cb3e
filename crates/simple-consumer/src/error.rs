use std::error::Error as StdError;
use std::sync::Arc;

use divvy_client::{FetchError, TopicPartition};

/// What a consumer reports to its application.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The cluster could not be reached, or refused.
    #[error(transparent)]
    Client(#[from] divvy_client::Error),
    /// A partition stands still until it is sought elsewhere; the others go on with the next call.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// There is no stored offset, or it lies outside of the log, and the policy forbids to choose another.
    #[error(
        "{tp}: {}, and auto_offset_reset is `error`; seek to where reading should begin",
        offset.map_or_else(|| "no offset is stored".to_owned(), |offset| format!("offset {offset} is out of range"))
    )]
    NoOffset {
        /// The partition.
        tp: TopicPartition,
        /// The position that is out of range; `None` where none is stored.
        offset: Option<i64>,
    },
    /// Some offsets could not be stored.
    #[error("offsets could not be stored: {}", list(failed))]
    Commit {
        /// The partitions with the reason.
        failed: Vec<(TopicPartition, divvy_client::Error)>,
    },
    /// Offsets are stored for a group, and the configuration names none.
    #[error("offsets cannot be stored or looked up: the configuration names no group")]
    NoGroup,
    /// The partition is not in this consumer's hands.
    #[error("partition {tp} is not assigned to this consumer")]
    NotAssigned {
        /// The partition.
        tp: TopicPartition,
    },
    /// A partition of a spout stands still before a message that has failed as often as it may; the others go on with the next
    /// call. Acknowledge it to go on behind it.
    #[error(
        "{tp} stands still: its message at offset {offset} was handed out {attempts} times and failed each time"
    )]
    RetriesExhausted {
        /// The partition.
        tp: TopicPartition,
        /// The message.
        offset: i64,
        /// How often it was handed out.
        attempts: u32,
        /// What to acknowledge to go on.
        id: crate::spout::MessageId,
    },
    /// There is no message at or after the time that was asked for.
    #[error("partition {tp} has no message at or after the time {time} (milliseconds since 1970)")]
    NoMessageSince {
        /// The partition.
        tp: TopicPartition,
        /// The time.
        time: i64,
    },
    /// A message's key or value is not what the decoder expects. Nothing stands still: the next call goes on behind it.
    #[error("the {part} of the message at offset {offset} of {tp} cannot be decoded: {source}")]
    Decode {
        /// The partition.
        tp: TopicPartition,
        /// The message.
        offset: i64,
        /// `key` or `value`.
        part: &'static str,
        /// What the decoder says.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// The consumer was not started.
    #[error("the consumer is not started; call start() first")]
    NotStarted,
    /// The consumer was closed.
    #[error("the consumer is closed")]
    Closed,
    /// The group cannot be joined or left.
    #[error("group `{group}`: {why}")]
    Group {
        /// The group.
        group: String,
        /// What happened and what to do.
        why: String,
    },
}

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the same call may succeed later without anybody acting.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Client(error) => error.is_retriable(),
            Self::Commit { failed } => failed.iter().all(|(_, error)| error.is_retriable()),
            _ => false,
        }
    }

    /// The partition that stands still because of this, while the others go on.
    pub fn halted_partition(&self) -> Option<&TopicPartition> {
        match self {
            Self::Fetch(error) => Some(error.partition()),
            Self::NoOffset { tp, .. } | Self::RetriesExhausted { tp, .. } => Some(tp),
            _ => None,
        }
    }

    /// A configuration error.
    pub fn config(field: &'static str, why: impl Into<String>) -> Self {
        Self::Client(divvy_client::Error::config(field, why))
    }
}

fn list(failed: &[(TopicPartition, divvy_client::Error)]) -> String {
    let failed: Vec<String> = failed
        .iter()
        .map(|(tp, error)| format!("{tp} ({error})"))
        .collect();
    failed.join(", ")
}
