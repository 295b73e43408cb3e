//! Messages that somebody else has taken apart already, put back into the form of a log.

use bytes::{BufMut as _, Bytes};

use super::{BuildError, RecordsBuilder, length};
use crate::compression::Compression;
use crate::records::message::{LOG_APPEND_TIME, NO_TIMESTAMP};
use crate::records::record::{Header, TimestampType};

/// What a message takes beside its key and value: of magic 1, the larger of those that are written.
const OVERHEAD: usize = 34;
/// Where a batch of magic 2 has its base offset, its attributes, and its base and highest timestamps.
const BASE_OFFSET_AT: usize = 0;
const ATTRIBUTES_AT: usize = 21;
const TIMESTAMPS_AT: usize = 27;

/// Writes messages whose offsets are known into a row of entries, so that what another library has read goes the same way as what
/// was read here.
///
/// Their checksums are left at zero: the entries never leave the process, and whoever
/// [decodes](crate::records::decode) them has to leave [`check_crc`](crate::records::DecodeOptions::check_crc) off.
#[derive(Debug, Default)]
pub struct LogWriter {
    entries: Vec<u8>,
}

impl LogWriter {
    /// An empty row with room for so many bytes; more are found as they are needed.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            entries: Vec::with_capacity(bytes),
        }
    }

    /// At least what a message without headers takes.
    #[must_use]
    pub fn size_of(key: Option<&[u8]>, value: Option<&[u8]>) -> usize {
        let (key, value) = (key.map_or(0, <[u8]>::len), value.map_or(0, <[u8]>::len));
        OVERHEAD.saturating_add(key).saturating_add(value)
    }

    /// Adds a message. Offsets have to rise from one to the next.
    ///
    /// A message without headers has magic 1, or 0 where it has no timestamp; one with headers is a batch of its own.
    ///
    /// # Errors
    /// [`BuildError::TooLarge`] for a message whose length no entry can state; the row is as it was before.
    // Called for every message.
    #[inline]
    pub fn append(
        &mut self,
        offset: i64,
        timestamp: Option<(i64, TimestampType)>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<(), BuildError> {
        if !headers.is_empty() {
            return self.append_batch(offset, timestamp, key, value, headers);
        }
        let (key_len, value_len) = (nullable_length(key)?, nullable_length(value)?);
        let (key, value) = (key.unwrap_or_default(), value.unwrap_or_default());
        let fixed = if timestamp.is_some() { 22 } else { 14 };
        let variable = key.len().saturating_add(value.len());
        let size = length(variable.saturating_add(fixed))?;

        let entries = &mut self.entries;
        entries.reserve(variable.saturating_add(OVERHEAD));
        entries.put_i64(offset);
        entries.put_i32(size);
        match timestamp {
            None => entries.put_slice(&[0; 6]),
            Some((timestamp, kind)) => {
                entries.put_slice(&[0, 0, 0, 0, 1, attributes(kind)]);
                entries.put_i64(timestamp);
            }
        }
        entries.put_i32(key_len);
        entries.put_slice(key);
        entries.put_i32(value_len);
        entries.put_slice(value);
        Ok(())
    }

    /// The entries.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.entries.into()
    }

    #[cold]
    fn append_batch(
        &mut self,
        offset: i64,
        timestamp: Option<(i64, TimestampType)>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<(), BuildError> {
        let mut builder = RecordsBuilder::new(2, Compression::None)?;
        builder.try_append(None, key, value, headers)?;
        let start = self.entries.len();
        self.entries.extend_from_slice(&builder.finish()?);
        let batch = self.entries.get_mut(start..).unwrap_or_default();
        let (timestamp, kind) = timestamp.unwrap_or((NO_TIMESTAMP, TimestampType::CreateTime));
        put(batch, BASE_OFFSET_AT, &offset.to_be_bytes());
        put(batch, ATTRIBUTES_AT, &[0, attributes(kind)]);
        put(batch, TIMESTAMPS_AT, &timestamp.to_be_bytes());
        put(batch, TIMESTAMPS_AT + 8, &timestamp.to_be_bytes());
        Ok(())
    }
}

const fn attributes(kind: TimestampType) -> u8 {
    match kind {
        TimestampType::LogAppendTime => LOG_APPEND_TIME,
        TimestampType::NoTimestamp | TimestampType::CreateTime => 0,
    }
}

fn nullable_length(bytes: Option<&[u8]>) -> Result<i32, BuildError> {
    bytes.map_or(Ok(-1), |bytes| length(bytes.len()))
}

/// Writes over a field, which a finished batch has.
fn put(batch: &mut [u8], at: usize, field: &[u8]) {
    if let Some(place) = batch
        .get_mut(at..)
        .and_then(|rest| rest.get_mut(..field.len()))
    {
        place.copy_from_slice(field);
    }
}

#[cfg(test)]
mod tests;
