//! What the writer wrote is what the reader reads, in every format with every codec.

use bytes::Bytes;
use divvy_protocol::compression::Compression;
use divvy_protocol::records::{DecodeOptions, Header, RecordsBuilder, TimestampType, scan};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::make::{Owned, decode_checked, owned, read_with};

fn formats() -> impl Iterator<Item = (i8, Compression)> {
    (0..=2)
        .flat_map(|magic| Compression::ALL.map(|codec| (magic, codec)))
        .filter(|(magic, codec)| {
            codec.is_available() && (*codec != Compression::Zstd || *magic == 2)
        })
}

fn build(magic: i8, codec: Compression, records: &[Owned]) -> Bytes {
    let mut builder = RecordsBuilder::new(magic, codec).unwrap();
    for record in records {
        let keys: Vec<_> = record
            .headers
            .iter()
            .map(|(key, _)| String::from_utf8_lossy(key))
            .collect();
        let headers: Vec<_> = keys
            .iter()
            .zip(&record.headers)
            .map(|(key, (_, value))| Header::new(key, value.as_deref()))
            .collect();
        builder
            .try_append(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &headers,
            )
            .unwrap();
    }
    assert_eq!(builder.len(), records.len());
    let estimated = builder.estimated_size();
    let set = builder.finish().unwrap();
    if codec == Compression::None {
        assert_eq!(set.len(), estimated);
    }
    set
}

/// What is left of a record in a format.
fn expected(magic: i8, records: &[Owned]) -> Vec<Owned> {
    let mut expected = records.to_vec();
    for (offset, record) in (0..).zip(&mut expected) {
        record.offset = offset;
        record.timestamp_type = TimestampType::CreateTime;
        if magic == 0 {
            (record.timestamp, record.timestamp_type) = (None, TimestampType::NoTimestamp);
        }
    }
    expected
}

fn any_records() -> impl Strategy<Value = Vec<Owned>> {
    let bytes = || option::of(vec(any::<u8>(), 0..200));
    let header = ("[a-zäß]{0,5}".prop_map(String::into_bytes), bytes());
    let record = (
        option::of(0..=i64::MAX),
        bytes(),
        bytes(),
        vec(header, 0..3),
    );
    let record = record.prop_map(|(timestamp, key, value, headers)| Owned {
        offset: 0,
        timestamp,
        timestamp_type: TimestampType::CreateTime,
        key,
        value,
        headers,
    });
    vec(record, 1..20)
}

fn without_headers(records: &[Owned]) -> Vec<Owned> {
    records
        .iter()
        .map(|record| Owned {
            headers: Vec::new(),
            ..record.clone()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_format_and_codec(records in any_records(), from_offset in 0_i64..25) {
        for (magic, codec) in formats() {
            let records = if magic < 2 { without_headers(&records) } else { records.clone() };
            let set = build(magic, codec, &records);
            let options = DecodeOptions { from_offset, check_inner_crc: true, ..DecodeOptions::default() };
            let mut wanted = expected(magic, &records);
            wanted.retain(|record| record.offset >= from_offset);
            prop_assert_eq!(read_with(&set, &options), wanted, "magic {} {}", magic, codec);
            let found = scan(&set);
            prop_assert_eq!(found.complete, set.len());
            prop_assert_eq!(found.next_offset, Some(records.len() as i64));
            prop_assert_eq!(found.compressed, codec != Compression::None);
        }
    }

    #[test]
    fn a_set_cut_anywhere_gives_its_whole_entries(records in any_records(), cut in any::<prop::sample::Index>()) {
        for (magic, codec) in formats() {
            let set = build(magic, codec, &without_headers(&records));
            let set = set.slice(..cut.index(set.len()));
            let decoded = decode_checked(&set, &DecodeOptions::default());
            prop_assert_eq!(&decoded.error, &None);
            let whole = owned(&decoded.records);
            prop_assert_eq!(&whole, &expected(magic, &without_headers(&records))[..whole.len()]);
            prop_assert_eq!(decoded.next_offset, whole.len() as i64);
            prop_assert!(codec == Compression::None && magic < 2 || whole.is_empty());
        }
    }
}

#[test]
fn large_sets_span_many_blocks_of_their_codecs() {
    for (magic, codec) in formats() {
        let value = |index: usize| {
            format!(
                "line {index}: {}",
                "the quick brown fox ".repeat(index % 90)
            )
        };
        let records: Vec<_> = (0..2000)
            .map(|index| Owned {
                offset: 0,
                timestamp: Some(index as i64),
                timestamp_type: TimestampType::CreateTime,
                key: None,
                value: Some(value(index).into_bytes()),
                headers: Vec::new(),
            })
            .collect();
        let set = build(magic, codec, &records);
        assert_eq!(
            read_with(&set, &DecodeOptions::default()),
            expected(magic, &records)
        );
    }
}
