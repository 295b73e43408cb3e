//! One record, borrowed.

use std::borrow::Cow;
use std::fmt;
use std::iter::FusedIterator;

use super::input::Input;

/// What a record's timestamp means; Kafka's `message.timestamp.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The format has no timestamps (magic 0).
    NoTimestamp,
    /// When the producer made the record, by its own clock.
    CreateTime,
    /// When the broker appended the record to its log.
    LogAppendTime,
}

/// One record of a partition, borrowed from the bytes it came in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record<'a> {
    /// Its place in the partition. Offsets rise from record to record, but not always by one:
    /// compaction and transactions leave gaps.
    pub offset: i64,
    /// Milliseconds since 1970. `None` in magic 0, which has no timestamps, and where a producer
    /// sent none (−1).
    pub timestamp: Option<i64>,
    /// Whose clock the timestamp was read off.
    pub timestamp_type: TimestampType,
    /// The key; `None` is null, which is not the same as empty.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null, which deletes the key from a compacted topic.
    pub value: Option<&'a [u8]>,
    /// The headers; none before magic 2.
    pub headers: Headers<'a>,
}

/// A header of a record: Kafka's `RecordHeader`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header<'a> {
    /// The key. Kafka means it to be UTF-8 and no broker checks that, so it comes as bytes; see
    /// [`Header::key_str`].
    pub key: &'a [u8],
    /// The value; `None` is null.
    pub value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// A header to send.
    #[must_use]
    pub const fn new(key: &'a str, value: Option<&'a [u8]>) -> Self {
        Self {
            key: key.as_bytes(),
            value,
        }
    }

    /// The key as text; bytes that are not UTF-8 turn into U+FFFD, as in Kafka's Java client.
    #[must_use]
    pub fn key_str(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.key)
    }

    /// Reads one header; `None` if it is malformed.
    fn take(input: &mut Input<'a>) -> Option<Self> {
        let key = input.nullable_varint_bytes()??;
        let value = input.nullable_varint_bytes()?;
        Some(Self { key, value })
    }
}

/// The headers of a record, in the order they were added; a key may occur more than once.
///
/// They were checked along with their record, and are read when they are asked for.
///
/// ```
/// # use divvy_protocol::records::Record;
/// fn trace_id<'a>(record: &Record<'a>) -> Option<&'a [u8]> {
///     record.headers.last_value("trace-id")
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Headers<'a> {
    count: usize,
    encoded: Input<'a>,
}

impl<'a> Headers<'a> {
    /// No headers.
    pub(super) const NONE: Self = Self {
        count: 0,
        encoded: Input(&[]),
    };

    /// Checks `count` headers that fill the rest of a record; `None` if they do not.
    #[inline]
    pub(super) fn check(count: i32, encoded: Input<'a>) -> Option<Self> {
        let mut input = encoded;
        for _ in 0..count {
            Header::take(&mut input)?;
        }
        let count = usize::try_from(count).ok()?;
        input.0.is_empty().then_some(Self { count, encoded })
    }

    /// How many headers there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The headers one by one.
    #[must_use]
    pub const fn iter(&self) -> HeadersIter<'a> {
        HeadersIter {
            left: self.count,
            encoded: self.encoded,
        }
    }

    /// The value of the last header with this key, which is the one that counts; `None` also if
    /// that value is null.
    #[must_use]
    pub fn last_value(&self, key: &str) -> Option<&'a [u8]> {
        self.iter()
            .filter(|header| header.key == key.as_bytes())
            .last()?
            .value
    }
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = Header<'a>;
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> HeadersIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Headers<'a> {
    type Item = Header<'a>;
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> HeadersIter<'a> {
        self.iter()
    }
}

impl PartialEq for Headers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Reads the headers of a record one by one; see [`Headers::iter`].
#[derive(Clone, Debug)]
pub struct HeadersIter<'a> {
    left: usize,
    encoded: Input<'a>,
}

impl<'a> Iterator for HeadersIter<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.left = self.left.checked_sub(1)?;
        Header::take(&mut self.encoded)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for HeadersIter<'_> {}
impl FusedIterator for HeadersIter<'_> {}
