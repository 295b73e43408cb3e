//! Writing record sets, as Produce carries them.

use bytes::Bytes;
use thiserror::Error;

use super::record::Header;
use crate::compression::{Compression, CompressionError};

mod batch;
mod log;
mod message_set;

use batch::BatchBuilder;
pub use log::LogWriter;
use message_set::MessageSetBuilder;

/// Why a record or a set could not be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No such format.
    #[error("magic {magic} is no record format that can be written (0, 1 or 2)")]
    Magic {
        /// The format that was asked for.
        magic: i8,
    },
    /// The format and the codec do not go together: zstd came with magic 2.
    #[error("{codec} does not exist in magic {magic}; it takes a broker of 2.1 or newer")]
    Codec {
        /// The codec.
        codec: Compression,
        /// The format.
        magic: i8,
    },
    /// The record has headers and the format has none.
    #[error("records of magic {magic} have no headers; they take a broker of 0.11 or newer")]
    Headers {
        /// The format.
        magic: i8,
    },
    /// A timestamp before 1970, which Kafka takes for the absence of one or refuses.
    #[error("timestamp {timestamp} is negative")]
    Timestamp {
        /// The timestamp in milliseconds.
        timestamp: i64,
    },
    /// With this record the set would be longer than its length field can say.
    #[error("the record set would grow beyond 2 GiB")]
    TooLarge,
    /// Nothing was appended, and brokers refuse empty sets.
    #[error("the record set is empty")]
    Empty,
    /// The codec failed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}

impl BuildError {
    /// Whether trying again can help; never, the same records would be refused again.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        false
    }
}

/// Writes one record set of one format: what a Produce request carries for a partition.
///
/// Magic 0 and 1 become a row of messages, or one message that wraps them compressed; magic 2
/// becomes one batch, which is all that newer brokers accept. Offsets count from 0 and the broker
/// puts its own in their place. Which format a broker takes depends on the version of Produce: 0
/// and 1 → magic 0, 2 → magic 1, 3 and above → magic 2.
#[derive(Debug)]
pub struct RecordsBuilder {
    format: Format,
}

#[derive(Debug)]
enum Format {
    MessageSet(MessageSetBuilder),
    Batch(BatchBuilder),
}

impl RecordsBuilder {
    /// An empty set.
    ///
    /// # Errors
    /// [`BuildError::Magic`] for a format other than 0, 1 and 2, [`BuildError::Codec`] for zstd
    /// before magic 2, [`CompressionError::NotBuilt`] for a codec that this build leaves out.
    pub fn new(magic: i8, compression: Compression) -> Result<Self, BuildError> {
        if !compression.is_available() {
            return Err(CompressionError::NotBuilt { codec: compression }.into());
        }
        let format = match magic {
            0 | 1 if compression == Compression::Zstd => {
                return Err(BuildError::Codec {
                    codec: compression,
                    magic,
                });
            }
            0 | 1 => Format::MessageSet(MessageSetBuilder::new(magic, compression)),
            2 => Format::Batch(BatchBuilder::new(compression)),
            _ => return Err(BuildError::Magic { magic }),
        };
        Ok(Self { format })
    }

    /// Adds a record at the end. The timestamp is in milliseconds since 1970, `None` for none;
    /// magic 0 has no place for it and leaves it out. A null key or value is `None`, and is not the
    /// same as an empty one.
    ///
    /// # Errors
    /// [`BuildError::Headers`], [`BuildError::Timestamp`] or [`BuildError::TooLarge`]; the set is
    /// as it was before.
    pub fn try_append(
        &mut self,
        timestamp: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<(), BuildError> {
        if let Some(timestamp) = timestamp.filter(|timestamp| *timestamp < 0) {
            return Err(BuildError::Timestamp { timestamp });
        }
        match &mut self.format {
            Format::MessageSet(set) => set.try_append(timestamp, key, value, headers),
            Format::Batch(batch) => batch.try_append(timestamp, key, value, headers),
        }
    }

    /// Makes room for about so many bytes of records, where their size is known before.
    pub fn reserve(&mut self, bytes: usize) {
        match &mut self.format {
            Format::MessageSet(set) => set.reserve(bytes),
            Format::Batch(batch) => batch.reserve(bytes),
        }
    }

    /// How many bytes [`RecordsBuilder::finish`] would give now: exactly so without compression,
    /// and before compression with it.
    #[must_use]
    pub fn estimated_size(&self) -> usize {
        match &self.format {
            Format::MessageSet(set) => set.estimated_size(),
            Format::Batch(batch) => batch.estimated_size(),
        }
    }

    /// How many records were added.
    #[must_use]
    pub fn len(&self) -> usize {
        let count = match &self.format {
            Format::MessageSet(set) => set.count(),
            Format::Batch(batch) => batch.count(),
        };
        usize::try_from(count).unwrap_or(0)
    }

    /// Whether none was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The finished set: compressed, numbered and with its checksums.
    ///
    /// # Errors
    /// [`BuildError::Empty`] without a record, [`BuildError::Compression`] if the codec fails,
    /// [`BuildError::TooLarge`] if compression made a set at the limit larger still.
    pub fn finish(self) -> Result<Bytes, BuildError> {
        if self.is_empty() {
            return Err(BuildError::Empty);
        }
        match self.format {
            Format::MessageSet(set) => set.finish(),
            Format::Batch(batch) => batch.finish(),
        }
        .map(Bytes::from)
    }
}

/// A length as Kafka's length fields hold it.
fn length(len: usize) -> Result<i32, BuildError> {
    i32::try_from(len).map_err(|_| BuildError::TooLarge)
}
