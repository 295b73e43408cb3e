use std::sync::Arc;

use bytes::Bytes;
use divvy_client::TopicPartition;

/// What a batch takes before its records, in the format where that is most: the header of magic 2.
pub(crate) const BATCH_OVERHEAD: usize = 61;
/// What a record takes beside key, value and headers, in the format where that is most.
pub(crate) const RECORD_OVERHEAD: usize = 36;
/// What a header takes beside its key and value: two lengths of up to 5 bytes.
pub(crate) const HEADER_OVERHEAD: usize = 10;
/// What a record takes beside key, value and headers where it waits: its time and two lengths.
const KEPT_OVERHEAD: usize = 16;
/// What a header takes there beside its key and value: two lengths.
const KEPT_HEADER_OVERHEAD: usize = 8;

/// A message to be sent.
///
/// Key and value are copied when it is queued, so what they were slices of is not kept in memory.
///
/// ```
/// use divvy_producer::ProducerRecord;
///
/// let record = ProducerRecord {
///     key: Some("customer-7".into()),
///     ..ProducerRecord::new("orders", "one coffee")
/// };
/// assert_eq!(record.partition, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerRecord {
    /// The topic. A clone of one name for many records costs least.
    pub topic: Arc<str>,
    /// The partition, or `None` to let the [`Partitioner`](crate::Partitioner) choose one.
    pub partition: Option<i32>,
    /// The key; `None` is null, which is not the same as empty.
    pub key: Option<Bytes>,
    /// The value; `None` is null, which deletes the key from a compacted topic.
    pub value: Option<Bytes>,
    /// Milliseconds since 1970, or `None` for the time of sending. Brokers before 0.10 do not store it.
    pub timestamp: Option<i64>,
    /// The headers, in order. Brokers before 0.11 have no place for them, and records that have some fail there.
    pub headers: Vec<(String, Option<Bytes>)>,
}

impl ProducerRecord {
    /// A record with a value alone.
    pub fn new(topic: impl Into<Arc<str>>, value: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            partition: None,
            key: None,
            value: Some(value.into()),
            timestamp: None,
            headers: Vec::new(),
        }
    }
}

/// Where a record was stored. Kafka: `RecordMetadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordMetadata {
    /// The partition.
    pub tp: TopicPartition,
    /// The offset; `None` without acks, when the broker does not say.
    pub offset: Option<i64>,
    /// Milliseconds since 1970: when the broker appended the record, if the topic is set to take the broker's time, or else the
    /// record's own time.
    pub timestamp: i64,
}

/// A record without its topic and partition, as it is put into a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) timestamp: i64,
    pub(crate) headers: &'a [(String, Option<Bytes>)],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(record: &'a ProducerRecord, now_ms: i64) -> Self {
        Self {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            timestamp: record.timestamp.unwrap_or(now_ms),
            headers: &record.headers,
        }
    }

    /// The most bytes that the record takes in a batch of any format, uncompressed.
    #[inline]
    pub(crate) fn wire_size(&self) -> usize {
        self.size(RECORD_OVERHEAD, HEADER_OVERHEAD)
    }

    /// The bytes that it takes where it waits.
    #[inline]
    pub(crate) fn kept_size(&self) -> usize {
        let count_of_headers = if self.headers.is_empty() { 0 } else { 4 };
        self.size(KEPT_OVERHEAD + count_of_headers, KEPT_HEADER_OVERHEAD)
    }

    #[inline]
    fn size(&self, overhead: usize, header_overhead: usize) -> usize {
        let headers = self.headers.iter().fold(0_usize, |sum, (key, value)| {
            sum.saturating_add(key.len())
                .saturating_add(value.as_ref().map_or(0, Bytes::len))
                .saturating_add(header_overhead)
        });
        self.key
            .map_or(0, <[u8]>::len)
            .saturating_add(self.value.map_or(0, <[u8]>::len))
            .saturating_add(headers)
            .saturating_add(overhead)
    }
}
