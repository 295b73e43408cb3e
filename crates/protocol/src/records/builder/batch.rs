//! Batches of magic 2, from a producer that is not idempotent.

use super::{BuildError, length};
use crate::compression::{Compression, compress};
use crate::records::batch::CRC_FROM;
use crate::records::entry::OVERHEAD;
use crate::records::message::NO_TIMESTAMP;
use crate::records::record::Header;

const MAGIC: i8 = 2;
/// The bytes before the records.
const HEADER: usize = 61;

#[derive(Debug)]
pub(super) struct BatchBuilder {
    compression: Compression,
    records: Vec<u8>,
    count: i32,
    /// That of the first record, from which all others are counted.
    base_timestamp: i64,
    max_timestamp: i64,
    /// The record being written, whose length has to go before it.
    scratch: Vec<u8>,
}

impl BatchBuilder {
    pub(super) const fn new(compression: Compression) -> Self {
        Self {
            compression,
            records: Vec::new(),
            count: 0,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            scratch: Vec::new(),
        }
    }

    pub(super) fn reserve(&mut self, bytes: usize) {
        self.records.reserve(bytes);
    }

    pub(super) fn count(&self) -> i64 {
        i64::from(self.count)
    }

    pub(super) const fn estimated_size(&self) -> usize {
        self.records.len().saturating_add(HEADER)
    }

    pub(super) fn try_append(
        &mut self,
        timestamp: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<(), BuildError> {
        // The fields apart from the variable ones take at most 36 bytes, and each header's two
        // lengths 10.
        let variable = headers.iter().fold(36_usize, |sum, header| {
            sum.saturating_add(header.key.len())
                .saturating_add(header.value.map_or(0, <[u8]>::len))
                .saturating_add(10)
        });
        let (key_len, value_len) = (key.map_or(0, <[u8]>::len), value.map_or(0, <[u8]>::len));
        let most = self
            .estimated_size()
            .saturating_add(variable)
            .saturating_add(key_len)
            .saturating_add(value_len);
        length(most)?;
        let count = self.count.checked_add(1).ok_or(BuildError::TooLarge)?;

        let timestamp = timestamp.unwrap_or(NO_TIMESTAMP);
        let base_timestamp = if self.count == 0 {
            timestamp
        } else {
            self.base_timestamp
        };
        let record = &mut self.scratch;
        record.clear();
        record.push(0);
        put_varlong(record, timestamp.wrapping_sub(base_timestamp));
        put_varlong(record, i64::from(self.count));
        put_nullable(record, key)?;
        put_nullable(record, value)?;
        put_varlong(record, i64::from(length(headers.len())?));
        for header in headers {
            put_nullable(record, Some(header.key))?;
            put_nullable(record, header.value)?;
        }
        put_varlong(&mut self.records, i64::from(length(self.scratch.len())?));
        self.records.extend_from_slice(&self.scratch);

        self.count = count;
        self.base_timestamp = base_timestamp;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Vec<u8>, BuildError> {
        let packed = match self.compression {
            Compression::None => self.records,
            codec => compress(codec, &self.records, MAGIC)?,
        };
        let total = packed.len().saturating_add(HEADER);
        let mut batch = Vec::with_capacity(total);
        batch.extend_from_slice(&0_i64.to_be_bytes()); // base offset
        batch.extend_from_slice(&length(total.saturating_sub(OVERHEAD))?.to_be_bytes());
        batch.extend_from_slice(&(-1_i32).to_be_bytes()); // leader epoch
        batch.extend_from_slice(&MAGIC.to_be_bytes());

        let mut body = Vec::with_capacity(HEADER.saturating_sub(CRC_FROM));
        body.extend_from_slice(&self.compression.code().to_be_bytes());
        body.extend_from_slice(&self.count.saturating_sub(1).to_be_bytes()); // last offset delta
        body.extend_from_slice(&self.base_timestamp.to_be_bytes());
        body.extend_from_slice(&self.max_timestamp.to_be_bytes());
        body.extend_from_slice(&(-1_i64).to_be_bytes()); // producer id
        body.extend_from_slice(&(-1_i16).to_be_bytes()); // producer epoch
        body.extend_from_slice(&(-1_i32).to_be_bytes()); // base sequence
        body.extend_from_slice(&self.count.to_be_bytes());

        let crc = crc32c::crc32c_append(crc32c::crc32c(&body), &packed);
        batch.extend_from_slice(&crc.to_be_bytes());
        batch.extend_from_slice(&body);
        batch.extend_from_slice(&packed);
        Ok(batch)
    }
}

fn put_nullable(record: &mut Vec<u8>, bytes: Option<&[u8]>) -> Result<(), BuildError> {
    let Some(bytes) = bytes else {
        put_varlong(record, -1);
        return Ok(());
    };
    put_varlong(record, i64::from(length(bytes.len())?));
    record.extend_from_slice(bytes);
    Ok(())
}

/// Writes a zig-zag varint; a number of 32 bits takes the same bytes as one of 64.
fn put_varlong(record: &mut Vec<u8>, value: i64) {
    let mut zigzag = (value.wrapping_shl(1) ^ (value >> 63)).cast_unsigned();
    while zigzag >= 0x80 {
        let [low, ..] = zigzag.to_le_bytes();
        record.push(low | 0x80);
        zigzag >>= 7;
    }
    let [last, ..] = zigzag.to_le_bytes();
    record.push(last);
}
