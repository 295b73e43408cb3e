//! Choosing the partition of a record that does not name one.

mod function;
mod hashing;
mod murmur2;
mod round_robin;
#[cfg(test)]
mod tests;

use std::fmt;

use rand::seq::IndexedRandom;

pub use function::FnPartitioner;
pub use hashing::HashingPartitioner;
pub use murmur2::murmur2;
pub use round_robin::RoundRobinPartitioner;

/// Chooses the partition of a record that does not name one. Kafka: `Partitioner`, `partitioner.class`.
///
/// Called for each such record, in the order of sending, by the task that sends; it must not block.
pub trait Partitioner: fmt::Debug + Send + Sync {
    /// The partition for a record with this key.
    ///
    /// A number that [`Partitions::all`] does not have fails the record.
    fn partition(&self, topic: &str, key: Option<&[u8]>, partitions: Partitions<'_>) -> i32;

    /// Whether a record without a key is refused, with [`Error::InvalidRecord`](crate::Error::InvalidRecord), before
    /// [`Partitioner::partition`] is called. Default: no.
    fn needs_key(&self) -> bool {
        false
    }
}

/// The partitions of a topic, among which to choose.
#[derive(Clone, Copy, Debug)]
pub struct Partitions<'a> {
    all: &'a [i32],
    available: &'a [i32],
}

impl<'a> Partitions<'a> {
    /// Puts them together, for tests of partitioners: `all` partitions, of which there is one at least, and those with a leader,
    /// both in ascending order. Where none has a leader, any may be chosen.
    pub fn new(all: &'a [i32], available: &'a [i32]) -> Self {
        let available = if available.is_empty() { all } else { available };
        Self { all, available }
    }

    /// All of them, in ascending order; never empty. A key must be put by these, or it moves when a broker fails.
    pub fn all(self) -> &'a [i32] {
        self.all
    }

    /// Those that have a leader at the moment, in ascending order, or all of them where none has; never empty. For records that
    /// may go anywhere.
    pub fn available(self) -> &'a [i32] {
        self.available
    }

    /// The one of all that a number falls on, by its remainder.
    pub fn pick(self, number: u32) -> i32 {
        pick(self.all, number)
    }
}

fn pick(partitions: &[i32], number: u32) -> i32 {
    let count = u32::try_from(partitions.len()).unwrap_or(u32::MAX).max(1);
    let index = usize::try_from(number % count).unwrap_or(0);
    partitions.get(index).copied().unwrap_or(0)
}

/// Records with a key go where [`murmur2`] of the key says, as with Kafka's Java producer, so that both can write to one topic;
/// those without take turns, as with [`RoundRobinPartitioner`]. Kafka: `DefaultPartitioner`.
///
/// An empty key is a key.
#[derive(Debug, Default)]
pub struct DefaultPartitioner {
    keyless: RoundRobinPartitioner,
}

impl Partitioner for DefaultPartitioner {
    fn partition(&self, topic: &str, key: Option<&[u8]>, partitions: Partitions<'_>) -> i32 {
        match key {
            // Java drops the sign bit, so that the remainder is not negative.
            Some(key) => partitions.pick(murmur2(key) & 0x7fff_ffff),
            None => self.keyless.partition(topic, None, partitions),
        }
    }
}

/// Each record goes to a random one of the available partitions, whatever its key.
///
/// PyKafka's class of this name takes turns: that is [`RoundRobinPartitioner`] here.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomPartitioner;

impl Partitioner for RandomPartitioner {
    fn partition(&self, _: &str, _: Option<&[u8]>, partitions: Partitions<'_>) -> i32 {
        let chosen = partitions.available().choose(&mut rand::rng());
        chosen.copied().unwrap_or(0)
    }
}
