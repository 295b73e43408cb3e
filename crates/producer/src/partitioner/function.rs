use std::fmt;

use super::{Partitioner, Partitions};

/// Asks a function for each record that does not name its partition. PyKafka: `partitioner`, which is a function there too.
///
/// ```
/// use std::sync::Arc;
///
/// use divvy_producer::{FnPartitioner, Partitions, ProducerConfig};
///
/// // Where the `ByteArrayPartitioner` of Kafka's old Scala producer puts keys.
/// let scala = FnPartitioner::new(|_, key, partitions| {
///     let hash = key.unwrap_or_default().iter().fold(1_i32, |hash, byte| {
///         hash.wrapping_mul(31).wrapping_add(byte.cast_signed().into())
///     });
///     partitions.pick(hash.checked_abs().unwrap_or(0).cast_unsigned())
/// });
/// let config = ProducerConfig { partitioner: Arc::new(scala), ..ProducerConfig::default() };
/// # use divvy_producer::Partitioner as _;
/// # let all = [0, 1, 2, 3, 4, 5, 6];
/// # assert_eq!(config.partitioner.partition("t", Some(b"foobar"), Partitions::new(&all, &all)), 1);
/// ```
#[derive(Clone, Copy)]
pub struct FnPartitioner<F>(F);

impl<F> FnPartitioner<F>
where
    F: Fn(&str, Option<&[u8]>, Partitions<'_>) -> i32 + Send + Sync,
{
    /// Takes a function of topic, key and partitions; see [`Partitioner::partition`].
    pub fn new(choose: F) -> Self {
        Self(choose)
    }
}

impl<F> Partitioner for FnPartitioner<F>
where
    F: Fn(&str, Option<&[u8]>, Partitions<'_>) -> i32 + Send + Sync,
{
    fn partition(&self, topic: &str, key: Option<&[u8]>, partitions: Partitions<'_>) -> i32 {
        (self.0)(topic, key, partitions)
    }
}

impl<F> fmt::Debug for FnPartitioner<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnPartitioner").finish_non_exhaustive()
    }
}
