use std::fs;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::Chunk;
use super::file::SegmentFile;
use super::memory::Chunks;
use crate::server::error::{Error, Result};
use crate::server::zookeeper::millis;

/// A part of a log, which goes as a whole.
#[derive(Debug)]
pub(super) struct Segment {
    /// No message in it has a lower offset.
    base: i64,
    size: usize,
    /// When something was appended last, in milliseconds since 1970.
    modified_ms: i64,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Memory(Chunks),
    File(SegmentFile),
}

impl Segment {
    pub(super) fn in_memory(base: i64, now_ms: i64) -> Self {
        Self {
            base,
            size: 0,
            modified_ms: now_ms,
            body: Body::Memory(Chunks::default()),
        }
    }

    /// An empty one, in a file.
    pub(super) fn create(file: PathBuf, base: i64, now_ms: i64) -> Result<Self> {
        Ok(Self {
            base,
            size: 0,
            modified_ms: now_ms,
            body: Body::File(SegmentFile::create(file)?),
        })
    }

    /// The one that a file holds, as far as it is whole, and the offset behind it.
    pub(super) fn open(file: PathBuf, base: i64, checked: bool) -> Result<(Self, i64)> {
        let modified = fs::metadata(&file).and_then(|found| found.modified());
        let modified = modified.map_err(|source| Error::Log {
            file: file.clone(),
            source,
        })?;
        let (body, next) = SegmentFile::open(file, base, checked)?;
        let since_1970 = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let segment = Self {
            base,
            size: body.size(),
            modified_ms: i64::try_from(millis(since_1970)).unwrap_or(i64::MAX),
            body: Body::File(body),
        };
        Ok((segment, next))
    }

    pub(super) fn base(&self) -> i64 {
        self.base
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn modified_ms(&self) -> i64 {
        self.modified_ms
    }

    /// Adds messages, whose first has the offset.
    pub(super) fn append(&mut self, now_ms: i64, first: i64, chunk: Chunk) -> Result<()> {
        let length = chunk.bytes.len();
        match &mut self.body {
            Body::Memory(chunks) => chunks.append(chunk),
            Body::File(file) => file.append(first, &chunk)?,
        }
        self.size += length;
        self.modified_ms = now_ms;
        Ok(())
    }

    /// The entries from the one on that has the offset, up to a number of bytes; `None` where there are none.
    pub(super) fn read(&self, offset: i64, most: usize) -> Result<Option<Bytes>> {
        match &self.body {
            Body::Memory(chunks) => Ok(chunks.read(offset, most)),
            Body::File(file) => file.read(offset, most),
        }
    }

    /// Changes the last byte of the entry that has the offset; `false` where there is none.
    pub(super) fn corrupt(&mut self, offset: i64) -> Result<bool> {
        match &mut self.body {
            Body::Memory(chunks) => Ok(chunks.corrupt(offset)),
            Body::File(file) => file.corrupt(offset),
        }
    }

    pub(super) fn remove(self) {
        if let Body::File(file) = self.body {
            file.remove();
        }
    }
}
