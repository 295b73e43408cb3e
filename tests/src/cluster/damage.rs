//! Bytes that were flipped on a disk.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use anyhow::Result;

use super::Cluster;

/// One entry of a log, which is a message or several that were compressed together.
struct Entry {
    /// Where it begins in the file, and how long it is.
    at: u64,
    size: u64,
    offsets: Range<i64>,
}

impl Cluster {
    /// Flips a byte of the message at an offset, of which broker 0 has the log, as a disk may; where it was compressed together with
    /// others, they are damaged with it. Gives their offsets.
    ///
    /// # Errors
    ///
    /// When there is no such message in the first segment.
    pub fn corrupt(&self, topic: &str, partition: i32, offset: i64) -> Result<Range<i64>> {
        if let Some(embedded) = &self.embedded {
            return embedded.act(async |own| own.corrupt(topic, partition, offset));
        }
        let path = self.log_segment(0, topic, partition);
        let file = File::options().read(true).write(true).open(path)?;
        let entry = entry_of(&file, offset)?;
        // Within a value, or within what is compressed.
        let at = entry.at + entry.size * 3 / 4;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at)?;
        file.write_all_at(&[byte[0] ^ 0x10], at)?;
        Ok(entry.offsets)
    }
}

/// The entry in which a message is.
fn entry_of(file: &File, offset: i64) -> Result<Entry> {
    let (mut at, mut first) = (0, 0);
    loop {
        let mut head = [0; 12];
        file.read_exact_at(&mut head, at)?;
        let (last, size) = head.split_at(8);
        let end = i64::from_be_bytes(last.try_into()?) + 1;
        let size = 12 + u64::from(u32::from_be_bytes(size.try_into()?));
        if offset < end {
            return Ok(Entry {
                at,
                size,
                offsets: first..end,
            });
        }
        (at, first) = (at + size, end);
    }
}
