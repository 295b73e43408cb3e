use std::sync::Arc;

use bytes::Bytes;
use divvy_client::TopicPartition;

/// What a batch takes before its records, in the format where that is most: the header of magic 2.
pub(crate) const BATCH_OVERHEAD: usize = 61;
/// What a record takes beside key, value and headers, in the format where that is most.
const RECORD_OVERHEAD: usize = 36;
/// What a header takes beside its key and value: two lengths of up to 5 bytes.
const HEADER_OVERHEAD: usize = 10;

/// A message to be sent.
///
/// Key and value are shared, not copied, until they are sent; a slice of a large buffer keeps the whole buffer in memory.
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

/// What is kept of a record while it waits: all of it but its partition, which its queue knows.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) timestamp: i64,
    pub(crate) headers: Vec<(String, Option<Bytes>)>,
}

impl Entry {
    pub(crate) fn new(record: ProducerRecord, now_ms: i64) -> Self {
        Self {
            key: record.key,
            value: record.value,
            timestamp: record.timestamp.unwrap_or(now_ms),
            headers: record.headers,
        }
    }

    /// The most bytes that the record takes in a batch of any format, uncompressed.
    pub(crate) fn wire_size(&self) -> usize {
        let headers = self
            .headers
            .len()
            .saturating_mul(HEADER_OVERHEAD)
            .saturating_add(RECORD_OVERHEAD);
        self.payload().saturating_add(headers)
    }

    /// The bytes that it takes in memory, for the budget.
    pub(crate) fn memory_size(&self) -> usize {
        let headers = self
            .headers
            .len()
            .saturating_mul(size_of::<(String, Option<Bytes>)>());
        self.payload()
            .saturating_add(headers)
            .saturating_add(size_of::<Self>())
    }

    fn payload(&self) -> usize {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers = self.headers.iter().fold(0_usize, |sum, (key, value)| {
            sum.saturating_add(key.len()).saturating_add(length(value))
        });
        length(&self.key)
            .saturating_add(length(&self.value))
            .saturating_add(headers)
    }
}
