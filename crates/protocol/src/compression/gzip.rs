//! Gzip, as Java's `GZIPOutputStream` writes it.

use std::io::Write;

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::buffer::Output;
use super::{Compression, CompressionError};

const CODEC: Compression = Compression::Gzip;

/// The trailer's last field is the length of the plain bytes, in the format's little-endian order.
/// It is a claim of the sender, good for choosing the first allocation and for nothing else.
fn claimed_len(input: &[u8]) -> usize {
    input
        .last_chunk()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
}

pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let expected = claimed_len(input).min(CODEC.expansion_bound(input.len()));
    Output::new(CODEC, expected, limit)?.read_to_end(MultiGzDecoder::new(input))
}

pub(super) fn compress(input: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder
        .write_all(input)
        .map_err(|error| CompressionError::failed(CODEC, error))?;
    encoder
        .finish()
        .map_err(|error| CompressionError::failed(CODEC, error))
}
