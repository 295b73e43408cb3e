//! Output buffers that cannot outgrow their limit.

use std::io::{self, Read};

use super::{Compression, CompressionError};

/// Streamed output grows from this size, by doubling, when nothing tells how long it will be.
const FIRST_GROWTH: usize = 16 * 1024;

/// A buffer of `len` zeroes, or an error where an ordinary allocation would end the process.
pub(super) fn zeroed(codec: Compression, len: usize) -> Result<Vec<u8>, CompressionError> {
    let mut buffer = Vec::new();
    grow(codec, &mut buffer, len)?;
    Ok(buffer)
}

fn grow(codec: Compression, buffer: &mut Vec<u8>, len: usize) -> Result<(), CompressionError> {
    let additional = len.saturating_sub(buffer.len());
    buffer
        .try_reserve_exact(additional)
        .map_err(|_| CompressionError::OutOfMemory { codec, bytes: len })?;
    buffer.resize(len, 0);
    Ok(())
}

/// Cuts the buffer to what was written, and gives memory back if most of it was not needed.
pub(super) fn finish(mut buffer: Vec<u8>, written: usize) -> Vec<u8> {
    buffer.truncate(written);
    if buffer.capacity() / 2 > buffer.len() {
        buffer.shrink_to_fit();
    }
    buffer
}

/// Reads a decoder to its end into at most `limit` bytes. `expected` is the decoder's own claim,
/// believed up to the limit.
pub(super) fn read_to_end(
    codec: Compression,
    mut decoder: impl Read,
    expected: usize,
    limit: usize,
) -> Result<Vec<u8>, CompressionError> {
    let mut buffer = zeroed(codec, expected.min(limit))?;
    let mut written = 0;
    loop {
        if written == buffer.len() {
            // A claim that was right ends here, without growing the buffer only to learn that there
            // is no more.
            let mut probe = [0];
            if read(codec, &mut decoder, &mut probe)? == 0 {
                return Ok(finish(buffer, written));
            }
            if written >= limit {
                return Err(CompressionError::LimitExceeded { codec, limit });
            }
            let len = written.saturating_mul(2).max(FIRST_GROWTH).min(limit);
            grow(codec, &mut buffer, len)?;
            if let Some(next) = buffer.get_mut(written) {
                *next = probe[0];
                written += 1;
            }
            continue;
        }
        let space = buffer.get_mut(written..).unwrap_or_default();
        match read(codec, &mut decoder, space)? {
            0 => return Ok(finish(buffer, written)),
            read => written += read,
        }
    }
}

fn read(
    codec: Compression,
    decoder: &mut impl Read,
    into: &mut [u8],
) -> Result<usize, CompressionError> {
    loop {
        match decoder.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map_err(|error| CompressionError::malformed(codec, error)),
        }
    }
}
