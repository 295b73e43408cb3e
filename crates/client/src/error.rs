use std::io;
use std::sync::Arc;
use std::time::Duration;

use divvy_protocol::{ErrorCode, TopicPartition};

/// What can go wrong between a client and its cluster.
///
/// [`Error::is_retriable`] tells what may pass by itself; everything else needs somebody to act, and the message says who.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration field has a value that cannot be used.
    #[error("configuration: {field}: {why}")]
    Config {
        /// The field's name.
        field: &'static str,
        /// What is wrong with its value.
        why: String,
    },
    /// None of the known brokers could be reached.
    #[error("no broker answered at {tried}; is Kafka running there?")]
    NoBroker {
        /// Each address with the reason.
        tried: String,
    },
    /// ZooKeeper knows of no broker.
    #[error(
        "no broker is registered in ZooKeeper at {zookeeper}; is Kafka running, and is the chroot right?"
    )]
    NoBrokerRegistered {
        /// The connect string.
        zookeeper: String,
    },
    /// A broker could not be connected to.
    #[error("cannot connect to the broker at {broker}: {source}")]
    Connect {
        /// Its address.
        broker: String,
        /// The reason.
        source: Arc<io::Error>,
    },
    /// The connection to a broker ended before the answer came.
    #[error("the broker at {broker} closed the connection{}", why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Disconnected {
        /// Its address.
        broker: String,
        /// The reason, where there is one.
        why: Option<String>,
    },
    /// A broker did not answer in time; its connection has been given up.
    #[error("the broker at {broker} did not answer a {request} request within {after:?}")]
    Timeout {
        /// Its address.
        broker: String,
        /// Which request.
        request: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// A peer sent what Kafka never sends.
    #[error("the peer at {broker} does not speak Kafka's protocol as it should: {why}")]
    Peer {
        /// Its address.
        broker: String,
        /// What was wrong.
        why: String,
    },
    /// A broker has no version of a request that this client can send.
    #[error("the broker at {broker} supports no usable version of {request}")]
    Unsupported {
        /// Its address.
        broker: String,
        /// Which request.
        request: &'static str,
    },
    /// A request cannot be written down in the protocol.
    #[error("a {request} request cannot be encoded: {why}")]
    Encode {
        /// Which request.
        request: &'static str,
        /// What does not fit.
        why: String,
    },
    /// An offset was not stored, because it is not known at the moment whether the partition is still this consumer's.
    #[error(
        "the offset of {tp} is not stored while the consumer cannot be sure of the partition; it will be when ZooKeeper answers again"
    )]
    Withheld {
        /// The partition.
        tp: TopicPartition,
    },
    /// An offset was not stored, because the partition is another member's by now.
    #[error("the offset of {tp} is not stored: the partition is another member's by now ({why})")]
    Fenced {
        /// The partition.
        tp: TopicPartition,
        /// What was found.
        why: String,
    },
    /// A topic does not exist.
    #[error(
        "topic `{topic}` does not exist; create it first, or check its name and which cluster this is"
    )]
    UnknownTopic {
        /// Its name.
        topic: String,
    },
    /// A partition does not exist.
    #[error("partition {tp} does not exist")]
    UnknownPartition {
        /// The partition.
        tp: TopicPartition,
    },
    /// A partition has no leader at the moment.
    #[error("partition {tp} has no leader at the moment")]
    NoLeader {
        /// The partition.
        tp: TopicPartition,
    },
    /// A broker answered with an error code.
    #[error("{request} for {subject} failed at the broker {broker}: {code}: {}", code.description())]
    Broker {
        /// The broker's address.
        broker: String,
        /// Which request.
        request: &'static str,
        /// The partition, topic or group that it was about.
        subject: String,
        /// The code.
        code: ErrorCode,
    },
    /// ZooKeeper failed.
    #[error(transparent)]
    ZooKeeper(Arc<divvy_zookeeper::Error>),
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A configuration error.
    pub fn config(field: &'static str, why: impl Into<String>) -> Self {
        Self::Config {
            field,
            why: why.into(),
        }
    }

    /// Whether the same request may succeed later without anybody acting.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::NoBroker { .. }
            | Self::NoBrokerRegistered { .. }
            | Self::Connect { .. }
            | Self::Disconnected { .. }
            | Self::Timeout { .. }
            | Self::NoLeader { .. }
            | Self::Withheld { .. } => true,
            Self::Broker { code, .. } => code.is_retriable(),
            Self::ZooKeeper(error) => error.is_retriable(),
            _ => false,
        }
    }

    /// Whether the connection to the broker is gone with it.
    pub fn is_disconnect(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. }
                | Self::Disconnected { .. }
                | Self::Timeout { .. }
                | Self::Peer { .. }
        )
    }

    /// The broker's error code, where a broker answered with one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker { code, .. } => Some(*code),
            _ => None,
        }
    }
}

impl From<divvy_zookeeper::Error> for Error {
    fn from(error: divvy_zookeeper::Error) -> Self {
        Self::ZooKeeper(Arc::new(error))
    }
}
