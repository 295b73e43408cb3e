//! LZ4 frames, also those with the wrong header checksum.
//!
//! Kafka 0.8.2 and 0.9 take the header's checksum over the frame's magic number too, where the
//! format starts after it. Their frames are refused by every LZ4 library and they refuse every
//! library's, so the frame is walked here and only its blocks go to the library.

use lz4_flex::block::{DecompressError, compress_into, decompress_into, get_maximum_output_size};

use super::buffer::Output;
use super::{Compression, CompressionError};

const CODEC: Compression = Compression::Lz4;

/// 0x184D2204, little-endian.
const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// Version 1, independent blocks, no checksums, no content size: all that brokers before 0.10
/// accept.
const FLAGS: u8 = 0x60;
/// Blocks of 64 KiB.
const BLOCK_DESCRIPTOR: u8 = 0x40;
const BLOCK: usize = 64 * 1024;
/// The second byte of xxHash32 over `60 40`, as the format has it.
const CHECKSUM: u8 = 0x82;
/// The same over `04 22 4d 18 60 40`, as magic 0 has it.
const CHECKSUM_WITH_MAGIC: u8 = 0x1a;
/// Set in the length of a block that is stored as it is.
const STORED: u32 = 1 << 31;

pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut bound: usize = 0;
    walk(input, |block| {
        bound = bound.saturating_add(block.bound());
        Ok(())
    })?;
    let mut output = Output::new(CODEC, bound, limit)?;
    walk(input, |block| block.unpack_to(&mut output))?;
    Ok(output.finish())
}

fn malformed(reason: impl ToString) -> CompressionError {
    CompressionError::malformed(CODEC, reason)
}

/// A block of a frame, as it lies in the input.
struct Block<'a> {
    bytes: &'a [u8],
    stored: bool,
    max_len: usize,
}

impl Block<'_> {
    /// The most that the block can unfold to.
    fn bound(&self) -> usize {
        if self.stored {
            self.bytes.len()
        } else {
            CODEC.expansion_bound(self.bytes.len()).min(self.max_len)
        }
    }

    fn unpack_to(&self, output: &mut Output) -> Result<(), CompressionError> {
        if self.stored {
            return output.append(self.bytes);
        }
        let bound = self.bound();
        let space = output.space(bound)?;
        let cut = space.len() < bound;
        match decompress_into(self.bytes, space) {
            Ok(len) => output.advance(len),
            // Within its bound every sound block fits, so it was the limit that left too little.
            Err(DecompressError::OutputTooSmall { .. }) if cut => return Err(output.exceeded()),
            Err(error) => return Err(malformed(error)),
        }
        Ok(())
    }
}

/// Visits every block of the frames that follow each other in `input`; there is one, unless a
/// producer flushed.
fn walk<'a>(
    input: &'a [u8],
    mut visit: impl FnMut(&Block<'a>) -> Result<(), CompressionError>,
) -> Result<(), CompressionError> {
    let mut rest = input;
    loop {
        let header = FrameHeader::take(&mut rest)
            .ok_or_else(|| malformed("the frame's header is cut off"))??;
        loop {
            let block = header
                .take_block(&mut rest)
                .ok_or_else(|| malformed("the frame has no end mark"))?;
            let Some(block) = block? else { break };
            visit(&block)?;
        }
        if rest.is_empty() {
            return Ok(());
        }
    }
}

/// What a frame's header says of its blocks.
struct FrameHeader {
    block_checksums: bool,
    content_checksum: bool,
    max_block: usize,
}

impl FrameHeader {
    /// `None`: the input ends too early.
    fn take(rest: &mut &[u8]) -> Option<Result<Self, CompressionError>> {
        if take_array(rest)? != MAGIC {
            return Some(Err(malformed("the frame's magic number is missing")));
        }
        let [flags, descriptor] = take_array(rest)?;
        if flags >> 6 != 1 {
            return Some(Err(malformed(format!(
                "frame version {} is not 1",
                flags >> 6
            ))));
        }
        if flags & 0x20 == 0 {
            return Some(Err(malformed("blocks that depend on each other")));
        }
        if flags & 0x03 != 0 {
            return Some(Err(malformed("a dictionary or a reserved flag")));
        }
        let max_block = match descriptor {
            0x40 => 64 << 10,
            0x50 => 256 << 10,
            0x60 => 1 << 20,
            0x70 => 4 << 20,
            other => return Some(Err(malformed(format!("block descriptor {other:#04x}")))),
        };
        if flags & 0x08 != 0 {
            take_array::<8>(rest)?;
        }
        let [_checksum] = take_array(rest)?;
        Some(Ok(Self {
            block_checksums: flags & 0x10 != 0,
            content_checksum: flags & 0x04 != 0,
            max_block,
        }))
    }

    /// `Some(Ok(None))`: the end mark. `None`: the input ends too early.
    fn take_block<'a>(
        &self,
        rest: &mut &'a [u8],
    ) -> Option<Result<Option<Block<'a>>, CompressionError>> {
        let len = u32::from_le_bytes(take_array(rest)?);
        if len == 0 {
            if self.content_checksum {
                take_array::<4>(rest)?;
            }
            return Some(Ok(None));
        }
        let stored = len & STORED != 0;
        let len = usize::try_from(len & !STORED).ok()?;
        if len > self.max_block {
            return Some(Err(malformed(format!(
                "a block of {len} bytes where {} is the most",
                self.max_block
            ))));
        }
        let (bytes, after) = rest.split_at_checked(len)?;
        *rest = after;
        if self.block_checksums {
            take_array::<4>(rest)?;
        }
        Some(Ok(Some(Block {
            bytes,
            stored,
            max_len: self.max_block,
        })))
    }
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (array, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*array)
}

pub(super) fn compress(input: &[u8], magic: i8) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::new();
    output.extend_from_slice(&MAGIC);
    output.extend_from_slice(&[FLAGS, BLOCK_DESCRIPTOR]);
    output.push(if magic == 0 {
        CHECKSUM_WITH_MAGIC
    } else {
        CHECKSUM
    });
    let mut packed = vec![0; get_maximum_output_size(input.len().min(BLOCK))];
    for block in input.chunks(BLOCK) {
        let len = compress_into(block, &mut packed)
            .map_err(|error| CompressionError::failed(CODEC, error))?;
        let (bytes, flag) = match packed.get(..len) {
            Some(packed) if len < block.len() => (packed, 0),
            _ => (block, STORED),
        };
        let len =
            u32::try_from(bytes.len()).map_err(|error| CompressionError::failed(CODEC, error))?;
        output.extend_from_slice(&(len | flag).to_le_bytes());
        output.extend_from_slice(bytes);
    }
    output.extend_from_slice(&[0; 4]);
    Ok(output)
}
