//! Output that cannot outgrow its limit.

use std::io::{self, Read};

use super::{Compression, CompressionError};

/// Streamed output is asked for in steps that double, and this is the first.
const FIRST_STEP: usize = 16 * 1024;

/// Unpacked bytes, up to a limit.
///
/// Memory is set aside for what the input claims to hold, and touched only as output arrives, so a
/// false claim costs address space for a moment and nothing else.
#[derive(Debug)]
pub(super) struct Output {
    codec: Compression,
    bytes: Vec<u8>,
    written: usize,
    limit: usize,
}

impl Output {
    /// An empty output that expects `expected` bytes and takes no more than `limit`.
    pub(super) fn new(
        codec: Compression,
        expected: usize,
        limit: usize,
    ) -> Result<Self, CompressionError> {
        let mut output = Self {
            codec,
            bytes: Vec::new(),
            written: 0,
            limit,
        };
        output.reserve(expected.min(limit))?;
        Ok(output)
    }

    fn reserve(&mut self, len: usize) -> Result<(), CompressionError> {
        let additional = len.saturating_sub(self.bytes.len());
        self.bytes
            .try_reserve_exact(additional)
            .map_err(|_| CompressionError::OutOfMemory {
                codec: self.codec,
                bytes: len,
            })
    }

    /// Room for the next `len` bytes, or for what the limit leaves of them.
    pub(super) fn space(&mut self, len: usize) -> Result<&mut [u8], CompressionError> {
        let end = self.written.saturating_add(len).min(self.limit);
        if end > self.bytes.len() {
            self.reserve(end)?;
            self.bytes.resize(end, 0);
        }
        Ok(self.bytes.get_mut(self.written..end).unwrap_or_default())
    }

    /// Keeps the first `len` bytes of the last [`Output::space`].
    pub(super) fn advance(&mut self, len: usize) {
        self.written = self.written.saturating_add(len).min(self.bytes.len());
    }

    /// Copies bytes that were never packed.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), CompressionError> {
        let space = self.space(bytes.len())?;
        if space.len() < bytes.len() {
            return Err(self.exceeded());
        }
        space.copy_from_slice(bytes);
        self.advance(bytes.len());
        Ok(())
    }

    /// The error of an output that is full.
    pub(super) const fn exceeded(&self) -> CompressionError {
        CompressionError::LimitExceeded {
            codec: self.codec,
            limit: self.limit,
        }
    }

    /// What was written. Memory is given back if most of it was not needed.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.truncate(self.written);
        if self.bytes.capacity() / 2 > self.bytes.len() {
            self.bytes.shrink_to_fit();
        }
        self.bytes
    }

    /// Reads a decoder to its end.
    pub(super) fn read_to_end(
        mut self,
        mut decoder: impl Read,
    ) -> Result<Vec<u8>, CompressionError> {
        let codec = self.codec;
        loop {
            let step = self.written.max(FIRST_STEP);
            let space = self.space(step)?;
            if space.is_empty() {
                // Full, which is fine if this was all.
                return match read(codec, &mut decoder, &mut [0])? {
                    0 => Ok(self.finish()),
                    _ => Err(self.exceeded()),
                };
            }
            match read(codec, &mut decoder, space)? {
                0 => return Ok(self.finish()),
                len => self.advance(len),
            }
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
