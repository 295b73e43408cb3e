//! Messages of magic 0 and 1: the plain ones, and the wrappers of compressed ones.
//!
//! ```text
//! @0  offset i64      @8 size i32 (the bytes after this field)
//! @12 crc u32         CRC-32 of everything from the magic byte on
//! @16 magic i8        @17 attributes i8      magic 1 only: @18 timestamp i64
//! key: i32 length (−1 null), bytes           value: the same
//! ```

use super::entry::OVERHEAD;
use super::error::Corruption;
use super::input::Input;
use super::record::{Headers, Record, TimestampType};

/// The attribute that marks a timestamp as the broker's.
pub(super) const LOG_APPEND_TIME: u8 = 0x08;
/// How producers say that there is no timestamp.
pub(super) const NO_TIMESTAMP: i64 = -1;
/// Where the bytes begin that the checksum covers.
const CRC_FROM: usize = OVERHEAD + 4;

/// A timestamp as Kafka writes it, `None` being −1.
#[inline]
pub(super) const fn timestamp_of(field: i64) -> Option<i64> {
    if field == NO_TIMESTAMP {
        None
    } else {
        Some(field)
    }
}

/// How the messages of one buffer are to be understood.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MessageContext {
    /// What to add to each offset; not 0 in wrappers of magic 1 only, where offsets are relative.
    pub(super) shift: i64,
    /// The wrapper's timestamp, if the broker set it: it then is that of every message within.
    pub(super) log_append_time: Option<i64>,
}

/// The fields of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    /// As it is stored.
    pub(super) offset: i64,
    pub(super) magic: u8,
    pub(super) attributes: u8,
    /// As it is stored; −1 in magic 0.
    pub(super) timestamp: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// Reads a message off the front, and does not look at its checksum. `None` if it does not fit
    /// or its lengths contradict each other.
    #[inline]
    pub(super) fn take(input: &mut Input<'a>) -> Option<Self> {
        let offset = input.i64()?;
        let size = usize::try_from(input.i32()?).ok()?;
        let mut fields = Input(input.take(size)?);
        let _crc = fields.u32()?;
        let magic = fields.u8()?;
        let attributes = fields.u8()?;
        let timestamp = match magic {
            0 => NO_TIMESTAMP,
            1 => fields.i64()?,
            _ => return None,
        };
        let key = fields.nullable_bytes()?;
        let value = fields.nullable_bytes()?;
        fields.0.is_empty().then_some(Self {
            offset,
            magic,
            attributes,
            timestamp,
            key,
            value,
        })
    }

    pub(super) const fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// The message as a record.
    #[inline]
    pub(super) fn record(&self, context: &MessageContext) -> Record<'a> {
        let (timestamp, timestamp_type) = match (context.log_append_time, self.magic) {
            (Some(time), _) => (timestamp_of(time), TimestampType::LogAppendTime),
            (None, 0) => (None, TimestampType::NoTimestamp),
            (None, _) if self.is_log_append_time() => {
                (timestamp_of(self.timestamp), TimestampType::LogAppendTime)
            }
            (None, _) => (timestamp_of(self.timestamp), TimestampType::CreateTime),
        };
        let offset = self.offset.wrapping_add(context.shift);
        Record {
            offset,
            timestamp,
            timestamp_type,
            key: self.key,
            value: self.value,
            headers: Headers::NONE,
        }
    }
}

/// Compares a message's checksum with its bytes, which are all of the message.
#[inline]
pub(super) fn check_crc(message: &[u8]) -> Result<(), Corruption> {
    let too_short = || Corruption::malformed("the checksum");
    let stored = Input(message.get(OVERHEAD..).ok_or_else(too_short)?)
        .u32()
        .ok_or_else(too_short)?;
    let computed = crc32fast::hash(message.get(CRC_FROM..).ok_or_else(too_short)?);
    if stored == computed {
        Ok(())
    } else {
        Err(Corruption::Crc { stored, computed })
    }
}
