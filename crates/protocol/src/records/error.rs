//! What can be wrong with a record set.

use thiserror::Error;

use crate::compression::{Compression, CompressionError};

/// The first entry of a record set that cannot be trusted.
///
/// Records never know their topic and partition; whoever fetched them adds those.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the entry at offset {offset} (byte {position} of the set) is corrupt: {reason}")]
#[non_exhaustive]
pub struct RecordsError {
    /// The offset that the entry states: of a plain message its own, of a compressed one (magic 0
    /// and 1) that of its last message, of a batch (magic 2) its first. Checksums do not cover it.
    pub offset: i64,
    /// Where the entry starts, in bytes from the start of the set.
    pub position: usize,
    /// The offset behind the entry, for someone who decides to give up on what it held; `None` if
    /// the entry is too broken to tell. Nothing in this crate skips an entry by itself.
    pub skip_to: Option<i64>,
    /// What is wrong with it.
    #[source]
    pub reason: Corruption,
}

impl RecordsError {
    /// Whether fetching the entry again can help: it does when it was damaged on its way, and
    /// never when it was written wrongly, or this build or its limits cannot read it.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        match &self.reason {
            Corruption::Compression(error) => error.is_retriable(),
            Corruption::Codec { .. } | Corruption::Empty | Corruption::Nested => false,
            _ => true,
        }
    }
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Corruption {
    /// The size field holds less than the smallest entry needs.
    #[error("its size is {size}, which no entry can have")]
    Size {
        /// The size field, in bytes.
        size: i32,
    },
    /// The magic byte names no format that Kafka has.
    #[error("magic {magic} is no record format")]
    Magic {
        /// The magic byte.
        magic: i8,
    },
    /// The checksum is not that of the bytes: CRC-32 in magic 0 and 1, CRC-32C in magic 2.
    #[error("its checksum is {stored:#010x}, but its bytes have {computed:#010x}")]
    Crc {
        /// What the entry says.
        stored: u32,
        /// What its bytes say.
        computed: u32,
    },
    /// A field runs over the end of its entry, or has a value that it cannot have.
    #[error("{what} is malformed")]
    Malformed {
        /// The field.
        what: &'static str,
    },
    /// Bytes are left over behind the last field.
    #[error("{count} bytes are left over behind {what}")]
    Trailing {
        /// What should have been the end.
        what: &'static str,
        /// How many bytes follow.
        count: usize,
    },
    /// An offset is not above the one before it.
    #[error("offset {offset} follows offset {previous}")]
    OffsetBackwards {
        /// The last offset of what comes before.
        previous: i64,
        /// The offset that should have been higher.
        offset: i64,
    },
    /// An offset is negative, above the highest, or outside the range that its entry states.
    #[error("offset {offset} is out of range")]
    OffsetRange {
        /// The offset.
        offset: i64,
    },
    /// A compressed message holds no message.
    #[error("it is compressed and holds nothing")]
    Empty,
    /// A compressed message holds a compressed message.
    #[error("it is compressed twice")]
    Nested,
    /// The codec does not exist in the format: zstd came with magic 2.
    #[error("{codec} does not exist in magic {magic}")]
    Codec {
        /// What the attributes name.
        codec: Compression,
        /// The magic byte.
        magic: i8,
    },
    /// The compressed bytes cannot be unpacked, or not within the limit.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}

impl Corruption {
    /// A field that does not fit.
    pub(super) const fn malformed(what: &'static str) -> Self {
        Self::Malformed { what }
    }

    /// `Err` if bytes follow what should have been the end.
    pub(super) const fn trailing(what: &'static str, rest: &[u8]) -> Result<(), Self> {
        if rest.is_empty() {
            Ok(())
        } else {
            Err(Self::Trailing {
                what,
                count: rest.len(),
            })
        }
    }
}
