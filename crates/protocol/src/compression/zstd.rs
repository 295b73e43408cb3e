//! Zstandard frames.

use ::zstd::stream::read::Decoder;

use super::buffer::Output;
use super::{Compression, CompressionError};

const CODEC: Compression = Compression::Zstd;

/// The widest window that any level of Kafka's producers asks for, 128 MiB of which only what is
/// written gets touched, so the output's limit bounds the memory in use as well.
const WINDOW_LOG_MAX: u32 = 27;

/// What the frame header says the plain bytes come to, if it says anything, is not consulted:
/// streaming producers leave it out, and growing by doubling is cheap beside the rest.
pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let malformed = |error| CompressionError::malformed(CODEC, error);
    let mut decoder = Decoder::with_buffer(input).map_err(malformed)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(malformed)?;
    Output::new(CODEC, 0, limit)?.read_to_end(decoder)
}

pub(super) fn compress(input: &[u8]) -> Result<Vec<u8>, CompressionError> {
    ::zstd::stream::encode_all(input, ::zstd::DEFAULT_COMPRESSION_LEVEL)
        .map_err(|error| CompressionError::failed(CODEC, error))
}
