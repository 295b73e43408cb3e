use sha1::{Digest as _, Sha1};

use super::{Partitioner, Partitions};

/// Records go where the SHA-1 of their key says, as with PyKafka's producers, so that both can write to one topic. PyKafka:
/// `HashingPartitioner`, `hashing_partitioner`, with their own hash function.
///
/// As there, a record without a key is refused ([`Error::InvalidRecord`](crate::Error::InvalidRecord)); an empty key is a key.
///
/// PyKafka counts the partitions that it knows of, which may be too few while a topic is new; here it is always all of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct HashingPartitioner;

impl Partitioner for HashingPartitioner {
    fn partition(&self, _: &str, key: Option<&[u8]>, partitions: Partitions<'_>) -> i32 {
        let digest = Sha1::digest(key.unwrap_or_default());
        let (words, _) = digest.as_slice().as_chunks::<4>();
        let count = u64::try_from(partitions.all().len()).unwrap_or(1).max(1);
        // The digest is one large number, most significant byte first. Its remainder is taken on the way, which keeps it small.
        let remainder = words.iter().fold(0, |rest, word| {
            (rest << 32 | u64::from(u32::from_be_bytes(*word))) % count
        });
        partitions.pick(u32::try_from(remainder).unwrap_or(0))
    }

    fn needs_key(&self) -> bool {
        true
    }
}
