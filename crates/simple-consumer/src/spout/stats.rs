use std::collections::BTreeMap;
use std::time::Duration;

use divvy_client::TopicPartition;

/// What a [`Spout`](super::Spout) has done since it was made, and what it has in hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoutStats {
    /// How often a message was handed out, again or for the first time.
    pub delivered: u64,
    /// How many of these were not the message's first time.
    pub replayed: u64,
    /// How many messages were acknowledged.
    pub acked: u64,
    /// How often a message failed, be it by a call or by its age.
    pub failed: u64,
    /// How many of these were by age.
    pub timed_out: u64,
    /// How many acknowledgements and failures had no effect: their message was finished before, or its partition has been in
    /// other hands since.
    pub stale: u64,
    /// How many messages were left out: by [`After::Drop`](super::After::Drop), or because they failed and were not in the log any
    /// more.
    pub dropped: u64,
    /// How many messages were taken as dead letters.
    pub dead_lettered: u64,
    /// How many messages are in flight.
    pub in_flight: usize,
    /// How many messages wait to be handed out again, or for others before them.
    pub waiting: usize,
    /// How many bytes of messages are kept to be handed out again.
    pub retained_bytes: usize,
    /// For how long the oldest message that is in flight has been so.
    pub oldest: Option<Duration>,
    /// The same for each partition with unfinished messages.
    pub partitions: BTreeMap<TopicPartition, SpoutPartitionStats>,
}

/// What a [`Spout`](super::Spout) has in hand of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoutPartitionStats {
    /// How many messages are in flight.
    pub in_flight: usize,
    /// How many messages wait to be handed out again, or for others before them.
    pub waiting: usize,
    /// How many offsets lie between the oldest message that is not finished and the next that was never handed out.
    pub span: u64,
    /// Whether it stands still before a message that has failed too often.
    pub halted: bool,
}
