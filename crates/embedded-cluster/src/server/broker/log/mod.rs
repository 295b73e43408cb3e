//! A partition's log, in memory or on disk.

mod dir;
mod entry;
mod file;
mod folder;
mod memory;
mod segment;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use bytes::Bytes;
use tracing::warn;

use crate::server::error::Result;
pub(crate) use dir::LogDir;
use entry::Head;
pub(super) use entry::entry_length;
use folder::Folder;
use segment::Segment;

/// The most segments that a log has, whatever their size.
const MOST_SEGMENTS: usize = 1024;

/// How large a log may become, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// What would make a segment larger begins another one.
    pub(crate) segment: usize,
    /// The oldest segment goes while the others have as much.
    pub(crate) retention: usize,
    /// A segment goes when nothing was appended to it for so many milliseconds.
    pub(crate) retention_ms: Option<i64>,
}

impl Limits {
    /// With what a topic's own settings say: `segment.bytes`, `retention.bytes` and `retention.ms`. What makes no sense counts for
    /// nothing, and these limits are never exceeded for what a topic says.
    pub(crate) fn with(self, settings: &BTreeMap<String, String>) -> Self {
        let number = |name: &str| settings.get(name)?.parse::<i64>().ok();
        let size = |name: &str| usize::try_from(number(name)?).ok();
        Self {
            segment: size("segment.bytes").map_or(self.segment, |size| size.min(self.segment)),
            retention: size("retention.bytes")
                .map_or(self.retention, |size| size.min(self.retention)),
            retention_ms: number("retention.ms")
                .filter(|time| *time >= 0)
                .or(self.retention_ms),
        }
    }
}

/// What is appended at once: a message set, numbered.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) last_offset: i64,
    pub(crate) bytes: Bytes,
}

/// Segments of message sets. The last one grows; the oldest goes where there is too much.
#[derive(Debug)]
pub(crate) struct Log {
    limits: Limits,
    /// Where the segments are files; `None` where they are in memory.
    folder: Option<Folder>,
    /// At least one, which may be empty.
    segments: VecDeque<Segment>,
    next_offset: i64,
    size: usize,
}

impl Log {
    /// An empty log in memory.
    pub(crate) fn new(now_ms: i64, limits: Limits) -> Self {
        Self {
            limits,
            folder: None,
            segments: VecDeque::from([Segment::in_memory(0, now_ms)]),
            next_offset: 0,
            size: 0,
        }
    }

    /// The log that is in a folder, or an empty one there. The last segment is what a broker that died may have left unfinished;
    /// its checksums are looked at.
    fn open(folder: Folder, now_ms: i64, limits: Limits) -> Result<Self> {
        let mut segments = VecDeque::new();
        let mut next_offset = 0;
        let bases = folder.segments()?;
        for (at, base) in bases.iter().enumerate() {
            let is_last = at + 1 == bases.len();
            let (segment, next) = Segment::open(folder.segment(*base), *base, is_last)?;
            next_offset = next;
            segments.push_back(segment);
        }
        if segments.is_empty() {
            segments.push_back(Segment::create(folder.segment(0), 0, now_ms)?);
        }
        Ok(Self {
            limits,
            folder: Some(folder),
            size: segments.iter().map(Segment::size).sum(),
            segments,
            next_offset,
        })
    }

    /// The first offset that is there, or will be.
    pub(crate) fn start(&self) -> i64 {
        self.segments
            .front()
            .map_or(self.next_offset, Segment::base)
    }

    /// The offset that the next message gets.
    pub(crate) fn end(&self) -> i64 {
        self.next_offset
    }

    /// How large a segment may be.
    pub(crate) fn largest_segment(&self) -> usize {
        self.limits.segment
    }

    /// Keeps to these limits from now on, and lets go what they do not allow.
    pub(crate) fn limit(&mut self, now_ms: i64, limits: Limits) {
        self.limits = limits;
        self.trim(now_ms);
    }

    fn trim(&mut self, now_ms: i64) {
        while let Some(oldest) = self.segments.front()
            && self.may_go(oldest, now_ms)
        {
            // What comes next is numbered on, also after the broker has been started anew.
            if self.segments.len() == 1
                && let Err(error) = self.roll(now_ms)
            {
                return warn!("no segment takes the place of the oldest: {error}");
            }
            if let Some(oldest) = self.segments.pop_front() {
                self.size -= oldest.size();
                oldest.remove();
            }
        }
    }

    fn may_go(&self, oldest: &Segment, now_ms: i64) -> bool {
        let is_last = self.segments.len() == 1;
        let age = now_ms.saturating_sub(oldest.modified_ms());
        let is_old = self.limits.retention_ms.is_some_and(|most| age > most);
        let is_dispensable = self.size - oldest.size() >= self.limits.retention
            || self.segments.len() > MOST_SEGMENTS;
        is_old && (oldest.size() > 0 || !is_last) || is_dispensable && !is_last
    }

    /// Begins another segment.
    fn roll(&mut self, now_ms: i64) -> Result<()> {
        let base = self.next_offset;
        self.segments.push_back(match &self.folder {
            Some(folder) => Segment::create(folder.segment(base), base, now_ms)?,
            None => Segment::in_memory(base, now_ms),
        });
        Ok(())
    }

    /// Adds messages that are numbered from [`end`](Self::end) on.
    pub(crate) fn append(&mut self, now_ms: i64, chunk: Chunk) -> Result<()> {
        let length = chunk.bytes.len();
        let is_full =
            |segment: &Segment| segment.size() > 0 && segment.size() + length > self.limits.segment;
        if self.segments.back().is_none_or(is_full) {
            self.roll(now_ms)?;
        }
        let behind = chunk.last_offset + 1;
        if let Some(segment) = self.segments.back_mut() {
            segment.append(now_ms, self.next_offset, chunk)?;
        }
        self.next_offset = behind;
        self.size += length;
        self.trim(now_ms);
        Ok(())
    }

    /// Whole entries from the one on that has the offset, up to a number of bytes, at which the last one is cut off. As a broker
    /// does, it reads within one segment. `None` where the offset is below the log's start or beyond its end.
    pub(crate) fn read(&self, offset: i64, most: usize) -> Result<Option<Bytes>> {
        if offset < self.start() || offset > self.next_offset {
            return Ok(None);
        }
        let first = self
            .segments
            .partition_point(|segment| segment.base() <= offset)
            .saturating_sub(1);
        // A segment may end below the offset where a part of it is lost.
        for segment in self.segments.range(first..) {
            if let Some(read) = segment.read(offset, most)? {
                return Ok(Some(read));
            }
        }
        Ok(Some(Bytes::new()))
    }

    /// What ListOffsets v0 gives: the starts of segments that were last appended to before a time, newest first. -1 stands for the
    /// end of the log, and -2 for its start.
    pub(crate) fn offsets_before(&self, now_ms: i64, timestamp: i64, most: usize) -> Vec<i64> {
        let segments = self.segments.iter();
        let mut known: Vec<_> = segments
            .map(|one| (one.base(), one.modified_ms()))
            .collect();
        if self.segments.back().is_none_or(|last| last.size() > 0) {
            known.push((self.next_offset, now_ms));
        }
        let count = match timestamp {
            -1 => known.len(),
            -2 => 1,
            time => known
                .iter()
                .rposition(|(_, at)| *at <= time)
                .map_or(0, |last| last + 1),
        };
        let offsets = known.iter().take(count).rev().map(|(offset, _)| *offset);
        offsets.take(most).collect()
    }

    /// Damages the entry that has the offset: its last byte is another one, and its checksum is not. Gives the offsets of the
    /// messages in that entry; `None` where there is none.
    pub(crate) fn corrupt(&mut self, offset: i64) -> Result<Option<Range<i64>>> {
        let Some(damaged) = self.entry(offset)? else {
            return Ok(None);
        };
        let first = self
            .segments
            .partition_point(|segment| segment.base() <= offset)
            .saturating_sub(1);
        let is_damaged = match self.segments.get_mut(first) {
            Some(segment) => segment.corrupt(offset)?,
            None => false,
        };
        Ok(is_damaged.then_some(damaged))
    }

    /// The offsets of the messages that are in one entry with this one, because they were compressed together.
    fn entry(&self, offset: i64) -> Result<Option<Range<i64>>> {
        let last_beside = |offset| -> Result<Option<i64>> {
            let head = self.read(offset, Head::BYTES)?;
            Ok(head.as_deref().and_then(Head::read).map(|head| head.offset))
        };
        let Some(last) = last_beside(offset)? else {
            return Ok(None);
        };
        let (mut first, mut known) = (self.start(), offset);
        while first < known {
            let middle = first + (known - first) / 2;
            match last_beside(middle)? {
                Some(found) if found == last => known = middle,
                _ => first = middle + 1,
            }
        }
        Ok(Some(first..last + 1))
    }

    /// Writes down which brokers have the partition.
    pub(crate) fn keep_replicas(&self, replicas: &[i32]) -> Result<()> {
        let folder = self.folder.as_ref();
        folder.map_or(Ok(()), |folder| folder.keep_replicas(replicas))
    }

    /// Deletes what is on disk.
    pub(crate) fn delete(self) {
        if let Some(folder) = self.folder {
            folder.delete();
        }
    }
}
