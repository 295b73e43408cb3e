//! librdkafka's consumer without a group and its producer, as they are in C but safe.
//!
//! The consumer: settings, partitions that are started and stopped one by one, and batches out of one queue. The producer: records
//! of a partition that are handed over together, and reports of what became of each out of one queue.

mod config;
mod consumer;
mod message;
mod producer;
mod report;
mod waker;

pub use config::Config;
pub use consumer::Consumer;
pub use message::{Batch, Clock, Message};
pub use producer::{Handed, Parcel, Producer, Record, Records, Rejected};
pub use report::{Report, Reports};
pub use waker::Waker;

/// What librdkafka refused. Its own text is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that C cannot hold.
    #[error("`{text}` holds a zero byte")]
    ZeroByte {
        /// The text.
        text: String,
    },
    /// A property that does not exist, or not with this value.
    #[error("librdkafka refuses {name}={value}: {why}")]
    Property {
        /// The property's name.
        name: String,
        /// The value it was to have.
        value: String,
        /// librdkafka's text.
        why: String,
    },
    /// No client can be made of the settings, or no topic of a name.
    #[error("librdkafka makes no client: {why}")]
    Create {
        /// librdkafka's text.
        why: String,
    },
    /// A partition cannot be started, stopped or reached.
    #[error("librdkafka cannot {action} {topic}-{partition}: {why}")]
    Partition {
        /// What was to be done: start, stop or reach.
        action: &'static str,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// librdkafka's text.
        why: String,
    },
    /// The queue cannot be read.
    #[error("librdkafka gives no messages: {why}")]
    Receive {
        /// librdkafka's text.
        why: String,
    },
}

impl Error {
    /// Whether the same call may succeed later. What librdkafka can get over by itself it retries by itself and never says.
    pub fn is_retriable(&self) -> bool {
        false
    }
}

/// A text as C wants it.
fn c_string(text: &str) -> Result<std::ffi::CString, Error> {
    std::ffi::CString::new(text).map_err(|_| Error::ZeroByte {
        text: text.to_owned(),
    })
}

/// Why the last call of this thread has failed.
fn last_error() -> String {
    // SAFETY: Both take no memory of ours, and the text is a constant.
    unsafe {
        message::text(rdkafka_sys::rd_kafka_err2str(
            rdkafka_sys::rd_kafka_last_error(),
        ))
    }
}

#[cfg(test)]
mod tests;
