use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use tracing::warn;

use super::Chunk;
use super::entry::{Head, entry_length};
use crate::server::error::{Error, Result};

/// How many bytes lie between two marks at least. Kafka: `log.index.interval.bytes`.
const INTERVAL: usize = 4 << 10;
/// The shortest entry: its head, a checksum, magic, attributes, and the lengths of key and value.
const SHORTEST: usize = Head::BYTES + 14;
/// How much of an entry is needed to know what it is: its head, the checksum, and the magic behind it.
const KNOWN: usize = Head::BYTES + 5;
/// How much is read at a time where entries are walked over, in bytes.
const WALK: usize = 8 << 10;

/// What a segment holds, in a file as Kafka writes it: one message set.
///
/// The file is opened for each use, so that partitions cost no descriptors.
#[derive(Debug)]
pub(super) struct SegmentFile {
    path: PathBuf,
    size: usize,
    marks: Vec<Mark>,
}

/// A place in the file. No entry before it has the offset, or a higher one.
#[derive(Clone, Copy, Debug)]
struct Mark {
    offset: i64,
    position: usize,
}

impl SegmentFile {
    pub(super) fn create(path: PathBuf) -> Result<Self> {
        let created = File::create(&path).map(drop);
        let segment = Self {
            path,
            size: 0,
            marks: Vec::new(),
        };
        created.map_err(|source| segment.failed(source))?;
        Ok(segment)
    }

    /// Finds out what a file holds from an offset on, and cuts off what is behind its last whole message. Also gives the offset
    /// behind that. With `checked`, a message whose checksum is wrong is not whole.
    pub(super) fn open(path: PathBuf, base: i64, checked: bool) -> Result<(Self, i64)> {
        let mut segment = Self {
            path,
            size: 0,
            marks: Vec::new(),
        };
        let opened = segment.recover(base, checked);
        let next = opened.map_err(|source| segment.failed(source))?;
        Ok((segment, next))
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    fn failed(&self, source: io::Error) -> Error {
        let file = self.path.clone();
        Error::Log { file, source }
    }

    fn recover(&mut self, base: i64, checked: bool) -> io::Result<i64> {
        let file = File::open(&self.path)?;
        let length = usize::try_from(file.metadata()?.len())
            .map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut file = BufReader::with_capacity(8 * WALK, file);
        let mut next = base;
        while let Some(head) = whole_entry(&mut file, length - self.size, checked)?
            && head.offset >= next
        {
            self.mark(next, self.size);
            next = head.offset.saturating_add(1);
            self.size += head.length;
        }
        if self.size < length {
            let (path, torn) = (self.path.display(), length - self.size);
            warn!("{path} has {torn} bytes that are no whole messages, which are cut off");
            let file = File::options().write(true).open(&self.path)?;
            file.set_len(wide(self.size))?;
        }
        Ok(next)
    }

    fn mark(&mut self, offset: i64, position: usize) {
        let is_due = |last: &Mark| position - last.position >= INTERVAL;
        if self.marks.last().is_none_or(is_due) {
            self.marks.push(Mark { offset, position });
        }
    }

    /// Adds messages, whose first has the offset.
    pub(super) fn append(&mut self, first: i64, chunk: &Chunk) -> Result<()> {
        self.write(&chunk.bytes)
            .map_err(|source| self.failed(source))?;
        let (mut next, mut rest) = (first, &chunk.bytes[..]);
        while let Some(head) = Head::read(rest)
            && let Some(length) = entry_length(rest)
        {
            self.mark(next, self.size);
            next = head.offset.saturating_add(1);
            self.size += length;
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(())
    }

    /// What a failure leaves behind is cut off, or written over, or else found when the file is opened again.
    fn write(&self, set: &[u8]) -> io::Result<()> {
        let mut file = File::options().write(true).open(&self.path)?;
        file.seek(SeekFrom::Start(wide(self.size)))?;
        file.write_all(set).inspect_err(|_| {
            // The failure that is told is the first one.
            let _ = file.set_len(wide(self.size));
        })
    }

    /// The entries from the one on that has the offset, up to a number of bytes; `None` where there are none.
    pub(super) fn read(&self, offset: i64, most: usize) -> Result<Option<Bytes>> {
        let read = || {
            let mut file = BufReader::with_capacity(WALK, File::open(&self.path)?);
            let Some(entry) = self.find(&mut file, offset)? else {
                return Ok(None);
            };
            let length = most.min(self.size - entry.start);
            let mut bytes = Vec::with_capacity(length);
            file.seek(SeekFrom::Start(wide(entry.start)))?;
            file.take(wide(length)).read_to_end(&mut bytes)?;
            Ok(Some(bytes.into()))
        };
        read().map_err(|source| self.failed(source))
    }

    /// Where the entry is that has the offset, or the next higher one.
    fn find(&self, file: &mut BufReader<File>, offset: i64) -> io::Result<Option<Range<usize>>> {
        let before = self.marks.partition_point(|mark| mark.offset <= offset);
        let mark = before.checked_sub(1).and_then(|at| self.marks.get(at));
        let mut position = mark.map_or(0, |mark| mark.position);
        file.seek(SeekFrom::Start(wide(position)))?;
        while position < self.size {
            let mut head = [0; Head::BYTES];
            file.read_exact(&mut head)?;
            let head = Head::read(&head).ok_or(io::ErrorKind::InvalidData)?;
            if head.offset >= offset {
                return Ok(Some(position..position + head.length));
            }
            skip(file, head.length - Head::BYTES)?;
            position += head.length;
        }
        Ok(None)
    }

    /// Changes the last byte of the entry that has the offset; `false` where there is none.
    pub(super) fn corrupt(&self, offset: i64) -> Result<bool> {
        let corrupt = || {
            let mut walked = BufReader::with_capacity(WALK, File::open(&self.path)?);
            let Some(entry) = self.find(&mut walked, offset)? else {
                return Ok(false);
            };
            let mut file = File::options().read(true).write(true).open(&self.path)?;
            let place = SeekFrom::Start(wide(entry.end - 1));
            let mut last = [0];
            file.seek(place)?;
            file.read_exact(&mut last)?;
            file.seek(place)?;
            file.write_all(&last.map(|byte| byte ^ 1))?;
            Ok(true)
        };
        corrupt().map_err(|source| self.failed(source))
    }

    /// Deletes the file. One that stays is found when the log is opened again.
    pub(super) fn remove(&self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            warn!("cannot delete {}: {error}", self.path.display());
        }
    }
}

/// The next entry, which the file is behind then; `None` where what is there is no whole message.
fn whole_entry(file: &mut BufReader<File>, left: usize, checked: bool) -> io::Result<Option<Head>> {
    if left < SHORTEST {
        return Ok(None);
    }
    let mut known = [0; KNOWN];
    file.read_exact(&mut known)?;
    let is_possible = |head: &Head| (SHORTEST..=left).contains(&head.length);
    let Some(head) = Head::read(&known).filter(is_possible) else {
        return Ok(None);
    };
    let [.., a, b, c, d, magic] = known;
    if matches!(magic, 1 | 2) {
        let why = format!("it holds messages of format {magic}, which came after 0.9");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    if !checked {
        skip(file, head.length - KNOWN)?;
        return Ok(Some(head));
    }
    let checksum = checksum(file, magic, head.length - KNOWN)?;
    let is_whole = magic == 0 && checksum == u32::from_be_bytes([a, b, c, d]);
    Ok(is_whole.then_some(head))
}

/// The checksum of a message, whose magic was read already, over as many bytes behind it.
fn checksum(file: &mut BufReader<File>, magic: u8, length: usize) -> io::Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[magic]);
    let mut rest = file.take(wide(length));
    loop {
        let bytes = rest.fill_buf()?;
        if bytes.is_empty() {
            return Ok(hasher.finalize());
        }
        hasher.update(bytes);
        let read = bytes.len();
        rest.consume(read);
    }
}

fn skip(file: &mut BufReader<File>, length: usize) -> io::Result<()> {
    file.seek_relative(i64::try_from(length).unwrap_or(i64::MAX))
}

fn wide(length: usize) -> u64 {
    // No machine has more than 64 bits.
    u64::try_from(length).unwrap_or(u64::MAX)
}
