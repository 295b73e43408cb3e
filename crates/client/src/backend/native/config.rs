use std::time::Duration;

use crate::error::{Error, Result};

/// How messages are fetched from the brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchConfig {
    /// How many bytes of messages may be queued in all, over every partition. PyKafka counts messages instead
    /// (`queued_max_messages`); librdkafka: `queued.max.messages.kbytes`. Default: 64 MiB.
    pub max_queued_bytes: usize,
    /// How many bytes of one partition are asked for at a time, less where the share of a partition in the queue is small.
    /// Kafka: `fetch.message.max.bytes`, `max.partition.fetch.bytes`; PyKafka: `fetch_message_max_bytes`. Default: 1 MiB.
    pub fetch_message_max_bytes: usize,
    /// How far that may grow for a message that does not fit in. A larger message is an error. One such message may be held at a
    /// time, beside the queue. Default: 64 MiB.
    pub fetch_message_max_bytes_cap: usize,
    /// How many bytes a broker gathers before it answers, unless [`FetchConfig::fetch_wait_max`] passes first. Kafka and
    /// PyKafka: `fetch.min.bytes`. Default: 1.
    pub fetch_min_bytes: i32,
    /// How long a broker may wait for new messages before it answers with none. Kafka: `fetch.wait.max.ms`; PyKafka:
    /// `fetch_wait_max_ms`. Default: 100 ms.
    pub fetch_wait_max: Duration,
    /// How many connections fetch from one broker. The second makes sure that a partition with room need not wait for a request
    /// that waits for others. Default: 2.
    pub fetch_connections: usize,
    /// Which messages of transactions are read, on brokers from 0.11 on. Kafka: `isolation.level`. Default:
    /// [`IsolationLevel::ReadUncommitted`], as Kafka's own.
    pub isolation_level: IsolationLevel,
}

/// Which messages of transactions are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IsolationLevel {
    /// All, also those of transactions that were aborted.
    #[default]
    ReadUncommitted,
    /// Only those of transactions that were committed, and those outside of any.
    ReadCommitted,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            max_queued_bytes: 64 << 20,
            fetch_message_max_bytes: 1 << 20,
            fetch_message_max_bytes_cap: 64 << 20,
            fetch_min_bytes: 1,
            fetch_wait_max: Duration::from_millis(100),
            fetch_connections: 2,
            isolation_level: IsolationLevel::ReadUncommitted,
        }
    }
}

impl FetchConfig {
    /// Checks every field and says which one is wrong.
    pub fn validate(&self) -> Result<()> {
        let int_max = usize::try_from(i32::MAX).unwrap_or(usize::MAX);
        if self.max_queued_bytes < 64 << 10 {
            return Err(Error::config("max_queued_bytes", "is below 64 KiB"));
        }
        if !(512..=int_max).contains(&self.fetch_message_max_bytes) {
            return Err(Error::config(
                "fetch_message_max_bytes",
                "must be 512 bytes to 2 GiB",
            ));
        }
        if self.fetch_message_max_bytes_cap < self.fetch_message_max_bytes
            || self.fetch_message_max_bytes_cap > int_max
        {
            return Err(Error::config(
                "fetch_message_max_bytes_cap",
                "must be fetch_message_max_bytes at least and 2 GiB at most",
            ));
        }
        if self.fetch_min_bytes < 0 {
            return Err(Error::config("fetch_min_bytes", "is negative"));
        }
        if self.fetch_wait_max > Duration::from_secs(300) {
            return Err(Error::config("fetch_wait_max", "is longer than 5 minutes"));
        }
        if !(1..=16).contains(&self.fetch_connections) {
            return Err(Error::config("fetch_connections", "must be 1 to 16"));
        }
        Ok(())
    }
}
