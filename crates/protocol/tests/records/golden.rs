//! Record sets that Kafka's own classes wrote: 0.8.2.2 and 0.9.0.1 (magic 0, the same bytes), 0.10.2.2 (magic 1) and
//! 4.1.0 (magic 2). Two records each: key "k" and value "v0", no key and value "v1".

use bytes::Bytes;
use divvy_protocol::records::{DecodeOptions, TimestampType, scan};

use crate::make::{Owned, decode_checked, read, read_with};

pub(crate) const V0_NONE: &str = "\
    000000000000000000000011165764b10000000000016b0000000276300000000000000001000000104c9f5b\
    c20000ffffffff000000027631";
pub(crate) const V0_GZIP: &str = "\
    000000000000000100000044861ec6e50001ffffffff000000361f8b08000000000000ff6360800341b1f094\
    8d6016633690602a33804a3002b180cffce8430c0cff81002c670800d88b8ef939000000";
pub(crate) const V0_SNAPPY: &str = "\
    00000000000000010000005231ec95690002ffffffff0000004482534e415050590000000001000000010000\
    003039000019011011165764b1050f1c016b000000027630050d58000001000000104c9f5bc20000ffffffff\
    000000027631";
pub(crate) const V0_LZ4: &str = "\
    00000000000000010000004d08be188f0003ffffffff0000003f04224d1860401a3000000016000100511116\
    5764b10f0081016b0000000276300d00f008000001000000104c9f5bc20000ffffffff000000027631000000\
    00";
pub(crate) const V1_NONE: &str = "\
    000000000000006400000019e2233a3b01000000015d3ef79800000000016b00000002763000000000000000\
    65000000182dfa5f1401000000015d3ef79801ffffffff000000027631";
pub(crate) const V1_GZIP: &str = "\
    0000000000000065000000544952cab801010000015d3ef79801ffffffff0000003e1f8b08000000000000ff\
    63608003c947ca56d68c400663acddf7192011c66c20c154660055009293d0fd152f0257c4f81f08c06a0c01\
    c74dc37749000000";
pub(crate) const V1_SNAPPY: &str = "\
    000000000000006500000066378025f001020000015d3ef79801ffffffff0000005082534e41505059000000\
    0001000000010000003c49000019013419e2233a3b01000000015d3ef79801181c016b000000027630010c01\
    181c000000182dfa5f14010905252801ffffffff000000027631";
pub(crate) const V1_LZ4: &str = "\
    00000000000000650000005fbea60a6b01030000015d3ef79801ffffffff0000004904224d186040823a0000\
    0016000100e019e2233a3b01000000015d3ef798180080016b0000000276300c0000180085000000182dfa5f\
    142500b001ffffffff00000002763100000000";
pub(crate) const V2_NONE: &str = "\
    00000000000000640000004bffffffff023a53bb820000000000010000015d3ef798000000015d3ef79801ff\
    ffffffffffffffffffffffffff0000000220000000026b0476300402680278026e01100002020104763100";
pub(crate) const V2_GZIP: &str = "\
    00000000000000640000005fffffffff02e914e18b0001000000010000015d3ef798000000015d3ef79801ff\
    ffffffffffffffffffffffffff000000021f8b08000000000000ff5360606060ca6629336061ca60aa60ca63\
    14606062626429336400001c76dfc01a000000";
pub(crate) const V2_SNAPPY: &str = "\
    000000000000006400000061ffffffff02bb2c04d10002000000010000015d3ef798000000015d3ef79801ff\
    ffffffffffffffffffffffffff0000000282534e415050590000000001000000010000001c1a642000000002\
    6b0476300402680278026e01100002020104763100";
pub(crate) const V2_LZ4: &str = "\
    00000000000000640000005affffffff02fd807f920003000000010000015d3ef798000000015d3ef79801ff\
    ffffffffffffffffffffffffff0000000204224d186040821a00008020000000026b0476300402680278026e\
    0110000202010476310000000000";
pub(crate) const V2_ZSTD: &str = "\
    000000000000006400000057ffffffff02edf8745f0004000000010000015d3ef798000000015d3ef79801ff\
    ffffffffffffffffffffffffff0000000228b52ffd0058d0000020000000026b0476300402680278026e0110\
    0002020104763100010000";
/// Producer 9 with epoch 1 aborts its transaction at offset 102.
const V2_ABORT: &str = "\
    0000000000000066000000420000000002d9d0f5210030000000000000015d3ef798020000015d3ef7980200\
    000000000000090001ffffffff000000012000000008000000000c00000000000500";

/// Every set that holds the two records, whatever the build's features.
pub(crate) const SETS: [&str; 12] = [
    V0_NONE, V0_GZIP, V0_SNAPPY, V0_LZ4, V1_NONE, V1_GZIP, V1_SNAPPY, V1_LZ4, V2_NONE, V2_GZIP,
    V2_SNAPPY, V2_LZ4,
];

pub(crate) fn unhex(digits: &str) -> Vec<u8> {
    let digit = |digit: u8| (digit as char).to_digit(16).unwrap() as u8;
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn two_records(base: i64, timestamp: Option<i64>, timestamp_type: TimestampType) -> [Owned; 2] {
    let record = |index: i64, key: Option<&str>, value: &str| Owned {
        offset: base + index,
        timestamp: timestamp.map(|timestamp| timestamp + index),
        timestamp_type,
        key: key.map(|key| key.as_bytes().to_vec()),
        value: Some(value.as_bytes().to_vec()),
        headers: Vec::new(),
    };
    [record(0, Some("k"), "v0"), record(1, None, "v1")]
}

#[test]
fn magic_0_of_every_codec_is_read() {
    for set in [V0_NONE, V0_GZIP, V0_SNAPPY, V0_LZ4] {
        assert_eq!(
            read(&unhex(set)),
            two_records(0, None, TimestampType::NoTimestamp)
        );
    }
}

#[test]
fn magic_1_of_every_codec_is_read() {
    for set in [V1_NONE, V1_GZIP, V1_SNAPPY, V1_LZ4] {
        let expected = two_records(100, Some(1_500_000_000_000), TimestampType::CreateTime);
        assert_eq!(read(&unhex(set)), expected);
    }
}

fn magic_2_records() -> [Owned; 2] {
    let mut expected = two_records(100, Some(1_500_000_000_000), TimestampType::CreateTime);
    expected[0].headers = vec![(b"h".to_vec(), Some(b"x".to_vec())), (b"n".to_vec(), None)];
    expected
}

#[test]
fn magic_2_of_every_codec_is_read() {
    for set in [V2_NONE, V2_GZIP, V2_SNAPPY, V2_LZ4] {
        assert_eq!(read(&unhex(set)), magic_2_records());
    }
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_is_read() {
    assert_eq!(read(&unhex(V2_ZSTD)), magic_2_records());
}

#[cfg(not(feature = "zstd"))]
#[test]
fn zstd_without_the_feature_says_which_feature_it_takes() {
    let set = Bytes::from(unhex(V2_ZSTD));
    let error = decode_checked(&set, &DecodeOptions::default())
        .error
        .unwrap();
    assert!(!error.is_retriable());
    assert_eq!(error.offset, 100);
    assert!(error.to_string().contains("feature `zstd`"), "{error}");
    assert_eq!(scan(&set).next_offset, Some(102));
}

#[test]
fn inner_checksums_of_kafkas_sets_are_right() {
    let options = DecodeOptions {
        check_inner_crc: true,
        ..DecodeOptions::default()
    };
    for set in SETS {
        assert_eq!(read_with(&unhex(set), &options).len(), 2);
    }
}

#[test]
fn an_abort_marker_delivers_nothing_and_advances() {
    let decoded = decode_checked(&Bytes::from(unhex(V2_ABORT)), &DecodeOptions::default());
    assert_eq!((decoded.records.len(), decoded.next_offset), (0, 103));
    assert_eq!(decoded.error, None);
}

#[test]
fn the_aborted_batch_before_its_marker_is_left_out() {
    let mut batch = unhex(V2_NONE);
    // Transactional, by producer 9, and with the checksum that this takes.
    batch[22] |= 0x10;
    batch[43..51].copy_from_slice(&9_i64.to_be_bytes());
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    let set = Bytes::from([batch, unhex(V2_ABORT)].concat());

    let aborted = DecodeOptions {
        aborted: vec![(9, 100)],
        ..DecodeOptions::default()
    };
    let decoded = decode_checked(&set, &aborted);
    assert_eq!((decoded.records.len(), decoded.next_offset), (0, 103));
    let decoded = decode_checked(&set, &DecodeOptions::default());
    assert_eq!((decoded.records.len(), decoded.next_offset), (2, 103));
}

#[test]
fn a_scan_finds_the_ends_of_all_sets_together() {
    let mut set = Vec::new();
    for next in SETS {
        let compressed = ![V0_NONE, V1_NONE, V2_NONE].contains(&next);
        let found = scan(&unhex(next));
        assert_eq!(found.complete, unhex(next).len());
        assert_eq!(found.compressed, compressed);
        let base = if next.starts_with("00000000000000000") || next.starts_with("00000000000000010")
        {
            0
        } else {
            100
        };
        assert_eq!(found.next_offset, Some(base + 2));
    }
    for part in [V0_LZ4, V1_NONE] {
        set.extend(unhex(part));
    }
    set.extend(unhex(V2_ABORT));
    let found = scan(&set);
    assert_eq!((found.complete, found.next_offset), (set.len(), Some(103)));
    assert!(found.compressed);
    assert_eq!(found.malformed, None);
    // The same formats in one log, as an upgraded cluster has them.
    let offsets: Vec<_> = read(&set).iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [0, 1, 100, 101]);
}
