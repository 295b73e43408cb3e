//! Message sets of magic 0 and 1.

use super::{BuildError, length};
use crate::compression::{Compression, compress};
use crate::records::entry::OVERHEAD;
use crate::records::message::NO_TIMESTAMP;
use crate::records::record::Header;

/// Where a message's checksum begins and what it covers begins.
const CRC_AT: usize = OVERHEAD;
const CRC_FROM: usize = OVERHEAD + 4;

#[derive(Debug)]
pub(super) struct MessageSetBuilder {
    magic: i8,
    compression: Compression,
    messages: Vec<u8>,
    count: i64,
    max_timestamp: i64,
}

/// What goes into a message.
struct Fields<'a> {
    offset: i64,
    compression: Compression,
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl MessageSetBuilder {
    pub(super) const fn new(magic: i8, compression: Compression) -> Self {
        Self {
            magic,
            compression,
            messages: Vec::new(),
            count: 0,
            max_timestamp: NO_TIMESTAMP,
        }
    }

    pub(super) fn reserve(&mut self, bytes: usize) {
        self.messages.reserve(bytes);
    }

    pub(super) const fn count(&self) -> i64 {
        self.count
    }

    pub(super) fn estimated_size(&self) -> usize {
        let wrapper = match self.compression {
            Compression::None => 0,
            _ => overhead(self.magic),
        };
        self.messages.len().saturating_add(wrapper)
    }

    pub(super) fn try_append(
        &mut self,
        timestamp: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<(), BuildError> {
        if !headers.is_empty() {
            return Err(BuildError::Headers { magic: self.magic });
        }
        let timestamp = timestamp.unwrap_or(NO_TIMESTAMP);
        let size = message_size(self.magic, key, value);
        length(
            self.estimated_size()
                .saturating_add(OVERHEAD)
                .saturating_add(size),
        )?;
        let message = Fields {
            offset: self.count,
            compression: Compression::None,
            timestamp,
            key,
            value,
        };
        put_message(&mut self.messages, self.magic, &message)?;
        self.count = self.count.saturating_add(1);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        Ok(())
    }

    /// A wrapper has the offset of its last message, or brokers from 0.10 on pack the whole set
    /// anew, and the highest timestamp within.
    pub(super) fn finish(self) -> Result<Vec<u8>, BuildError> {
        if self.compression == Compression::None {
            return Ok(self.messages);
        }
        let packed = compress(self.compression, &self.messages, self.magic)?;
        let mut set = Vec::with_capacity(packed.len().saturating_add(overhead(self.magic)));
        let wrapper = Fields {
            offset: self.count.saturating_sub(1),
            compression: self.compression,
            timestamp: self.max_timestamp,
            key: None,
            value: Some(&packed),
        };
        put_message(&mut set, self.magic, &wrapper)?;
        Ok(set)
    }
}

/// The length of a message without key and value.
fn overhead(magic: i8) -> usize {
    OVERHEAD.saturating_add(message_size(magic, None, None))
}

/// What the size field of a message says.
fn message_size(magic: i8, key: Option<&[u8]>, value: Option<&[u8]>) -> usize {
    let fixed: usize = if magic == 0 { 14 } else { 22 };
    let (key, value) = (key.map_or(0, <[u8]>::len), value.map_or(0, <[u8]>::len));
    fixed.saturating_add(key).saturating_add(value)
}

/// Writes a message at the end. On `Err` the set is as it was.
fn put_message(set: &mut Vec<u8>, magic: i8, message: &Fields<'_>) -> Result<(), BuildError> {
    let size = message_size(magic, message.key, message.value);
    let size_field = length(size)?;
    let start = set.len();
    set.reserve(size.saturating_add(OVERHEAD));
    set.extend_from_slice(&message.offset.to_be_bytes());
    set.extend_from_slice(&size_field.to_be_bytes());
    set.extend_from_slice(&[0; 4]);
    set.extend_from_slice(&magic.to_be_bytes());
    // The codec has the lowest bits of the lower byte, which is all that old attributes are.
    let [_, attributes] = message.compression.code().to_be_bytes();
    set.push(attributes);
    if magic != 0 {
        set.extend_from_slice(&message.timestamp.to_be_bytes());
    }
    put_nullable(set, message.key)?;
    put_nullable(set, message.value)?;

    let message = set.get_mut(start..).unwrap_or_default();
    let crc = crc32fast::hash(message.get(CRC_FROM..).unwrap_or_default());
    if let Some(field) = message.get_mut(CRC_AT..CRC_FROM) {
        field.copy_from_slice(&crc.to_be_bytes());
    }
    Ok(())
}

/// The caller has checked that the whole message fits, so its parts do.
fn put_nullable(set: &mut Vec<u8>, bytes: Option<&[u8]>) -> Result<(), BuildError> {
    let Some(bytes) = bytes else {
        set.extend_from_slice(&(-1_i32).to_be_bytes());
        return Ok(());
    };
    set.extend_from_slice(&length(bytes.len())?.to_be_bytes());
    set.extend_from_slice(bytes);
    Ok(())
}
