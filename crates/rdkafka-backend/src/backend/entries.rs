//! Messages of librdkafka's, copied into a chunk.

use divvy_client::{Chunk, TopicPartition};
use divvy_protocol::records::{Header, LogWriter, TimestampType};

use crate::bare::{Clock, Message};

/// Copies a run of one partition's messages, which take so many bytes. Gives `None` where none lies at or above `from_offset`.
pub(super) fn chunk<'a>(
    tp: &TopicPartition,
    from_offset: i64,
    high_watermark: i64,
    bytes: usize,
    run: impl Iterator<Item = Message<'a>>,
) -> Option<Chunk> {
    let mut writer = LogWriter::with_capacity(bytes);
    let mut headers = Vec::new();
    let mut next_offset = from_offset;
    for message in run {
        if message.offset() < next_offset {
            continue;
        }
        headers.clear();
        message.headers(&mut headers);
        let timestamp = message.timestamp().map(|(at, clock)| match clock {
            Clock::Producer => (at, TimestampType::CreateTime),
            Clock::Broker => (at, TimestampType::LogAppendTime),
        });
        let (offset, key, value) = (message.offset(), message.key(), message.value());
        let header = |&(key, value): &_| Header { key, value };
        let headers: Vec<Header<'_>> = headers.iter().map(header).collect();
        // What is too large for an entry is too large for a log, and came from one.
        if writer
            .append(offset, timestamp, key, value, &headers)
            .is_ok()
        {
            next_offset = offset.saturating_add(1);
        }
    }
    (next_offset > from_offset).then(|| {
        let high_watermark = high_watermark.max(next_offset);
        let mut chunk = Chunk::new(
            tp.clone(),
            from_offset,
            next_offset,
            high_watermark,
            writer.finish(),
        );
        chunk.checked = true;
        chunk
    })
}
