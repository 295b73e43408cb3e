//! What a broker does to messages before it appends them: it checks them, and numbers them.

use bytes::{Buf as _, Bytes};
use divvy_protocol::ErrorCode;
use divvy_protocol::compression::{Compression, compress, decompress};

use super::log::{Chunk, entry_length};

/// The longest message that is taken, with its overhead. Kafka: `message.max.bytes`.
pub(super) const MAX_MESSAGE: usize = 1_000_012;
/// The most bytes that a compressed message may unpack to.
const MAX_UNPACKED: usize = 64 << 20;
/// Offset and size stand before each message.
const OVERHEAD: usize = 12;
/// Where the checksum of a message ends and what it covers begins.
const COVERED: usize = OVERHEAD + 4;
const MAGIC_AT: usize = COVERED;
const ATTRIBUTES_AT: usize = MAGIC_AT + 1;
const KEY_AT: usize = ATTRIBUTES_AT + 1;

/// Numbers messages from `next` on. Messages within compressed ones get the partition's offsets too, and are packed anew: that is
/// how brokers before 0.10 do it. What is cut off at the end is left out. `None` where there is no message.
///
/// # Errors
/// What a broker answers where it refuses the set. Nothing of it is appended then.
pub(super) fn number(set: &[u8], next: i64) -> Result<Option<Chunk>, ErrorCode> {
    let mut numbered = Vec::with_capacity(set.len());
    let mut offset = next;
    let mut rest = set;
    while let Some(length) = entry_length(rest) {
        let (entry, behind) = rest.split_at(length);
        rest = behind;
        if length > MAX_MESSAGE {
            return Err(ErrorCode::MESSAGE_TOO_LARGE);
        }
        let (codec, value) = check(entry).ok_or(ErrorCode::CORRUPT_MESSAGE)?;
        match codec {
            Compression::None => {
                put_numbered(&mut numbered, entry, offset);
                offset += 1;
            }
            codec => {
                let value = value.ok_or(ErrorCode::CORRUPT_MESSAGE)?;
                let (inner, behind) = number_inner(codec, value, offset)?;
                offset = behind;
                put_wrapper(&mut numbered, codec, &inner, offset - 1)?;
            }
        }
    }
    let bytes = Bytes::from(numbered);
    let last_offset = offset - 1;
    Ok((offset > next).then_some(Chunk { last_offset, bytes }))
}

/// The messages within a compressed one, numbered, and the offset behind them.
fn number_inner(codec: Compression, packed: &[u8], next: i64) -> Result<(Vec<u8>, i64), ErrorCode> {
    let corrupt = ErrorCode::CORRUPT_MESSAGE;
    let unpacked = decompress(codec, packed, MAX_UNPACKED).map_err(|_| corrupt)?;
    let mut numbered = Vec::with_capacity(unpacked.len());
    let mut offset = next;
    let mut rest = &unpacked[..];
    while let Some(length) = entry_length(rest) {
        let (entry, behind) = rest.split_at(length);
        rest = behind;
        match check(entry) {
            Some((Compression::None, _)) => put_numbered(&mut numbered, entry, offset),
            _ => return Err(corrupt),
        }
        offset += 1;
    }
    match offset > next {
        true => Ok((numbered, offset)),
        false => Err(corrupt),
    }
}

/// Whether a message of the format of 0.8 and 0.9 is whole: its codec and its value.
fn check(entry: &[u8]) -> Option<(Compression, Option<&[u8]>)> {
    let stored = u32::from_be_bytes(*entry.get(OVERHEAD..)?.first_chunk()?);
    let is_intact = crc32fast::hash(entry.get(COVERED..)?) == stored;
    let is_known = *entry.get(MAGIC_AT)? == 0;
    let attributes = *entry.get(ATTRIBUTES_AT)?;
    let codec = Compression::from_attributes(attributes.into()).ok()?;
    let mut fields = entry.get(KEY_AT..)?;
    let _key = nullable(&mut fields)?;
    let value = nullable(&mut fields)?;
    // Zstandard has no place in this format.
    let is_whole = fields.is_empty() && codec != Compression::Zstd;
    (is_intact && is_known && is_whole).then_some((codec, value))
}

fn nullable<'a>(fields: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match fields.try_get_i32().ok()? {
        -1 => Some(None),
        length => {
            let length = usize::try_from(length).ok()?;
            let (bytes, rest) = fields.split_at_checked(length)?;
            *fields = rest;
            Some(Some(bytes))
        }
    }
}

/// Checksums do not cover offsets.
fn put_numbered(set: &mut Vec<u8>, entry: &[u8], offset: i64) {
    set.extend_from_slice(&offset.to_be_bytes());
    set.extend_from_slice(entry.get(8..).unwrap_or_default());
}

fn put_wrapper(
    set: &mut Vec<u8>,
    codec: Compression,
    inner: &[u8],
    last_offset: i64,
) -> Result<(), ErrorCode> {
    let packed = compress(codec, inner, 0).map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)?;
    let [_, attributes] = codec.code().to_be_bytes();
    let length = |bytes: usize| i32::try_from(bytes).map_err(|_| ErrorCode::MESSAGE_TOO_LARGE);
    let mut covered = vec![0, attributes];
    covered.extend_from_slice(&(-1_i32).to_be_bytes());
    covered.extend_from_slice(&length(packed.len())?.to_be_bytes());
    covered.extend_from_slice(&packed);
    set.extend_from_slice(&last_offset.to_be_bytes());
    set.extend_from_slice(&length(covered.len() + 4)?.to_be_bytes());
    set.extend_from_slice(&crc32fast::hash(&covered).to_be_bytes());
    set.extend_from_slice(&covered);
    Ok(())
}
