//! What the writer writes, against Kafka's bytes and against what brokers insist on.

use divvy_protocol::compression::{Compression, CompressionError};
use divvy_protocol::records::{BuildError, Header, RecordsBuilder};

use crate::golden::{V0_NONE, V1_NONE, V2_NONE, unhex};

const TIME: i64 = 1_500_000_000_000;

fn two_records(magic: i8, codec: Compression) -> RecordsBuilder {
    let mut builder = RecordsBuilder::new(magic, codec).unwrap();
    let headers = [Header::new("h", Some(b"x")), Header::new("n", None)];
    let headers = if magic == 2 { &headers[..] } else { &[] };
    builder
        .try_append(Some(TIME), Some(b"k"), Some(b"v0"), headers)
        .unwrap();
    builder
        .try_append(Some(TIME + 1), None, Some(b"v1"), &[])
        .unwrap();
    builder
}

/// Kafka's classes numbered the golden sets from 100; producers number from 0. Checksums do not
/// cover offsets.
fn renumbered(golden: &str, entry_lengths: &[usize]) -> Vec<u8> {
    let mut set = unhex(golden);
    let mut start = 0;
    for (offset, length) in (0_i64..).zip(entry_lengths) {
        set[start..start + 8].copy_from_slice(&offset.to_be_bytes());
        start += length;
    }
    assert_eq!(start, set.len());
    set
}

#[test]
fn uncompressed_sets_are_kafkas_byte_for_byte() {
    for (magic, expected) in [
        (0, unhex(V0_NONE)),
        (1, renumbered(V1_NONE, &[37, 36])),
        (2, renumbered(V2_NONE, &[87])),
    ] {
        let builder = two_records(magic, Compression::None);
        assert_eq!(builder.estimated_size(), expected.len());
        assert_eq!(builder.finish().unwrap(), expected, "magic {magic}");
    }
}

#[test]
fn wrappers_are_numbered_as_brokers_want_them() {
    for magic in [0, 1] {
        let set = two_records(magic, Compression::Snappy).finish().unwrap();
        assert_eq!(
            set[..8],
            1_i64.to_be_bytes(),
            "the offset of the last message"
        );
        assert_eq!(set[17], 2, "the codec");
        if magic == 1 {
            assert_eq!(
                set[18..26],
                (TIME + 1).to_be_bytes(),
                "the highest timestamp"
            );
        }
    }
}

#[test]
fn lz4_has_the_header_checksum_of_its_format() {
    for (magic, checksum) in [(0, 0x1a), (1, 0x82), (2, 0x82)] {
        let set = two_records(magic, Compression::Lz4).finish().unwrap();
        let frame = set
            .windows(4)
            .position(|window| window == [0x04, 0x22, 0x4d, 0x18])
            .unwrap();
        assert_eq!(
            set[frame + 4..frame + 7],
            [0x60, 0x40, checksum],
            "magic {magic}"
        );
    }
}

#[test]
fn what_a_format_cannot_say_is_refused_and_changes_nothing() {
    for magic in [0, 1] {
        let mut builder = two_records(magic, Compression::None);
        let headers = [Header::new("h", None)];
        let refused = builder.try_append(None, None, None, &headers);
        assert_eq!(refused, Err(BuildError::Headers { magic }));
        assert_eq!(builder.len(), 2);
        assert_eq!(
            builder.finish().unwrap(),
            two_records(magic, Compression::None).finish().unwrap()
        );
        let zstd = RecordsBuilder::new(magic, Compression::Zstd).unwrap_err();
        let not_built = CompressionError::NotBuilt {
            codec: Compression::Zstd,
        };
        let expected = match Compression::Zstd.is_available() {
            true => BuildError::Codec {
                codec: Compression::Zstd,
                magic,
            },
            false => BuildError::Compression(not_built),
        };
        assert_eq!(zstd, expected);
    }
    let mut builder = two_records(2, Compression::None);
    let refused = builder.try_append(Some(-2), None, None, &[]);
    assert_eq!(refused, Err(BuildError::Timestamp { timestamp: -2 }));
    assert_eq!(
        builder.finish().unwrap(),
        two_records(2, Compression::None).finish().unwrap()
    );
}

#[test]
fn impossible_sets_are_refused() {
    for magic in [-1, 3] {
        let refused = RecordsBuilder::new(magic, Compression::None).unwrap_err();
        assert_eq!(refused, BuildError::Magic { magic });
    }
    for magic in [0, 1, 2] {
        let builder = RecordsBuilder::new(magic, Compression::Gzip).unwrap();
        assert!(builder.is_empty());
        assert_eq!(builder.finish(), Err(BuildError::Empty));
    }
}
