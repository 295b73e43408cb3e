use bytes::Bytes;
use divvy_client::TopicPartition;
use divvy_protocol::records::Record;

use super::id::MessageId;

/// A message that a [`Spout`](super::Spout) has handed out. It is finished by its [id](SpoutMessage::id), and shares no buffer with
/// others, so that keeping it keeps nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoutMessage {
    /// What to [`ack`](super::Spout::ack) or [`fail`](super::Spout::fail).
    pub id: MessageId,
    /// For which time it is handed out by this consumer, from 1.
    pub attempt: u32,
    /// Its partition.
    pub tp: TopicPartition,
    /// Its offset.
    pub offset: i64,
    /// When it was made or stored, in milliseconds since 1970; `None` in the format of Kafka before 0.10.
    pub timestamp: Option<i64>,
    /// Its key; `None` for none, which is something else than an empty one.
    pub key: Option<Bytes>,
    /// Its value; `None` for none (a tombstone), which is something else than an empty one.
    pub value: Option<Bytes>,
    /// Its headers, in order; a header may have no value.
    pub headers: Vec<(String, Option<Bytes>)>,
}

impl SpoutMessage {
    /// Copies a record, for its first time.
    pub(super) fn copied(tp: &TopicPartition, token: i64, record: &Record<'_>) -> Self {
        let headers = record.headers.iter();
        Self {
            id: MessageId::new(tp, record.offset, token),
            attempt: 1,
            tp: tp.clone(),
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(Bytes::copy_from_slice),
            value: record.value.map(Bytes::copy_from_slice),
            headers: headers
                .map(|header| {
                    let value = header.value.map(Bytes::copy_from_slice);
                    (header.key_str().into_owned(), value)
                })
                .collect(),
        }
    }

    /// What it takes to keep, in bytes.
    pub(super) fn size(&self) -> usize {
        let len = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        let headers = self.headers.iter();
        let headers: usize = headers.map(|(key, value)| key.len() + len(value)).sum();
        size_of::<Self>() + len(&self.key) + len(&self.value) + headers
    }
}
