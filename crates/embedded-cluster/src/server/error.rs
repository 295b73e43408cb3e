use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use divvy_zookeeper::wire::ErrorCode;

/// What a server could not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on: something else does, or it is not this machine's.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A log cannot be read or written.
    #[error("cannot use {}", file.display())]
    Log {
        /// The file or folder.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another cluster, or a broker of Kafka's, uses the folder of the logs.
    #[error("another process uses {}", .0.display())]
    LogInUse(PathBuf),
    /// The folder of a partition is missing where those of others of its topic are.
    #[error("{} is missing, and later partitions are there", .0.display())]
    MissingLog(PathBuf),
    /// The embedded ZooKeeper refused what a broker wrote; a client has changed nodes that are Kafka's.
    #[error("the embedded ZooKeeper refuses a write: {0}")]
    ZooKeeper(ErrorCode),
    /// There is no such broker.
    #[error("there is no broker {0}")]
    NoBroker(i32),
    /// There is no such topic, partition or message.
    #[error("there is no {what} of topic {topic}")]
    NotFound {
        /// The topic.
        topic: String,
        /// What of it.
        what: String,
    },
    /// There is such a topic already.
    #[error("there is a topic {0} already")]
    TopicExists(String),
    /// A topic cannot have such a name, or so many partitions or replicas.
    #[error("topic {topic} is not possible: {why}")]
    InvalidTopic {
        /// The topic.
        topic: String,
        /// What is wrong with it.
        why: String,
    },
    /// The brokers have not taken up a change in time.
    #[error("the partitions of topic {0} have no leaders in time; are enough brokers running?")]
    NoLeader(String),
}

impl Error {
    /// Whether trying again can help: another program may give the address or the folder up, and a broker may be
    /// started.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Listen { source, .. } => source.kind() == io::ErrorKind::AddrInUse,
            Self::NoLeader(_) | Self::LogInUse(_) => true,
            _ => false,
        }
    }
}

/// What the servers give back.
pub type Result<T, E = Error> = std::result::Result<T, E>;
