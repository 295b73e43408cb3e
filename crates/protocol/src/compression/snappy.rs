//! Snappy: bare blocks, or the framing of the Java library, called xerial after its author's
//! domain.
//!
//! Everything written in Java is framed, and so is all that a broker before 0.10 stored, since it
//! packed every set anew. librdkafka and others send one bare block. The frame is a 16-byte header
//! and then blocks, each with its length before it: 32 KiB of plain data in a block from brokers, 1
//! KiB from the Java producers of 0.8.2 and 0.9.

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::buffer::Output;
use super::{Compression, CompressionError};

const CODEC: Compression = Compression::Snappy;

/// How a frame begins.
const MAGIC: &[u8] = b"\x82SNAPPY\0";
/// After the magic: the frame's version and the oldest version that reads it, 1 and 1, neither of
/// which says anything.
const VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// Plain bytes per block when writing, as brokers do.
const BLOCK: usize = 32 * 1024;

pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let Some(after_magic) = input.strip_prefix(MAGIC) else {
        return decompress_blocks(std::iter::once(Ok(input)), input.len(), limit);
    };
    let blocks = after_magic
        .get(VERSIONS.len()..)
        .ok_or_else(|| malformed("the header is cut off"))?;
    decompress_blocks(Blocks { rest: blocks }, input.len(), limit)
}

/// Adds up the blocks' own lengths first, so that the output is allocated once and in full.
fn decompress_blocks<'a>(
    blocks: impl Iterator<Item = Result<&'a [u8], CompressionError>> + Clone,
    input_len: usize,
    limit: usize,
) -> Result<Vec<u8>, CompressionError> {
    let mut total: usize = 0;
    for block in blocks.clone() {
        let len = decompress_len(block?).map_err(malformed)?;
        total = total.saturating_add(len);
    }
    if total > CODEC.expansion_bound(input_len) {
        return Err(CompressionError::malformed(
            CODEC,
            format!("{input_len} bytes cannot hold {total}"),
        ));
    }
    if total > limit {
        return Err(CompressionError::LimitExceeded {
            codec: CODEC,
            limit,
        });
    }
    let mut output = Output::new(CODEC, total, limit)?;
    let mut decoder = Decoder::new();
    for block in blocks {
        let block = block?;
        let space = output.space(decompress_len(block).map_err(malformed)?)?;
        let len = decoder.decompress(block, space).map_err(malformed)?;
        output.advance(len);
    }
    Ok(output.finish())
}

fn malformed(reason: impl ToString) -> CompressionError {
    CompressionError::malformed(CODEC, reason)
}

/// The blocks of a frame, after its header.
#[derive(Clone)]
struct Blocks<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<&'a [u8], CompressionError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let block = self.rest.split_first_chunk().and_then(|(len, rest)| {
            let len = usize::try_from(i32::from_be_bytes(*len)).ok()?;
            rest.split_at_checked(len)
        });
        let Some((block, rest)) = block else {
            self.rest = &[];
            return Some(Err(CompressionError::malformed(
                CODEC,
                "a block is longer than the data",
            )));
        };
        self.rest = rest;
        Some(Ok(block))
    }
}

pub(super) fn compress(input: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut output =
        Vec::with_capacity(MAGIC.len() + VERSIONS.len() + max_compress_len(input.len().min(BLOCK)));
    output.extend_from_slice(MAGIC);
    output.extend_from_slice(&VERSIONS);
    let mut encoder = Encoder::new();
    let mut packed = vec![0; max_compress_len(input.len().min(BLOCK))];
    for block in input.chunks(BLOCK) {
        let len = encoder
            .compress(block, &mut packed)
            .map_err(|error| CompressionError::failed(CODEC, error))?;
        let packed = packed.get(..len).unwrap_or_default();
        let len = i32::try_from(len).map_err(|error| CompressionError::failed(CODEC, error))?;
        output.extend_from_slice(&len.to_be_bytes());
        output.extend_from_slice(packed);
    }
    Ok(output)
}
