use std::sync::Arc;

use clap::ValueEnum;
use divvy::{
    DefaultPartitioner, HashingPartitioner, Partitioner, RandomPartitioner, RoundRobinPartitioner,
};

/// What chooses the partition of a message.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Partitioning {
    /// Keys as Kafka's Java producer puts them (murmur2), and turns without a key.
    Default,
    /// Keys as PyKafka's HashingPartitioner puts them (SHA-1); messages without a key are refused.
    Hashing,
    /// Turns, whatever the key, as PyKafka's RandomPartitioner.
    RoundRobin,
    /// At random, whatever the key.
    Random,
}

impl Partitioning {
    pub(super) fn partitioner(self) -> Arc<dyn Partitioner> {
        match self {
            Self::Default => Arc::new(DefaultPartitioner::default()),
            Self::Hashing => Arc::new(HashingPartitioner),
            Self::RoundRobin => Arc::new(RoundRobinPartitioner::default()),
            Self::Random => Arc::new(RandomPartitioner),
        }
    }
}
