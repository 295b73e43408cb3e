//! Hopping from entry to entry, by lengths alone.
//!
//! All formats agree on the first 17 bytes in so far as the magic byte is the last of them: `offset
//! i64, size i32`, four bytes of something, `magic i8`.

use super::batch;
use super::error::{Corruption, RecordsError};
use super::input::Input;
use crate::compression::Compression;

/// The bytes of `offset` and `size`, which `size` does not count.
pub(super) const OVERHEAD: usize = 12;
/// The smallest size of any entry: that of a message of magic 0 without key and value.
const MIN_SIZE: i32 = 14;
/// The smallest size of a batch: that of one without records.
const MIN_BATCH_SIZE: i32 = 49;

/// An entry that is there in full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    /// The offset field.
    pub(super) offset: i64,
    pub(super) magic: Magic,
    /// The offset of its last record, as far as its header knows.
    pub(super) last_offset: i64,
    /// The attributes; magic 0 and 1 have the lower byte only.
    pub(super) attributes: i16,
    /// All of it, from the offset field on.
    pub(super) bytes: &'a [u8],
}

/// The format of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Magic {
    /// A message without a timestamp, written by brokers before 0.10.
    V0,
    /// A message with a timestamp.
    V1,
    /// A batch, written by brokers from 0.11 on.
    V2,
}

/// What lies at some place of a record set.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// An entry, there in full.
    Whole(Entry<'a>),
    /// The start of an entry, or nothing at all. `needed` is the entry's full length if that much
    /// can be read off it.
    Partial { needed: Option<usize> },
    /// Something that cannot be an entry, and whatever follows cannot be found. The offset is what
    /// it states.
    Malformed { offset: i64, reason: Corruption },
}

impl<'a> Entry<'a> {
    /// Looks at the front of `set`. Only lengths, the magic byte and the range of the offsets are
    /// checked.
    #[inline]
    pub(super) fn step(set: &'a [u8]) -> Step<'a> {
        let mut input = Input(set);
        let (Some(offset), Some(size)) = (input.i64(), input.i32()) else {
            return Step::Partial { needed: None };
        };
        let Some(len) = usize::try_from(size)
            .ok()
            .filter(|_| size >= MIN_SIZE)
            .and_then(|size| size.checked_add(OVERHEAD))
        else {
            return Step::Malformed {
                offset,
                reason: Corruption::Size { size },
            };
        };
        let Some(bytes) = set.get(..len) else {
            return Step::Partial { needed: Some(len) };
        };
        match Self::of(offset, size, bytes) {
            Ok(entry) => Step::Whole(entry),
            Err(reason) => Step::Malformed { offset, reason },
        }
    }

    #[inline]
    fn of(offset: i64, size: i32, bytes: &'a [u8]) -> Result<Self, Corruption> {
        let too_short = || Corruption::Size { size };
        let mut input = Input(bytes);
        input.take(OVERHEAD + 4).ok_or_else(too_short)?;
        let magic = input.i8().ok_or_else(too_short)?;
        let (magic, attributes, last_offset) = match magic {
            0 | 1 => {
                let attributes = input.i8().ok_or_else(too_short)?;
                (
                    if magic == 0 { Magic::V0 } else { Magic::V1 },
                    i16::from(attributes),
                    offset,
                )
            }
            2 if size < MIN_BATCH_SIZE => return Err(too_short()),
            2 => {
                let (attributes, delta) =
                    batch::attributes_and_delta(input).ok_or_else(too_short)?;
                let last = offset.checked_add(i64::from(delta)).filter(|_| delta >= 0);
                (
                    Magic::V2,
                    attributes,
                    last.ok_or(Corruption::OffsetRange { offset })?,
                )
            }
            magic => return Err(Corruption::Magic { magic }),
        };
        // The highest offset is left out, so that the one after it always exists.
        if offset < 0 || last_offset == i64::MAX {
            return Err(Corruption::OffsetRange { offset });
        }
        Ok(Self {
            offset,
            magic,
            last_offset,
            attributes,
            bytes,
        })
    }

    /// The offset after this entry, by its header.
    #[inline]
    pub(super) const fn next_offset(&self) -> i64 {
        self.last_offset.saturating_add(1)
    }

    /// `Err` unless the entry ends above `previous`, the last offset of what comes before it.
    #[inline]
    pub(super) fn check_after(&self, previous: Option<i64>) -> Result<(), Corruption> {
        match previous {
            Some(previous) if self.last_offset <= previous => Err(Corruption::OffsetBackwards {
                previous,
                offset: self.last_offset,
            }),
            _ => Ok(()),
        }
    }

    /// Whether it names a codec, be it a known one or not.
    #[inline]
    pub(super) const fn is_compressed(&self) -> bool {
        self.attributes & 0x07 != 0
    }

    /// Its codec.
    #[inline]
    pub(super) fn compression(&self) -> Result<Compression, Corruption> {
        let codec = Compression::from_attributes(self.attributes)?;
        match (codec, self.magic) {
            (Compression::Zstd, Magic::V0) => Err(Corruption::Codec { codec, magic: 0 }),
            (Compression::Zstd, Magic::V1) => Err(Corruption::Codec { codec, magic: 1 }),
            _ => Ok(codec),
        }
    }

    /// The error that this entry, at `position`, gives rise to.
    pub(super) const fn error(&self, position: usize, reason: Corruption) -> RecordsError {
        RecordsError {
            offset: self.offset,
            position,
            skip_to: Some(self.next_offset()),
            reason,
        }
    }
}
