//! Record sets made by hand, right and wrong, by other code than the crate's own writer.

use bytes::Bytes;
use divvy_protocol::compression::{Compression, compress};
use divvy_protocol::records::{
    Cursor, DecodeOptions, Decoded, Header, Record, Records, TimestampType, decode, scan,
};

/// A record that owns what it holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Owned {
    pub(crate) offset: i64,
    pub(crate) timestamp: Option<i64>,
    pub(crate) timestamp_type: TimestampType,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl From<Record<'_>> for Owned {
    fn from(record: Record<'_>) -> Self {
        let header = |header: Header<'_>| (header.key.to_vec(), header.value.map(<[u8]>::to_vec));
        Self {
            offset: record.offset,
            timestamp: record.timestamp,
            timestamp_type: record.timestamp_type,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers.iter().map(header).collect(),
        }
    }
}

/// Owned copies of all records, after checking that every way to walk over them gives the same.
pub(crate) fn owned(records: &Records) -> Vec<Owned> {
    let all: Vec<Owned> = records.iter().map(Owned::from).collect();
    assert_eq!(records.iter().len(), all.len());
    assert_eq!(records.len(), all.len());
    assert_eq!(records.is_empty(), all.is_empty());
    assert_eq!(
        records.first_offset(),
        all.first().map(|record| record.offset)
    );
    assert_eq!(
        records.last_offset(),
        all.last().map(|record| record.offset)
    );

    let (mut cursor, mut twin) = (Cursor::default(), Cursor::default());
    for expected in &all {
        assert_eq!(
            records.next_at(&mut cursor).map(Owned::from).as_ref(),
            Some(expected)
        );
        let (record, buffer) = records
            .next_with_buf(&mut twin)
            .expect("as many as there are");
        for part in [record.key, record.value].into_iter().flatten() {
            assert_eq!(buffer.slice_ref(part), part);
        }
    }
    assert_eq!(records.next_at(&mut cursor), None);
    assert_eq!(records.next_at(&mut cursor), None);
    all
}

/// Decodes, and checks what has to hold for any bytes at all.
pub(crate) fn decode_checked(set: &Bytes, options: &DecodeOptions) -> Decoded {
    let decoded = decode(set, options);
    let records = owned(&decoded.records);
    assert!(
        records
            .iter()
            .all(|record| record.offset >= options.from_offset)
    );
    assert!(
        records.is_sorted_by(|a, b| a.offset < b.offset),
        "offsets rise"
    );
    assert!(decoded.next_offset >= options.from_offset);
    assert!(
        records
            .last()
            .is_none_or(|last| decoded.next_offset > last.offset)
    );

    let scan = scan(set);
    assert!(scan.complete <= set.len());
    assert!(scan.malformed.is_none() || decoded.error.is_some() || decoded.rest.is_some());
    if let Some(error) = &decoded.error {
        assert!(error.position < set.len());
        assert!(error.position <= scan.complete);
        assert!(error.skip_to.is_none_or(|next| next > 0));
    } else if decoded.rest.is_none()
        && let Some(next) = scan.next_offset
    {
        // An unnumbered wrapper is the one thing that holds more than its header says.
        assert!(decoded.next_offset >= next.max(options.from_offset));
    }
    decoded
}

/// The records of a set that has to be sound.
pub(crate) fn read(set: &[u8]) -> Vec<Owned> {
    read_with(set, &DecodeOptions::default())
}

/// The records of a set that has to be sound.
pub(crate) fn read_with(set: &[u8], options: &DecodeOptions) -> Vec<Owned> {
    let decoded = decode_checked(&Bytes::copy_from_slice(set), options);
    assert_eq!(decoded.error, None);
    owned(&decoded.records)
}

pub(crate) fn offsets(records: &Records) -> Vec<i64> {
    records.iter().map(|record| record.offset).collect()
}

/// A message of magic 0 or 1.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) magic: u8,
    pub(crate) offset: i64,
    pub(crate) attributes: u8,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
}

impl Message<'_> {
    /// A plain message.
    pub(crate) const fn new(magic: u8, offset: i64) -> Self {
        Self {
            magic,
            offset,
            attributes: 0,
            timestamp: 1000,
            key: Some(b"k"),
            value: Some(b"value"),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut covered = vec![self.magic, self.attributes];
        if self.magic > 0 {
            covered.extend(self.timestamp.to_be_bytes());
        }
        for part in [self.key, self.value] {
            covered.extend(part.map_or(-1, |part| part.len() as i32).to_be_bytes());
            covered.extend(part.unwrap_or_default());
        }
        let mut bytes = self.offset.to_be_bytes().to_vec();
        bytes.extend((covered.len() as i32 + 4).to_be_bytes());
        bytes.extend(crc32fast::hash(&covered).to_be_bytes());
        bytes.extend(covered);
        bytes
    }
}

/// Plain messages at these offsets.
pub(crate) fn messages(magic: u8, offsets: &[i64]) -> Vec<u8> {
    offsets
        .iter()
        .flat_map(|offset| Message::new(magic, *offset).bytes())
        .collect()
}

/// A message that wraps `inner`, compressed.
pub(crate) fn wrapper(magic: u8, offset: i64, codec: Compression, inner: &[u8]) -> Vec<u8> {
    let packed = compress(codec, inner, magic as i8).unwrap();
    let attributes = codec.code() as u8;
    Message {
        attributes,
        key: None,
        value: Some(&packed),
        ..Message::new(magic, offset)
    }
    .bytes()
}

/// A batch of magic 2.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) base_offset: i64,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) count: i32,
    pub(crate) records: Vec<u8>,
}

pub(crate) const TRANSACTIONAL: i16 = 0x10;
pub(crate) const CONTROL: i16 = 0x20;

impl Batch {
    /// Records at these deltas above the base offset.
    pub(crate) fn new(base_offset: i64, deltas: &[i64]) -> Self {
        Self {
            base_offset,
            attributes: 0,
            last_offset_delta: deltas.last().map_or(0, |delta| *delta as i32),
            base_timestamp: 1000,
            max_timestamp: 2000,
            producer_id: -1,
            count: deltas.len() as i32,
            records: deltas
                .iter()
                .flat_map(|delta| record(*delta, 0, Some(b"k"), Some(b"v")))
                .collect(),
        }
    }

    pub(crate) fn transactional(base_offset: i64, deltas: &[i64], producer_id: i64) -> Self {
        Self {
            attributes: TRANSACTIONAL,
            producer_id,
            ..Self::new(base_offset, deltas)
        }
    }

    /// The end of a transaction: type 0 aborts it, 1 commits it.
    pub(crate) fn marker(offset: i64, producer_id: i64, kind: u8) -> Self {
        let records = record(0, 0, Some(&[0, 0, 0, kind]), Some(&[0; 6]));
        Self {
            attributes: TRANSACTIONAL | CONTROL,
            producer_id,
            records,
            ..Self::new(offset, &[0])
        }
    }

    pub(crate) fn compressed(mut self, codec: Compression) -> Self {
        self.records = compress(codec, &self.records, 2).unwrap();
        self.attributes |= codec.code();
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut covered = self.attributes.to_be_bytes().to_vec();
        covered.extend(self.last_offset_delta.to_be_bytes());
        covered.extend(self.base_timestamp.to_be_bytes());
        covered.extend(self.max_timestamp.to_be_bytes());
        covered.extend(self.producer_id.to_be_bytes());
        covered.extend(0_i16.to_be_bytes());
        covered.extend(0_i32.to_be_bytes());
        covered.extend(self.count.to_be_bytes());
        covered.extend(&self.records);
        let mut bytes = self.base_offset.to_be_bytes().to_vec();
        bytes.extend((covered.len() as i32 + 9).to_be_bytes());
        bytes.extend([0, 0, 0, 7, 2]);
        bytes.extend(crc32c::crc32c(&covered).to_be_bytes());
        bytes.extend(covered);
        bytes
    }
}

/// A record of a batch, without headers.
pub(crate) fn record(
    offset_delta: i64,
    timestamp_delta: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Vec<u8> {
    let mut fields = vec![0];
    fields.extend(varint(timestamp_delta));
    fields.extend(varint(offset_delta));
    for part in [key, value] {
        fields.extend(varint(part.map_or(-1, |part| part.len() as i64)));
        fields.extend(part.unwrap_or_default());
    }
    fields.extend(varint(0));
    framed(&fields)
}

/// The fields of a record behind their length.
pub(crate) fn framed(fields: &[u8]) -> Vec<u8> {
    [varint(fields.len() as i64), fields.to_vec()].concat()
}

pub(crate) fn varint(value: i64) -> Vec<u8> {
    let mut zigzag = ((value as i128) << 1) as u128;
    if value < 0 {
        zigzag = ((-(value as i128)) as u128) * 2 - 1;
    }
    let mut bytes = Vec::new();
    loop {
        let low = (zigzag & 0x7f) as u8;
        zigzag >>= 7;
        bytes.push(if zigzag == 0 { low } else { low | 0x80 });
        if zigzag == 0 {
            return bytes;
        }
    }
}
