use bytes::{Bytes, BytesMut};
use divvy_protocol::ErrorCode;
use divvy_protocol::compression::Compression;
use divvy_protocol::records::{DecodeOptions, RecordsBuilder, decode};

use super::append::number;
use super::log::{Chunk, Limits, Log};

const SMALL: Limits = Limits {
    segment: 124,
    retention: 200,
    retention_ms: None,
};

pub(super) fn set(codec: Compression, values: &[&str]) -> Bytes {
    let mut builder = RecordsBuilder::new(0, codec).expect("a codec of the format");
    for value in values {
        builder
            .try_append(None, None, Some(value.as_bytes()), &[])
            .expect("room");
    }
    builder.finish().expect("messages")
}

/// Every message with its offset, with all checksums looked at.
pub(super) fn messages(set: &Bytes) -> Vec<(i64, String)> {
    let options = DecodeOptions {
        check_inner_crc: true,
        ..DecodeOptions::default()
    };
    let decoded = decode(set, &options);
    assert_eq!(decoded.error, None);
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into();
    let records = decoded.records.iter();
    records
        .map(|record| (record.offset, text(record.value)))
        .collect()
}

/// A log with a message of 31 bytes at each offset.
fn log(limits: Limits, count: i64) -> Log {
    let mut log = Log::new(0, limits);
    for offset in 0..count {
        let chunk = number(&set(Compression::None, &["12345"]), log.end());
        let chunk = chunk.expect("a good message").expect("a message");
        log.append(offset, chunk).expect("memory");
    }
    log
}

/// What is read; `None` where the offset is out of range.
fn read(log: &Log, offset: i64, most: usize) -> Option<Bytes> {
    log.read(offset, most).expect("memory")
}

#[test]
fn messages_are_numbered_wherever_they_are() {
    for codec in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
    ] {
        let chunk = number(&set(codec, &["a", "b", "c"]), 40).unwrap().unwrap();
        let expected = [(40, "a"), (41, "b"), (42, "c")].map(|(at, text)| (at, text.to_owned()));
        assert_eq!(messages(&chunk.bytes), expected, "{codec}");
        assert_eq!(chunk.last_offset, 42, "{codec}");
    }
}

#[test]
fn offsets_that_producers_give_mean_nothing() {
    let mut any = BytesMut::from(&set(Compression::None, &["a"])[..]);
    any[..8].copy_from_slice(&(-1_i64).to_be_bytes());
    let twice = [&any[..], &any[..]].concat();
    let chunk = number(&twice, 7).unwrap().unwrap();
    assert_eq!(
        messages(&chunk.bytes),
        [(7, "a".to_owned()), (8, "a".to_owned())]
    );
}

#[test]
fn what_is_no_message_is_refused_whole() {
    let good = set(Compression::None, &["abc"]);
    for at in 12..good.len() {
        let mut bad = good.to_vec();
        bad[at] ^= 1;
        let both = [&good[..], &bad].concat();
        assert_eq!(
            number(&both, 0).unwrap_err(),
            ErrorCode::CORRUPT_MESSAGE,
            "byte {at}"
        );
    }
    let long = "x".repeat(super::append::MAX_MESSAGE);
    let long = set(Compression::None, &[&long]);
    assert_eq!(number(&long, 0).unwrap_err(), ErrorCode::MESSAGE_TOO_LARGE);
    let newer = {
        let mut builder = RecordsBuilder::new(1, Compression::None).unwrap();
        builder.try_append(Some(1), None, Some(b"a"), &[]).unwrap();
        builder.finish().unwrap()
    };
    assert_eq!(number(&newer, 0).unwrap_err(), ErrorCode::CORRUPT_MESSAGE);
    let cut = &good[..good.len() - 1];
    assert!(
        number(cut, 0).unwrap().is_none(),
        "what is cut off is left out"
    );
    assert!(number(&[], 0).unwrap().is_none());
}

#[test]
fn a_read_begins_with_its_message_and_ends_where_it_must() {
    let log = log(
        Limits {
            segment: 1 << 20,
            retention: 1 << 20,
            retention_ms: None,
        },
        5,
    );
    let all = read(&log, 2, 1 << 20).unwrap();
    assert_eq!(
        messages(&all).iter().map(|(at, _)| *at).collect::<Vec<_>>(),
        [2, 3, 4]
    );
    let one = read(&log, 0, 1 << 20).unwrap().len() / 5;
    assert_eq!(
        read(&log, 1, one + 1).unwrap().len(),
        one + 1,
        "the second is cut off"
    );
    assert_eq!(read(&log, 1, 10).unwrap().len(), 10, "the first is cut off");
    assert!(read(&log, 5, 100).unwrap().is_empty());
    assert_eq!(read(&log, 6, 100), None);
    assert_eq!(read(&log, -1, 100), None);
}

#[test]
fn a_compressed_message_is_read_whole_from_any_of_its_offsets() {
    let mut log = Log::new(
        0,
        Limits {
            segment: 1 << 20,
            retention: 1 << 20,
            retention_ms: None,
        },
    );
    for _ in 0..3 {
        let chunk: Option<Chunk> = number(&set(Compression::Gzip, &["a", "b"]), log.end()).unwrap();
        log.append(0, chunk.unwrap()).unwrap();
    }
    let read = |offset| {
        messages(&read(&log, offset, 1 << 20).unwrap())
            .first()
            .map(|(at, _)| *at)
    };
    assert_eq!(
        [0, 1, 2, 3, 5].map(read),
        [Some(0), Some(0), Some(2), Some(2), Some(4)]
    );
    assert_eq!(
        log.corrupt(3).unwrap(),
        Some(2..4),
        "what is compressed is damaged whole"
    );
}

#[test]
fn the_oldest_segment_goes_where_there_is_too_much() {
    let log = log(SMALL, 40);
    assert_eq!(log.end(), 40);
    assert_eq!(
        log.start(),
        32,
        "two full segments of four, as many bytes as are kept at least"
    );
    assert_eq!(read(&log, 31, 100), None);
    let ends: Vec<_> = (32..40)
        .map(|at| messages(&read(&log, at, 1000).unwrap()).len())
        .collect();
    assert_eq!(
        ends,
        [4, 3, 2, 1, 4, 3, 2, 1],
        "a read ends with its segment"
    );
}

#[test]
fn offsets_by_time_are_those_of_segments() {
    // The segments begin at 32 and 36, and were written last at 35 and 39.
    let log = log(SMALL, 40);
    assert_eq!(log.offsets_before(100, -1, 1), [40]);
    assert_eq!(log.offsets_before(100, -2, 1), [32]);
    assert_eq!(log.offsets_before(100, -1, 9), [40, 36, 32]);
    assert_eq!(log.offsets_before(100, 39, 9), [36, 32]);
    assert_eq!(log.offsets_before(100, 38, 1), [32]);
    assert!(log.offsets_before(100, 34, 9).is_empty());
}

#[test]
fn a_damaged_message_is_seen_by_its_checksum() {
    let mut log = log(
        Limits {
            segment: 1 << 20,
            retention: 1 << 20,
            retention_ms: None,
        },
        3,
    );
    assert_eq!(log.corrupt(1).unwrap(), Some(1..2));
    assert_eq!(log.corrupt(3).unwrap(), None);
    let decoded = decode(&read(&log, 0, 1 << 20).unwrap(), &DecodeOptions::default());
    assert_eq!(decoded.next_offset, 1);
    assert_eq!(decoded.error.map(|error| error.offset), Some(1));
}

#[test]
fn what_is_too_old_goes_even_where_it_is_all() {
    let mut log = log(SMALL, 40);
    let most = |time: i64| Limits {
        retention_ms: Some(time),
        ..SMALL
    };
    // The segments were written last at 35 and 39.
    log.limit(45, most(9));
    assert_eq!((log.start(), log.end()), (36, 40));
    log.limit(49, most(9));
    assert_eq!((log.start(), log.end()), (40, 40));
    assert!(read(&log, 40, 100).unwrap().is_empty());
    assert_eq!(read(&log, 39, 100), None);
    assert_eq!(log.offsets_before(50, -2, 1), [40]);
    let chunk = number(&set(Compression::None, &["12345"]), 40).unwrap();
    log.append(50, chunk.unwrap()).unwrap();
    assert_eq!((log.start(), log.end()), (40, 41));
}

#[test]
fn a_topic_may_keep_less_and_never_more() {
    let with = |settings: &[(&str, &str)]| {
        let settings = settings.iter();
        let owned = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        SMALL.with(&owned.collect())
    };
    assert_eq!(with(&[("segment.bytes", "50")]).segment, 50);
    assert_eq!(with(&[("retention.bytes", "1")]).retention, 1);
    assert_eq!(with(&[("retention.ms", "7")]).retention_ms, Some(7));
    for nothing in ["-1", "99999999", "much", ""] {
        let limits = with(&[("segment.bytes", nothing), ("retention.bytes", nothing)]);
        assert_eq!(limits, SMALL, "{nothing}");
    }
}
