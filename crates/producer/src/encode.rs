//! Writing batches down for a request.

use std::collections::BTreeMap;

use bytes::Bytes;
use divvy_client::TopicPartition;
use divvy_protocol::api::{ProducePartition, ProduceTopic};
use divvy_protocol::compression::Compression;
use divvy_protocol::records::{BuildError, RecordsBuilder};

use crate::accumulator::Batch;

/// Compressing more than this takes so long that the runtime's other tasks must not wait for it.
const INLINE_COMPRESSED: usize = 16 << 10;
/// Copying and summing up more than this does.
const INLINE_PLAIN: usize = 512 << 10;

/// A batch, and the record set that it became.
pub(crate) type Encoded = (Batch, Result<Bytes, BuildError>);

/// Writes batches in the format `magic`, on another thread where that takes long.
///
/// `None` where the runtime is shutting down; the batches have failed then.
pub(crate) async fn encode(
    batches: Vec<Batch>,
    magic: i8,
    compression: Compression,
) -> Option<Vec<Encoded>> {
    let size: usize = batches.iter().map(|batch| batch.wire_size).sum();
    let inline = match compression {
        Compression::None => INLINE_PLAIN,
        _ => INLINE_COMPRESSED,
    };
    if size <= inline {
        return Some(encode_all(batches, magic, compression));
    }
    let encoding = tokio::task::spawn_blocking(move || encode_all(batches, magic, compression));
    encoding.await.ok()
}

fn encode_all(batches: Vec<Batch>, magic: i8, compression: Compression) -> Vec<Encoded> {
    let encoded = batches.into_iter().map(|batch| {
        let records = encode_batch(&batch, magic, compression);
        (batch, records)
    });
    encoded.collect()
}

fn encode_batch(batch: &Batch, magic: i8, compression: Compression) -> Result<Bytes, BuildError> {
    let mut records = RecordsBuilder::new(magic, compression)?;
    records.reserve(batch.wire_size);
    for entry in batch.entries() {
        records.try_append(
            Some(entry.timestamp),
            entry.key,
            entry.value,
            &entry.headers,
        )?;
    }
    records.finish()
}

/// Arranges record sets as a request has them: by topic.
pub(crate) fn by_topic<'a>(
    records: impl IntoIterator<Item = (&'a TopicPartition, Bytes)>,
) -> Vec<ProduceTopic> {
    let mut topics: BTreeMap<&str, Vec<ProducePartition>> = BTreeMap::new();
    for (tp, records) in records {
        let partitions = topics.entry(&tp.topic).or_default();
        partitions.push(ProducePartition {
            partition: tp.partition,
            records: Some(records),
        });
    }
    let topics = topics.into_iter().map(|(name, partitions)| ProduceTopic {
        name: name.to_owned(),
        partitions,
    });
    topics.collect()
}

#[cfg(test)]
mod tests;
