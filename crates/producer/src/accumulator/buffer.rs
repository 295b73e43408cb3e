//! Records as they are kept until they are sent: one behind the other in one buffer, in no wire format, because which one their
//! leader takes is known only then, and may change with the leader.

use bytes::Bytes;
use divvy_protocol::records::Header;

use crate::record::{Fields, HEADER_OVERHEAD, RECORD_OVERHEAD};

/// Stands for the length of a null.
const NULL: u32 = u32::MAX;

/// The records of a batch: for each its time, key, value and, if they have some, headers.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    count: u32,
    /// Whether its records have headers: all have some or none has.
    has_headers: bool,
}

/// A record in a [`Buffer`].
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Vec<Header<'a>>,
}

impl Entry<'_> {
    /// The most bytes that the record takes in a batch of any format, uncompressed.
    pub(super) fn wire_size(&self) -> usize {
        let headers = self.headers.iter().fold(0_usize, |sum, header| {
            sum.saturating_add(header.key.len())
                .saturating_add(header.value.map_or(0, <[u8]>::len))
                .saturating_add(HEADER_OVERHEAD)
        });
        self.key
            .map_or(0, <[u8]>::len)
            .saturating_add(self.value.map_or(0, <[u8]>::len))
            .saturating_add(headers)
            .saturating_add(RECORD_OVERHEAD)
    }
}

impl Buffer {
    pub(crate) fn len(&self) -> u32 {
        self.count
    }

    pub(super) fn has_headers(&self) -> bool {
        self.has_headers
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// How many bytes the records take.
    pub(super) fn used(&self) -> usize {
        self.bytes.len()
    }

    /// Makes the capacity at least this.
    pub(super) fn reserve(&mut self, capacity: usize) {
        let missing = capacity.saturating_sub(self.bytes.len());
        self.bytes.reserve_exact(missing);
    }

    /// Adds a record, whose [size](Fields::kept_size) is within the capacity. Its number is that of those before it.
    pub(super) fn push(&mut self, record: &Fields<'_>) -> u32 {
        let bytes = &mut self.bytes;
        bytes.extend_from_slice(&record.timestamp.to_ne_bytes());
        put(bytes, record.key);
        put(bytes, record.value);
        if !record.headers.is_empty() {
            self.has_headers = true;
            bytes.extend_from_slice(&length(record.headers.len()).to_ne_bytes());
            for (key, value) in record.headers {
                put(bytes, Some(key.as_bytes()));
                put(bytes, value.as_ref().map(Bytes::as_ref));
            }
        }
        let number = self.count;
        self.count = self.count.saturating_add(1);
        number
    }

    /// The records in their order.
    pub(crate) fn iter(&self) -> Iter<'_> {
        Iter {
            rest: &self.bytes,
            has_headers: self.has_headers,
        }
    }

    /// Takes the records apart from this one on.
    pub(super) fn split_off(&mut self, at: u32) -> Self {
        let mut records = self.iter();
        for _ in 0..at {
            records.next();
        }
        let at_byte = self.bytes.len().saturating_sub(records.rest.len());
        let rest = Self {
            bytes: self.bytes.split_off(at_byte),
            count: self.count.saturating_sub(at),
            has_headers: self.has_headers,
        };
        self.bytes.shrink_to_fit();
        self.count = self.count.min(at);
        rest
    }
}

/// Walks over a [`Buffer`].
pub(crate) struct Iter<'a> {
    rest: &'a [u8],
    has_headers: bool,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        let (timestamp, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        let (key, value) = (self.take()?, self.take()?);
        let headers = match self.has_headers {
            true => self.take_headers()?,
            false => Vec::new(),
        };
        Some(Entry {
            timestamp: i64::from_ne_bytes(*timestamp),
            key,
            value,
            headers,
        })
    }
}

impl<'a> Iter<'a> {
    fn take_length(&mut self) -> Option<u32> {
        let (length, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u32::from_ne_bytes(*length))
    }

    #[inline]
    fn take(&mut self) -> Option<Option<&'a [u8]>> {
        let length = match self.take_length()? {
            NULL => return Some(None),
            length => usize::try_from(length).ok()?,
        };
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Some(bytes))
    }

    fn take_headers(&mut self) -> Option<Vec<Header<'a>>> {
        let count = self.take_length()?;
        let header = |_| {
            let key = std::str::from_utf8(self.take()??).ok()?;
            Some(Header::new(key, self.take()?))
        };
        (0..count).map(header).collect()
    }
}

#[inline]
fn put(bytes: &mut Vec<u8>, part: Option<&[u8]>) {
    match part {
        None => bytes.extend_from_slice(&NULL.to_ne_bytes()),
        Some(part) => {
            bytes.extend_from_slice(&length(part.len()).to_ne_bytes());
            bytes.extend_from_slice(part);
        }
    }
}

/// A record is at most as large as a request, which is far below this.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(NULL - 1)
}
