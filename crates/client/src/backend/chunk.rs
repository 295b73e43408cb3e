use bytes::Bytes;
use divvy_protocol::records::{DecodeOptions, Decoded, decode};
use divvy_protocol::{ErrorCode, TopicPartition};

/// What a chunk unpacks to at a time, beyond its next entry: what is unpacked lies beside the queue and is no part of its budget.
const UNPACKED_AT_ONCE: usize = 2 << 20;

/// What a chunk takes beside its entries, rounded up: itself, its place in the queue, and the buffers' own records.
const SMALLEST: usize = 512;

/// A piece of one partition's log as it came from the broker: whole entries, not checked and not decompressed yet.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Chunk {
    /// Whose log it is.
    pub tp: TopicPartition,
    /// The offset that was asked for; what lies below it belongs to somebody else and is dropped on decoding.
    pub from_offset: i64,
    /// Where the log goes on after this piece.
    pub next_offset: i64,
    /// The end of the log as far as it can be read, when the piece was fetched.
    pub high_watermark: i64,
    /// The entries.
    pub entries: Bytes,
    /// Producer ids and first offsets of aborted transactions within it.
    pub aborted: Vec<(i64, i64)>,
    /// Whether any entry is compressed, so that decoding is work.
    pub compressed: bool,
    /// Whether somebody has checked the entries already, so that their checksums mean nothing any more.
    pub checked: bool,
}

impl Chunk {
    /// A piece of plain entries without aborted transactions, not checked; [`Chunk::aborted`], [`Chunk::compressed`] and
    /// [`Chunk::checked`] can be set.
    pub fn new(
        tp: TopicPartition,
        from_offset: i64,
        next_offset: i64,
        high_watermark: i64,
        entries: Bytes,
    ) -> Self {
        Self {
            tp,
            from_offset,
            next_offset,
            high_watermark,
            entries,
            aborted: Vec::new(),
            compressed: false,
            checked: false,
        }
    }

    /// Checks and decompresses the entries. With `check_crc` off, and where they were checked before, damage is noticed only where
    /// it breaks the structure. Pauses where they unpack to more than should be held at once; the [rest](Decoded::rest) can be decoded later.
    pub fn decode(&self, check_crc: bool) -> Decoded {
        let options = DecodeOptions {
            from_offset: self.from_offset,
            check_crc: check_crc && !self.checked,
            pause_after: UNPACKED_AT_ONCE,
            aborted: self.aborted.clone(),
            ..DecodeOptions::default()
        };
        let mut decoded = decode(&self.entries, &options);
        // Whoever checked the entries knows what the log holds nothing of behind them, which no entry says here.
        if self.checked && decoded.error.is_none() && decoded.rest.is_none() {
            decoded.next_offset = decoded.next_offset.max(self.next_offset);
        }
        decoded
    }

    /// Its size in the fetch queue, in bytes: that of its entries, or what it takes to keep it at all, which is more where messages
    /// trickle in one by one.
    pub fn size(&self) -> usize {
        self.entries.len().max(SMALLEST)
    }
}

/// Why a backend has stopped fetching a partition. It goes on only when it is told to, by another
/// [`start`](super::Backend::start).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The position is not within the log.
    #[error("offset {offset} of {tp} is out of range")]
    OffsetOutOfRange {
        /// Whose log.
        tp: TopicPartition,
        /// The position that was asked for.
        offset: i64,
    },
    /// The next message is larger than the largest that is accepted.
    #[error(
        "the message at offset {offset} of {tp} takes {size} bytes and the limit is {limit}; raise fetch_message_max_bytes_cap to read it, or seek beyond it"
    )]
    MessageTooLarge {
        /// Whose log.
        tp: TopicPartition,
        /// The offset that was asked for.
        offset: i64,
        /// What the message needs.
        size: usize,
        /// The largest fetch that is allowed.
        limit: usize,
    },
    /// What the broker sent for the partition cannot be read.
    #[error("{tp} is corrupt at offset {offset}: {why}; seek to {skip_to} to leave it out")]
    Corrupt {
        /// Whose log.
        tp: TopicPartition,
        /// The first offset that cannot be read.
        offset: i64,
        /// The offset behind the damaged entry, which may hold many messages; the next one where not even that can be told.
        skip_to: i64,
        /// What is wrong.
        why: String,
    },
    /// The broker refuses to serve the partition.
    #[error("{tp} cannot be fetched at offset {offset}: {code}: {}", code.description())]
    Refused {
        /// Whose log.
        tp: TopicPartition,
        /// The offset that was asked for.
        offset: i64,
        /// The broker's reason.
        code: ErrorCode,
    },
    /// The library that fetches for the backend cannot go on.
    #[error("{tp} cannot be fetched at offset {offset}: {why}")]
    Library {
        /// Whose log.
        tp: TopicPartition,
        /// The offset that was asked for.
        offset: i64,
        /// The library's own text.
        why: String,
    },
}

impl FetchError {
    /// The partition that is concerned.
    pub fn partition(&self) -> &TopicPartition {
        match self {
            Self::OffsetOutOfRange { tp, .. }
            | Self::MessageTooLarge { tp, .. }
            | Self::Corrupt { tp, .. }
            | Self::Refused { tp, .. }
            | Self::Library { tp, .. } => tp,
        }
    }

    /// The offset at which the partition stands still.
    pub fn offset(&self) -> i64 {
        match self {
            Self::OffsetOutOfRange { offset, .. }
            | Self::MessageTooLarge { offset, .. }
            | Self::Corrupt { offset, .. }
            | Self::Refused { offset, .. }
            | Self::Library { offset, .. } => *offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use divvy_protocol::TopicPartition;
    use divvy_protocol::records::LogWriter;

    use super::Chunk;

    fn chunk(entries: Bytes, checked: bool) -> Chunk {
        let mut chunk = Chunk::new(TopicPartition::new("t", 0), 5, 9, 100, entries);
        chunk.checked = checked;
        chunk
    }

    fn message() -> Bytes {
        let mut writer = LogWriter::default();
        writer.append(6, None, None, Some(b"value"), &[]).unwrap();
        writer.finish()
    }

    #[test]
    fn what_was_checked_is_believed() {
        let decoded = chunk(message(), true).decode(true);
        assert!(decoded.error.is_none());
        assert_eq!((decoded.records.len(), decoded.next_offset), (1, 9));
        let nothing = chunk(Bytes::new(), true).decode(true);
        assert_eq!((nothing.records.len(), nothing.next_offset), (0, 9));
    }

    #[test]
    fn what_was_not_checked_is_not() {
        let decoded = chunk(message(), false).decode(true);
        assert!(decoded.error.is_some(), "its checksum is not there");
        assert_eq!(decoded.next_offset, 5);
        let nothing = chunk(Bytes::new(), false).decode(true);
        assert_eq!(nothing.next_offset, 5);
    }
}
