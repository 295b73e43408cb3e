//! A partition's log, in memory.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf as _, Bytes, BytesMut};

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
    /// nothing, and these limits of memory are never exceeded for what a topic says.
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

#[derive(Clone, Debug)]
struct Segment {
    base: i64,
    size: usize,
    chunks: Vec<Chunk>,
    /// When something was appended last, in milliseconds since 1970.
    modified_ms: i64,
}

/// The offset is below the log's start or beyond its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfRange;

/// Segments of message sets. The last one grows; the oldest goes where there is too much.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    limits: Limits,
    /// Empty at the very beginning, and where everything was too old.
    segments: VecDeque<Segment>,
    next_offset: i64,
    size: usize,
}

impl Log {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            segments: VecDeque::new(),
            next_offset: 0,
            size: 0,
        }
    }

    /// The first offset that is there, or will be.
    pub(crate) fn start(&self) -> i64 {
        self.segments
            .front()
            .map_or(self.next_offset, |segment| segment.base)
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
        let limits = self.limits;
        let is_old = |segment: &Segment| {
            let age = now_ms.saturating_sub(segment.modified_ms);
            limits.retention_ms.is_some_and(|most| age > most)
        };
        while let Some(oldest) = self.segments.front()
            && (is_old(oldest) || self.segments.len() > 1 && self.is_dispensable(oldest))
        {
            self.size -= oldest.size;
            self.segments.pop_front();
        }
    }

    fn is_dispensable(&self, oldest: &Segment) -> bool {
        self.size - oldest.size >= self.limits.retention || self.segments.len() > MOST_SEGMENTS
    }

    /// Adds messages that are numbered from [`end`](Self::end) on.
    pub(crate) fn append(&mut self, now_ms: i64, chunk: Chunk) {
        let is_full = |segment: &Segment| segment.size + chunk.bytes.len() > self.limits.segment;
        if self.segments.back().is_none_or(is_full) {
            self.segments.push_back(Segment {
                base: self.next_offset,
                size: 0,
                chunks: Vec::new(),
                modified_ms: now_ms,
            });
        }
        self.next_offset = chunk.last_offset + 1;
        self.size += chunk.bytes.len();
        if let Some(segment) = self.segments.back_mut() {
            segment.size += chunk.bytes.len();
            segment.modified_ms = now_ms;
            segment.chunks.push(chunk);
        }
        self.trim(now_ms);
    }

    /// Whole entries from the one on that has the offset, up to a number of bytes, at which the last one is cut off. As a broker
    /// does, it reads within one segment.
    pub(crate) fn read(&self, offset: i64, most: usize) -> Result<Bytes, OutOfRange> {
        if offset < self.start() || offset > self.next_offset {
            return Err(OutOfRange);
        }
        let segments = self.segments.iter().rev();
        let Some(segment) = segments.into_iter().find(|segment| segment.base <= offset) else {
            return Ok(Bytes::new());
        };
        let first = segment
            .chunks
            .partition_point(|chunk| chunk.last_offset < offset);
        let mut chunks = segment.chunks.get(first..).unwrap_or_default().iter();
        let Some(start) = chunks.next().map(|chunk| from(&chunk.bytes, offset)) else {
            return Ok(Bytes::new());
        };
        if start.len() >= most {
            return Ok(start.slice(..most));
        }
        let mut read = BytesMut::from(&start[..]);
        for chunk in chunks {
            let room = most - read.len();
            read.extend_from_slice(chunk.bytes.get(..room).unwrap_or(&chunk.bytes));
            if room <= chunk.bytes.len() {
                break;
            }
        }
        Ok(read.freeze())
    }

    /// What ListOffsets v0 gives: the starts of segments that were last appended to before a time, newest first. -1 stands for the
    /// end of the log, and -2 for its start.
    pub(crate) fn offsets_before(&self, now_ms: i64, timestamp: i64, most: usize) -> Vec<i64> {
        let segments = self.segments.iter();
        let mut known: Vec<_> = segments.map(|one| (one.base, one.modified_ms)).collect();
        known.push((self.next_offset, now_ms));
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

    /// Damages the entry that has the offset: its last byte is another one, and its checksum is not. `false` where there is none.
    pub(crate) fn corrupt(&mut self, offset: i64) -> bool {
        let mut chunks = self
            .segments
            .iter_mut()
            .flat_map(|segment| &mut segment.chunks);
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

/// A set without its entries before the one that has the offset. The offset of a compressed one is that of its last message.
fn from(set: &Bytes, offset: i64) -> Bytes {
    let mut rest = set.clone();
    while let Some(first) = rest.first_chunk().map(|bytes| i64::from_be_bytes(*bytes))
        && first < offset
        && let Some(length) = entry_length(&rest)
    {
        rest.advance(length);
    }
    rest
}

/// How many bytes the first entry of a set has, if all of them are there.
pub(super) fn entry_length(set: &[u8]) -> Option<usize> {
    let size = i32::from_be_bytes(*set.get(8..)?.first_chunk()?);
    let length = usize::try_from(size).ok()?.checked_add(12)?;
    (length <= set.len()).then_some(length)
}
