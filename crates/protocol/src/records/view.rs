//! Records that have been checked, and ways to walk over them.

use std::iter::FusedIterator;
use std::ops::Range;
use std::slice;

use bytes::Bytes;

use super::batch::{BatchContext, BatchRecord};
use super::input::Input;
use super::message::{Message, MessageContext};
use super::record::Record;

/// The records of a set, checked and ready: walking over them cannot fail and costs a few
/// nanoseconds each.
///
/// They hold on to the bytes they came in (or were unpacked to), so a `Records` that is kept keeps
/// a whole fetch response in memory. Cloning copies no record.
#[derive(Clone, Debug, Default)]
pub struct Records {
    segments: Vec<Segment>,
    count: usize,
    first_offset: Option<i64>,
    last_offset: Option<i64>,
}

/// Records that lie next to each other in one buffer, with nothing between them and nothing behind
/// them.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) buffer: Bytes,
    pub(super) layout: Layout,
}

/// How the records of a segment are written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layout {
    Messages(MessageContext),
    Batch(BatchContext),
}

impl Layout {
    /// For an input without records.
    const EMPTY: Self = Self::Messages(MessageContext {
        shift: 0,
        log_append_time: None,
    });

    // The walk is this function; as a call it would take twice as long.
    #[inline(always)]
    fn take<'a>(&self, input: &mut Input<'a>) -> Option<Record<'a>> {
        match self {
            Self::Messages(context) => Message::take(input).map(|message| message.record(context)),
            Self::Batch(context) => BatchRecord::take(input, context).map(|record| record.record),
        }
    }
}

/// A place in [`Records`]; the default is the front. It belongs to the records that it was moved
/// along, and is a plain pair of numbers, so it may be kept beside them where an iterator could
/// not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    segment: usize,
    position: usize,
}

impl Records {
    /// How many records there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none. A set may hold none and still advance the position, see
    /// [`Decoded::next_offset`](super::Decoded::next_offset).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The offset of the first record.
    #[must_use]
    pub const fn first_offset(&self) -> Option<i64> {
        self.first_offset
    }

    /// The offset of the last record.
    #[must_use]
    pub const fn last_offset(&self) -> Option<i64> {
        self.last_offset
    }

    /// About how many bytes these records take up: packed, the part of the response that they were
    /// fetched in; unpacked, the bytes they were unpacked to.
    #[must_use]
    pub fn memory(&self) -> usize {
        let buffers: usize = self
            .segments
            .iter()
            .map(|segment| segment.buffer.len())
            .sum();
        buffers.saturating_add(
            self.segments
                .capacity()
                .saturating_mul(size_of::<Segment>()),
        )
    }

    /// The records in order of their offsets. This is the fast path.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            segments: self.segments.iter(),
            layout: Layout::EMPTY,
            input: Input(&[]),
            left: self.count,
        }
    }

    /// The record at the cursor, which moves behind it; `None` at the end.
    #[inline]
    pub fn next_at(&self, cursor: &mut Cursor) -> Option<Record<'_>> {
        self.next_with_buf(cursor).map(|(record, _)| record)
    }

    /// Like [`Records::next_at`], with the buffer that the record lies in, for a key or value that
    /// is to outlive the records without being copied: `buffer.slice_ref(value)`.
    #[inline]
    pub fn next_with_buf(&self, cursor: &mut Cursor) -> Option<(Record<'_>, &Bytes)> {
        loop {
            let segment = self.segments.get(cursor.segment)?;
            let mut input = Input(segment.buffer.get(cursor.position..).unwrap_or_default());
            if let Some(record) = segment.layout.take(&mut input) {
                cursor.position = segment.buffer.len().saturating_sub(input.0.len());
                return Some((record, &segment.buffer));
            }
            *cursor = Cursor {
                segment: cursor.segment.saturating_add(1),
                position: 0,
            };
        }
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = Record<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Walks over [`Records`]; see [`Records::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    segments: slice::Iter<'a, Segment>,
    layout: Layout,
    input: Input<'a>,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        loop {
            if let Some(record) = self.layout.take(&mut self.input) {
                self.left = self.left.saturating_sub(1);
                return Some(record);
            }
            let segment = self.segments.next()?;
            self.layout = segment.layout;
            self.input = Input(&segment.buffer);
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}
impl FusedIterator for Iter<'_> {}

/// Puts [`Records`] together while a set is being checked.
#[derive(Debug)]
pub(super) struct Collector<'a> {
    set: &'a Bytes,
    records: Records,
    /// Plain messages that follow each other in the set and are not a segment yet.
    run: Option<Range<usize>>,
    unpacked: usize,
}

/// Which records a segment adds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) count: usize,
    pub(super) first_offset: i64,
    pub(super) last_offset: i64,
}

impl<'a> Collector<'a> {
    pub(super) fn new(set: &'a Bytes) -> Self {
        Self {
            set,
            records: Records::default(),
            run: None,
            unpacked: 0,
        }
    }

    /// Bytes that exist only because they were unpacked.
    pub(super) const fn unpacked(&self) -> usize {
        self.unpacked
    }

    pub(super) const fn add_unpacked(&mut self, bytes: usize) {
        self.unpacked = self.unpacked.saturating_add(bytes);
    }

    /// Adds a plain message of the set.
    #[inline]
    pub(super) fn push_message(&mut self, at: Range<usize>, offset: i64) {
        match &mut self.run {
            Some(run) if run.end == at.start => run.end = at.end,
            _ => {
                self.end_run();
                self.run = Some(at);
            }
        }
        self.count(Span {
            count: 1,
            first_offset: offset,
            last_offset: offset,
        });
    }

    /// Adds records that have a buffer or a context of their own.
    pub(super) fn push_segment(&mut self, segment: Segment, span: Span) {
        self.end_run();
        self.records.segments.push(segment);
        self.count(span);
    }

    pub(super) fn finish(mut self) -> Records {
        self.end_run();
        self.records
    }

    fn end_run(&mut self) {
        if let Some(run) = self.run.take() {
            let layout = Layout::Messages(MessageContext::default());
            self.records.segments.push(Segment {
                buffer: self.set.slice(run),
                layout,
            });
        }
    }

    #[inline]
    fn count(&mut self, span: Span) {
        self.records.count = self.records.count.saturating_add(span.count);
        self.records.first_offset.get_or_insert(span.first_offset);
        self.records.last_offset = Some(span.last_offset);
    }
}
