use bytes::{Bytes, BytesMut};

use super::Chunk;
use super::entry::{entry_length, from};

/// What a segment holds, in memory.
#[derive(Debug, Default)]
pub(super) struct Chunks(Vec<Chunk>);

impl Chunks {
    pub(super) fn append(&mut self, chunk: Chunk) {
        self.0.push(chunk);
    }

    /// The entries from the one on that has the offset, up to a number of bytes; `None` where there are none.
    pub(super) fn read(&self, offset: i64, most: usize) -> Option<Bytes> {
        let first = self.0.partition_point(|chunk| chunk.last_offset < offset);
        let mut chunks = self.0.get(first..).unwrap_or_default().iter();
        let start = chunks.next().map(|chunk| from(&chunk.bytes, offset))?;
        if start.len() >= most {
            return Some(start.slice(..most));
        }
        let mut read = BytesMut::from(&start[..]);
        for chunk in chunks {
            let room = most - read.len();
            read.extend_from_slice(chunk.bytes.get(..room).unwrap_or(&chunk.bytes));
            if room <= chunk.bytes.len() {
                break;
            }
        }
        Some(read.freeze())
    }

    /// Changes the last byte of the entry that has the offset; `false` where there is none.
    pub(super) fn corrupt(&mut self, offset: i64) -> bool {
        let mut chunks = self.0.iter_mut();
        let Some(chunk) = chunks.find(|chunk| chunk.last_offset >= offset) else {
            return false;
        };
        let entry = from(&chunk.bytes, offset);
        let end = chunk.bytes.len() - entry.len() + entry_length(&entry).unwrap_or(entry.len());
        let mut bytes = BytesMut::from(&chunk.bytes[..]);
        let last = bytes.get_mut(..end).and_then(<[u8]>::last_mut);
        let is_there = last.map(|byte| *byte ^= 1).is_some();
        chunk.bytes = bytes.freeze();
        is_there
    }
}
