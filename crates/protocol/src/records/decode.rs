//! The thorough walk: checksums, structure, unpacking.

use bytes::Bytes;

use super::aborted::AbortedTransactions;
use super::batch::{self, BatchHeader};
use super::entry::{Entry, Magic, Step};
use super::error::{Corruption, RecordsError};
use super::input::Input;
use super::message::{self, Message};
use super::view::{Collector, Layout, Records, Segment};
use super::wrapper;
use crate::compression::{Compression, decompress};

/// What to read of a record set, and how carefully.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Records below this offset are left out: a broker sends whole entries, which may begin before
    /// what was asked for. Default 0.
    pub from_offset: i64,
    /// The most bytes that one entry may unpack to; more is an error. Default 64 MiB. Whatever the
    /// limit, gzip, snappy and lz4 are not given more than the compressed bytes can possibly hold.
    pub max_decompressed: usize,
    /// Once entries have unpacked to this many bytes in total, decoding pauses before the next
    /// compressed one and [`Decoded::rest`] has what is left, so no set can take more than this
    /// plus one entry. Default 64 MiB.
    pub pause_after: usize,
    /// Compare checksums: Kafka's `check.crcs`. Default true.
    pub check_crc: bool,
    /// Compare the checksums of messages within compressed messages too (magic 0 and 1). The outer
    /// checksum covers the same bytes, so this finds only what a broker or producer packed wrongly.
    /// Default false.
    pub check_inner_crc: bool,
    /// The aborted transactions that came with the set, as `(producer_id, first_offset)` in any
    /// order. Their records are left out. Default none, which delivers them
    /// (`isolation.level=read_uncommitted`).
    pub aborted: Vec<(i64, i64)>,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self {
            from_offset: 0,
            max_decompressed: 64 << 20,
            pause_after: 64 << 20,
            check_crc: true,
            check_inner_crc: false,
            aborted: Vec::new(),
        }
    }
}

/// What a record set holds; see [`decode`].
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub struct Decoded {
    /// The records up to the first bad entry, or to the end.
    pub records: Records,
    /// The offset to go on from: right behind everything that was read, delivered or not. It never
    /// lies below [`DecodeOptions::from_offset`], and never beyond an entry that was not read.
    pub next_offset: i64,
    /// The first bad entry. Everything before it is in `records`, and nothing behind it is.
    pub error: Option<RecordsError>,
    /// What is left if decoding paused ([`DecodeOptions::pause_after`]). It can be dropped:
    /// fetching from `next_offset` gives the same records again.
    pub rest: Option<Rest>,
}

/// The undecoded rest of a record set; see [`Decoded::rest`].
#[derive(Debug)]
pub struct Rest {
    decoder: Decoder,
}

impl Rest {
    /// Goes on where decoding paused, with the same options.
    pub fn decode(self) -> Decoded {
        self.decoder.run()
    }
}

/// Checks a record set, unpacks what is compressed, and gives its records.
///
/// Every length, checksum and offset is looked at once, here; walking over the records afterwards
/// cannot fail. Plain records borrow from `set` and nothing is copied. A set that ends within an
/// entry is no error, since brokers cut sets at the fetch size. After the first bad entry nothing
/// is read any more, because its length may be wrong as well.
///
/// Control batches, aborted transactions and entries that compaction has emptied hold nothing to
/// deliver, and advance [`Decoded::next_offset`] all the same.
pub fn decode(set: &Bytes, options: &DecodeOptions) -> Decoded {
    let decoder = Decoder {
        set: set.clone(),
        position: 0,
        previous: None,
        next_offset: options.from_offset,
        aborted: AbortedTransactions::new(&options.aborted),
        options: DecodeOptions {
            aborted: Vec::new(),
            ..*options
        },
    };
    decoder.run()
}

/// The walk, between two entries.
#[derive(Debug)]
struct Decoder {
    set: Bytes,
    position: usize,
    /// The last offset of the entries so far.
    previous: Option<i64>,
    next_offset: i64,
    aborted: AbortedTransactions,
    /// Without the aborted transactions, which have moved next door.
    options: DecodeOptions,
}

impl Decoder {
    fn run(mut self) -> Decoded {
        let set = self.set.clone();
        let mut records = Collector::new(&set);
        let error = loop {
            let entry = match Entry::step(set.get(self.position..).unwrap_or_default()) {
                Step::Whole(entry) => entry,
                Step::Partial { .. } => break None,
                Step::Malformed { offset, reason } => {
                    break Some(RecordsError {
                        offset,
                        position: self.position,
                        skip_to: None,
                        reason,
                    });
                }
            };
            // Whatever the setting, each turn gets something done.
            let pause_after = self.options.pause_after.max(1);
            if entry.is_compressed() && records.unpacked() >= pause_after {
                let next_offset = self.next_offset;
                let rest = Some(Rest { decoder: self });
                return Decoded {
                    records: records.finish(),
                    next_offset,
                    error: None,
                    rest,
                };
            }
            match self.read(&entry, &mut records) {
                Ok(last_offset) => {
                    self.previous = Some(last_offset);
                    self.next_offset = self.next_offset.max(last_offset.saturating_add(1));
                    self.position = self.position.saturating_add(entry.bytes.len());
                }
                Err(reason) => break Some(entry.error(self.position, reason)),
            }
        };
        Decoded {
            records: records.finish(),
            next_offset: self.next_offset,
            error,
            rest: None,
        }
    }

    /// Reads one entry and gives its last offset. On `Err` nothing was added to the records.
    #[inline]
    fn read(&mut self, entry: &Entry<'_>, records: &mut Collector<'_>) -> Result<i64, Corruption> {
        entry.check_after(self.previous)?;
        match entry.magic {
            Magic::V0 | Magic::V1 if entry.is_compressed() => self.read_wrapper(entry, records),
            Magic::V0 | Magic::V1 => self.read_message(entry, records),
            Magic::V2 => self.read_batch(entry, records),
        }
    }

    #[inline]
    fn read_message(
        &self,
        entry: &Entry<'_>,
        records: &mut Collector<'_>,
    ) -> Result<i64, Corruption> {
        if self.options.check_crc {
            message::check_crc(entry.bytes)?;
        }
        Message::take(&mut Input(entry.bytes)).ok_or(Corruption::malformed("the key or value"))?;
        if entry.offset >= self.options.from_offset {
            let end = self.position.saturating_add(entry.bytes.len());
            records.push_message(self.position..end, entry.offset);
        }
        Ok(entry.offset)
    }

    fn read_wrapper(
        &self,
        entry: &Entry<'_>,
        records: &mut Collector<'_>,
    ) -> Result<i64, Corruption> {
        let options = &self.options;
        if options.check_crc {
            message::check_crc(entry.bytes)?;
        }
        let codec = entry.compression()?;
        let wrapper = Message::take(&mut Input(entry.bytes))
            .ok_or(Corruption::malformed("the compressed value"))?;
        let packed = wrapper.value.ok_or(Corruption::Empty)?;
        let unpacked = Bytes::from(decompress(codec, packed, options.max_decompressed)?);
        records.add_unpacked(unpacked.len());
        let inner = wrapper::check(
            entry,
            &wrapper,
            &unpacked,
            self.previous,
            options.from_offset,
            options.check_inner_crc,
        )?;
        if let Some(span) = inner.span {
            let buffer = tail(&unpacked, unpacked.len(), inner.wanted);
            records.push_segment(
                Segment {
                    buffer,
                    layout: Layout::Messages(inner.context),
                },
                span,
            );
        }
        Ok(inner.last_offset.max(entry.last_offset))
    }

    fn read_batch(
        &mut self,
        entry: &Entry<'_>,
        records: &mut Collector<'_>,
    ) -> Result<i64, Corruption> {
        let from_offset = self.options.from_offset;
        if self.options.check_crc {
            batch::check_crc(entry.bytes)?;
        }
        let (header, packed) =
            BatchHeader::split(entry.bytes).ok_or(Corruption::malformed("the batch header"))?;
        let last_offset = entry.last_offset;
        self.aborted.advance_to(last_offset);
        if self.aborted.covers(&header) || last_offset < from_offset && !header.is_control() {
            return Ok(last_offset);
        }
        let unpacked = match entry.compression()? {
            Compression::None => None,
            codec => Some(Bytes::from(decompress(
                codec,
                packed,
                self.options.max_decompressed,
            )?)),
        };
        let buffer = unpacked.as_deref().unwrap_or(packed);
        records.add_unpacked(unpacked.as_ref().map_or(0, Bytes::len));
        let checked = batch::check(&header, buffer, self.previous, from_offset)?;
        if header.is_control() {
            if let Some(marker) = checked.marker {
                self.aborted.close(header.producer_id, marker);
            }
        } else if let Some(span) = checked.span {
            let buffer = match &unpacked {
                Some(unpacked) => tail(unpacked, unpacked.len(), checked.wanted),
                None => tail(
                    &self.set,
                    self.position.saturating_add(entry.bytes.len()),
                    checked.wanted,
                ),
            };
            records.push_segment(
                Segment {
                    buffer,
                    layout: Layout::Batch(header.context()),
                },
                span,
            );
        }
        Ok(last_offset)
    }
}

/// The last `len` bytes before `end`.
fn tail(buffer: &Bytes, end: usize, len: usize) -> Bytes {
    buffer.slice(end.saturating_sub(len)..end)
}
