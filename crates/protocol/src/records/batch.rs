//! Batches of magic 2.
//!
//! ```text
//! @0  base_offset i64    @8  length i32 (the bytes after this field)   @12 leader_epoch i32    @16 magic i8
//! @17 crc u32            CRC-32C of everything from the attributes on
//! @21 attributes i16     @23 last_offset_delta i32    @27 base_timestamp i64    @35 max_timestamp i64
//! @43 producer_id i64    @51 producer_epoch i16       @53 base_sequence i32     @57 count i32     @61 records
//! ```
//! A codec packs the records only. A record is
//! ```text
//! length varint, attributes i8, timestamp_delta varlong, offset_delta varint, key, value: varint length (−1 null), bytes
//! header count varint, and of each header key and value like those of the record
//! ```

use super::error::Corruption;
use super::input::Input;
use super::message::timestamp_of;
use super::record::{Headers, Record, TimestampType};
use super::view::Span;

const CRC_AT: usize = 17;
pub(super) const CRC_FROM: usize = 21;

const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

/// Attributes and last offset delta, from the bytes right behind the magic byte.
#[inline]
pub(super) fn attributes_and_delta(mut after_magic: Input<'_>) -> Option<(i16, i32)> {
    let _crc = after_magic.u32()?;
    Some((after_magic.i16()?, after_magic.i32()?))
}

/// The fields of a batch that matter to a reader.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchHeader {
    pub(super) base_offset: i64,
    pub(super) attributes: i16,
    pub(super) last_offset_delta: i32,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
    pub(super) producer_id: i64,
    pub(super) count: i32,
}

impl BatchHeader {
    /// Splits a batch into its header and its records, which may be compressed.
    pub(super) fn split(batch: &[u8]) -> Option<(Self, &[u8])> {
        let mut input = Input(batch);
        let base_offset = input.i64()?;
        let _length = input.i32()?;
        let _leader_epoch = input.i32()?;
        let _magic = input.i8()?;
        let _crc = input.u32()?;
        let attributes = input.i16()?;
        let last_offset_delta = input.i32()?;
        let base_timestamp = input.i64()?;
        let max_timestamp = input.i64()?;
        let producer_id = input.i64()?;
        let _producer_epoch = input.i16()?;
        let _base_sequence = input.i32()?;
        let count = input.i32()?;
        let header = Self {
            base_offset,
            attributes,
            last_offset_delta,
            base_timestamp,
            max_timestamp,
            producer_id,
            count,
        };
        Some((header, input.0))
    }

    pub(super) const fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub(super) const fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    pub(super) const fn context(&self) -> BatchContext {
        BatchContext {
            base_offset: self.base_offset,
            base_timestamp: self.base_timestamp,
            log_append_time: if self.attributes & LOG_APPEND_TIME == 0 {
                None
            } else {
                Some(self.max_timestamp)
            },
        }
    }
}

/// How the records of a batch are to be understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchContext {
    base_offset: i64,
    base_timestamp: i64,
    /// The batch's highest timestamp, if the broker set it: it then is that of every record.
    log_append_time: Option<i64>,
}

/// A record, and how far it lies behind the batch's base offset.
pub(super) struct BatchRecord<'a> {
    pub(super) offset_delta: i32,
    pub(super) record: Record<'a>,
}

impl<'a> BatchRecord<'a> {
    /// Reads a record off the front. `None` if it does not fit or its lengths contradict each
    /// other.
    // Called from two loops; as a call it would cost more than it does (13 ns a record, not 6).
    #[inline(always)]
    pub(super) fn take(input: &mut Input<'a>, context: &BatchContext) -> Option<Self> {
        let length = usize::try_from(input.varint()?).ok()?;
        let mut fields = Input(input.take(length)?);
        let _attributes = fields.u8()?;
        let timestamp_delta = fields.varlong()?;
        let offset_delta = fields.varint()?;
        let key = fields.nullable_varint_bytes()?;
        let value = fields.nullable_varint_bytes()?;
        let header_count = fields.varint()?;
        let headers = Headers::check(header_count, fields)?;
        let (timestamp, timestamp_type) = match context.log_append_time {
            Some(time) => (timestamp_of(time), TimestampType::LogAppendTime),
            // Any 64 bits are a timestamp, as in Java, so that a strange one does not cost its
            // record.
            None => (
                timestamp_of(context.base_timestamp.wrapping_add(timestamp_delta)),
                TimestampType::CreateTime,
            ),
        };
        let offset = context.base_offset.wrapping_add(i64::from(offset_delta));
        Some(Self {
            offset_delta,
            record: Record {
                offset,
                timestamp,
                timestamp_type,
                key,
                value,
                headers,
            },
        })
    }
}

/// What ended a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    Abort,
    /// A commit, or one of the kinds that came later and mean nothing to a reader.
    Other,
}

impl Marker {
    /// Reads the key of a control record: `version i16, type i16`.
    pub(super) fn of(key: Option<&[u8]>) -> Option<Self> {
        let mut key = Input(key?);
        let _version = key.i16()?;
        Some(if key.i16()? == 0 {
            Self::Abort
        } else {
            Self::Other
        })
    }
}

/// Compares a batch's checksum with its bytes, which are all of the batch.
pub(super) fn check_crc(batch: &[u8]) -> Result<(), Corruption> {
    let too_short = || Corruption::malformed("the checksum");
    let stored = Input(batch.get(CRC_AT..).ok_or_else(too_short)?)
        .u32()
        .ok_or_else(too_short)?;
    let computed = crc32c::crc32c(batch.get(CRC_FROM..).ok_or_else(too_short)?);
    if stored == computed {
        Ok(())
    } else {
        Err(Corruption::Crc { stored, computed })
    }
}

/// The records of a batch, checked.
pub(super) struct Checked {
    /// The bytes of the records that are wanted, counted from the end of the batch.
    pub(super) wanted: usize,
    /// `None` if none is wanted.
    pub(super) span: Option<Span>,
    /// What the batch says about its producer's transaction, if it is a control batch.
    pub(super) marker: Option<Marker>,
}

/// Checks the records of a batch, unpacked, and finds those at or above `from_offset`. They have to
/// lie above `previous`, the last offset of what comes before the batch.
pub(super) fn check(
    header: &BatchHeader,
    records: &[u8],
    previous: Option<i64>,
    from_offset: i64,
) -> Result<Checked, Corruption> {
    let context = header.context();
    let mut input = Input(records);
    let mut checked = Checked {
        wanted: 0,
        span: None,
        marker: None,
    };
    let mut previous_delta = -1;
    if header.count < 0 {
        return Err(Corruption::malformed("the record count"));
    }
    for index in 0..header.count {
        let left = input.0.len();
        let BatchRecord {
            offset_delta,
            record,
        } = BatchRecord::take(&mut input, &context)
            .ok_or(Corruption::malformed("a record within it"))?;
        let offset = record.offset;
        if offset_delta <= previous_delta {
            let previous = header.base_offset.saturating_add(i64::from(previous_delta));
            return Err(Corruption::OffsetBackwards { previous, offset });
        }
        if offset_delta > header.last_offset_delta {
            return Err(Corruption::OffsetRange { offset });
        }
        if index == 0 {
            if let Some(previous) = previous.filter(|previous| offset <= *previous) {
                return Err(Corruption::OffsetBackwards { previous, offset });
            }
            if header.is_control() {
                checked.marker = Some(
                    Marker::of(record.key)
                        .ok_or(Corruption::malformed("the control record's key"))?,
                );
            }
        }
        previous_delta = offset_delta;
        match &mut checked.span {
            Some(span) => (span.count, span.last_offset) = (span.count.saturating_add(1), offset),
            None if offset < from_offset => {}
            None => {
                checked.wanted = left;
                checked.span = Some(Span {
                    count: 1,
                    first_offset: offset,
                    last_offset: offset,
                });
            }
        }
    }
    Corruption::trailing("the last record", input.0)?;
    Ok(checked)
}
