//! Bytes that no honest broker sends: nothing may panic, and nothing wrong may be delivered.

use bytes::Bytes;
use divvy_protocol::compression::{Compression, CompressionError};
use divvy_protocol::records::{Corruption, DecodeOptions, RecordsError, scan};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::golden::{SETS, unhex};
use crate::make::{
    Batch, Message, decode_checked, framed, messages, offsets, owned, read, record, varint, wrapper,
};

fn error_of(set: &[u8]) -> RecordsError {
    let decoded = decode_checked(&Bytes::copy_from_slice(set), &DecodeOptions::default());
    decoded.error.expect("an error")
}

fn reason_of(set: &[u8]) -> Corruption {
    error_of(set).reason
}

/// Three entries, of which the second is `bad`, at offset 11.
fn around(bad: &[u8]) -> Vec<u8> {
    [&messages(0, &[10])[..], bad, &messages(0, &[12])].concat()
}

#[test]
fn every_golden_set_cut_anywhere_gives_a_prefix() {
    for golden in SETS {
        let set = unhex(golden);
        let whole = read(&set);
        for cut in 0..set.len() {
            let cut = Bytes::copy_from_slice(&set[..cut]);
            let decoded = decode_checked(&cut, &DecodeOptions::default());
            assert_eq!(decoded.error, None);
            let prefix = owned(&decoded.records);
            assert_eq!(prefix, whole[..prefix.len()]);
            assert!(prefix.len() < whole.len());
        }
    }
}

#[test]
fn every_flipped_bit_under_a_checksum_is_found() {
    for golden in SETS {
        let mut set = unhex(golden);
        let covered_from = if set[16] == 2 { 17 } else { 12 };
        let first_entry = 12 + usize::from(set[11]);
        for position in 0..first_entry {
            for bit in 0..8 {
                set[position] ^= 1 << bit;
                let bytes = Bytes::copy_from_slice(&set);
                let decoded = decode_checked(&bytes, &DecodeOptions::default());
                if position >= covered_from || position == 16 {
                    assert!(
                        decoded.error.is_some(),
                        "bit {bit} of byte {position} of {golden}"
                    );
                    assert!(decoded.records.is_empty());
                }
                set[position] ^= 1 << bit;
            }
        }
    }
}

#[test]
fn what_lies_before_a_bad_entry_stays_deliverable() {
    let mut bad = Message::new(0, 11).bytes();
    *bad.last_mut().unwrap() ^= 1;
    let set = Bytes::from(around(&bad));
    let decoded = decode_checked(
        &set,
        &DecodeOptions {
            from_offset: 10,
            ..Default::default()
        },
    );
    assert_eq!(
        (offsets(&decoded.records), decoded.next_offset),
        (vec![10], 11)
    );
    let error = decoded.error.unwrap();
    assert_eq!(
        (error.offset, error.position, error.skip_to),
        (11, bad.len(), Some(12))
    );
    assert!(matches!(error.reason, Corruption::Crc { .. }));
    assert!(error.is_retriable());
    assert!(error.to_string().contains("offset 11"), "{error}");
    // Its length may still be right, so the shallow walk goes on.
    assert_eq!(scan(&set).next_offset, Some(13));

    let trusting = DecodeOptions {
        check_crc: false,
        ..DecodeOptions::default()
    };
    assert_eq!(decode_checked(&set, &trusting).records.len(), 3);
}

#[test]
fn a_bad_wrapper_is_asked_for_again_from_its_first_message() {
    let mut bad = wrapper(1, 13, Compression::Gzip, &messages(1, &[0, 1, 2]));
    bad[40] ^= 1;
    let set = [messages(1, &[10]), bad].concat();
    let decoded = decode_checked(&Bytes::from(set), &DecodeOptions::default());
    assert_eq!(
        decoded.next_offset, 11,
        "not 13, or two messages would be lost"
    );
    assert_eq!(decoded.error.unwrap().offset, 13);
}

#[test]
fn sizes_that_no_entry_has_are_malformed() {
    for size in [i32::MIN, -5, -1, 0, 13] {
        let mut bad = messages(0, &[11]);
        bad[8..12].copy_from_slice(&size.to_be_bytes());
        let set = around(&bad);
        assert_eq!(reason_of(&set), Corruption::Size { size });
        let found = scan(&set);
        assert_eq!((found.complete, found.next_offset), (bad.len(), Some(11)));
        assert_eq!(found.malformed.unwrap().reason, Corruption::Size { size });
        // Even where nothing but the size has arrived.
        assert!(scan(&bad[..12]).malformed.is_some());
    }
    // Enough for a message, too little for a batch.
    let mut short = Batch::new(11, &[]).bytes();
    short.truncate(60);
    short[8..12].copy_from_slice(&48_i32.to_be_bytes());
    assert_eq!(reason_of(&short), Corruption::Size { size: 48 });
}

#[test]
fn magics_and_codecs_that_do_not_exist_are_named() {
    for magic in [-1, 3, 127] {
        let mut bad = messages(0, &[11]);
        bad[16] = magic as u8;
        assert_eq!(reason_of(&around(&bad)), Corruption::Magic { magic });
        assert_eq!(scan(&around(&bad)).next_offset, Some(11));
    }
    let unknown = |code| Corruption::Compression(CompressionError::UnknownCode { code });
    let message = Message {
        attributes: 5,
        ..Message::new(0, 11)
    }
    .bytes();
    assert_eq!(reason_of(&message), unknown(5));
    let batch = Batch {
        attributes: 7,
        ..Batch::new(11, &[0])
    }
    .bytes();
    assert_eq!(reason_of(&batch), unknown(7));
    for magic in [0, 1] {
        let message = Message {
            attributes: 4,
            ..Message::new(magic, 11)
        }
        .bytes();
        let codec = Compression::Zstd;
        assert_eq!(
            reason_of(&message),
            Corruption::Codec {
                codec,
                magic: magic as i8
            }
        );
        assert!(!error_of(&message).is_retriable());
    }
}

#[test]
fn wrappers_within_wrappers_and_empty_ones_are_refused() {
    for magic in [0, 1] {
        let once = wrapper(magic, 1, Compression::Gzip, &messages(magic, &[0, 1]));
        let twice = wrapper(magic, 1, Compression::Lz4, &once);
        assert_eq!(reason_of(&twice), Corruption::Nested);
        assert!(!error_of(&twice).is_retriable());
        assert_eq!(
            reason_of(&wrapper(magic, 1, Compression::Gzip, &[])),
            Corruption::Empty
        );
        let null = Message {
            attributes: 1,
            value: None,
            ..Message::new(magic, 1)
        };
        assert_eq!(reason_of(&null.bytes()), Corruption::Empty);
        let batch = Batch::new(0, &[0]).bytes();
        let malformed = Corruption::Malformed {
            what: "a message within it",
        };
        assert_eq!(
            reason_of(&wrapper(magic, 1, Compression::Gzip, &batch)),
            malformed
        );
        let cut = &messages(magic, &[0, 1])[..50];
        assert_eq!(
            reason_of(&wrapper(magic, 1, Compression::Gzip, cut)),
            malformed
        );
    }
}

#[test]
fn a_wrong_checksum_within_a_wrapper_is_found_if_asked_for() {
    let mut inner = messages(1, &[0, 1]);
    *inner.last_mut().unwrap() ^= 1;
    let set = Bytes::from(wrapper(1, 1, Compression::Gzip, &inner));
    assert_eq!(
        decode_checked(&set, &DecodeOptions::default())
            .records
            .len(),
        2
    );
    let careful = DecodeOptions {
        check_inner_crc: true,
        ..DecodeOptions::default()
    };
    let decoded = decode_checked(&set, &careful);
    assert!(matches!(
        decoded.error.unwrap().reason,
        Corruption::Crc { .. }
    ));
    assert!(decoded.records.is_empty());
}

#[test]
fn offsets_at_the_ends_of_their_range_do_not_overflow() {
    for offset in [i64::MIN, -1, i64::MAX] {
        assert_eq!(
            reason_of(&messages(0, &[offset])),
            Corruption::OffsetRange { offset }
        );
        let batch = Batch::new(offset, &[0]).bytes();
        assert_eq!(reason_of(&batch), Corruption::OffsetRange { offset });
        let inner = messages(0, &[offset]);
        let set = wrapper(0, 0, Compression::Gzip, &inner);
        assert_eq!(reason_of(&set), Corruption::OffsetRange { offset });
    }
    let highest = i64::MAX - 1;
    let decoded = decode_checked(&messages(0, &[highest]).into(), &DecodeOptions::default());
    assert_eq!((decoded.records.len(), decoded.next_offset), (1, i64::MAX));
    let set = Batch {
        base_offset: highest,
        last_offset_delta: 1,
        ..Batch::new(0, &[0])
    }
    .bytes();
    assert_eq!(reason_of(&set), Corruption::OffsetRange { offset: highest });
    let set = Batch {
        last_offset_delta: -1,
        ..Batch::new(5, &[0])
    }
    .bytes();
    assert_eq!(reason_of(&set), Corruption::OffsetRange { offset: 5 });
}

#[test]
fn messages_whose_lengths_contradict_each_other_are_malformed() {
    let malformed = Corruption::Malformed {
        what: "the key or value",
    };
    let rehash = |mut message: Vec<u8>| {
        let crc = crc32fast::hash(&message[16..]);
        message[12..16].copy_from_slice(&crc.to_be_bytes());
        message
    };
    // The key's length field is at 18 in magic 0.
    for length in [-2, 2, 1000, i32::MAX, i32::MIN] {
        let mut message = Message::new(0, 11).bytes();
        message[18..22].copy_from_slice(&i32::to_be_bytes(length));
        assert_eq!(reason_of(&rehash(message)), malformed, "{length}");
    }
    let mut padded = Message::new(0, 11).bytes();
    padded.push(0);
    padded[11] += 1;
    assert_eq!(reason_of(&rehash(padded)), malformed);
}

#[test]
fn batches_whose_records_do_not_add_up_are_malformed() {
    let malformed = Corruption::Malformed {
        what: "a record within it",
    };
    let count = |count| {
        Batch {
            count,
            last_offset_delta: 9,
            ..Batch::new(5, &[0, 1])
        }
        .bytes()
    };
    assert_eq!(
        reason_of(&count(-1)),
        Corruption::Malformed {
            what: "the record count"
        }
    );
    assert_eq!(reason_of(&count(3)), malformed);
    assert_eq!(reason_of(&count(i32::MAX)), malformed);
    let trailing = Corruption::Trailing {
        what: "the last record",
        count: 9,
    };
    assert_eq!(reason_of(&count(1)), trailing);

    let with = |records: Vec<u8>| {
        Batch {
            records,
            ..Batch::new(5, &[0])
        }
        .bytes()
    };
    assert_eq!(
        reason_of(&with(record(-1, 0, None, None))),
        Corruption::OffsetBackwards {
            previous: 4,
            offset: 4
        }
    );
    assert_eq!(
        reason_of(&with(record(1, 0, None, None))),
        Corruption::OffsetRange { offset: 6 }
    );
    let head = [vec![0], varint(0), varint(0), varint(-1), varint(-1)].concat();
    for tail in [
        varint(-1),                                   // less than no header
        varint(1),                                    // a header that is not there
        varint(i64::from(i32::MAX)),                  // more than there can be
        [varint(1), varint(-1), varint(-1)].concat(), // a header with a null key
        [varint(0), vec![0]].concat(),                // something left over
        vec![],                                       // no header count
        vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x00],     // a varint of six bytes
    ] {
        let fields = [head.clone(), tail.clone()].concat();
        assert_eq!(reason_of(&with(framed(&fields))), malformed, "{tail:02x?}");
    }
    let null_value = [varint(1), varint(0), varint(-1)].concat();
    assert_eq!(
        read(&with(framed(&[head, null_value].concat())))[0].headers,
        [(vec![], None)]
    );
}

#[test]
fn an_entry_beyond_the_limit_is_refused_and_names_its_offset() {
    let inner = Message {
        value: Some(&vec![0; 100_000]),
        ..Message::new(0, 11)
    }
    .bytes();
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4] {
        let set = Bytes::from(wrapper(0, 11, codec, &inner));
        let limit = |max_decompressed| DecodeOptions {
            max_decompressed,
            ..DecodeOptions::default()
        };
        let error = decode_checked(&set, &limit(inner.len() - 1)).error.unwrap();
        assert_eq!(error.offset, 11);
        assert!(!error.is_retriable());
        let exceeded = CompressionError::LimitExceeded {
            codec,
            limit: inner.len() - 1,
        };
        assert_eq!(error.reason, Corruption::Compression(exceeded));
        assert_eq!(decode_checked(&set, &limit(inner.len())).records.len(), 1);
    }
}

fn sound_set() -> Vec<u8> {
    [
        messages(0, &[1, 2]),
        wrapper(1, 6, Compression::Lz4, &messages(1, &[0, 1, 3])),
        wrapper(0, 8, Compression::Snappy, &messages(0, &[7, 8])),
        Batch::transactional(9, &[0, 2], 7).bytes(),
        Batch::marker(12, 7, 0).bytes(),
        Batch::new(13, &[0, 1])
            .compressed(Compression::Gzip)
            .bytes(),
    ]
    .concat()
}

fn some_options() -> impl Strategy<Value = DecodeOptions> {
    let aborted = vec((0..9_i64, -1..20_i64), 0..3);
    (
        -1..20_i64,
        any::<bool>(),
        any::<bool>(),
        0..10_000_usize,
        0..10_000_usize,
        aborted,
    )
        .prop_map(
            |(from_offset, check_crc, check_inner_crc, max_decompressed, pause_after, aborted)| {
                DecodeOptions {
                    from_offset,
                    max_decompressed,
                    pause_after,
                    check_crc,
                    check_inner_crc,
                    aborted,
                }
            },
        )
}

/// Decodes to the end, pauses included.
fn survive(set: &Bytes, options: &DecodeOptions) {
    let mut decoded = decode_checked(set, options);
    let mut turns = 0;
    while let Some(rest) = decoded.rest {
        let before = decoded.next_offset;
        decoded = rest.decode();
        owned(&decoded.records);
        assert!(decoded.next_offset >= before);
        turns += 1;
        assert!(turns <= set.len(), "each turn gets something done");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_survived(bytes in vec(any::<u8>(), 0..300), options in some_options()) {
        survive(&bytes.into(), &options);
    }

    #[test]
    fn random_fields_behind_sound_headers_are_survived(
        magic in 0..4_u8,
        body in vec(any::<u8>(), 0..200),
        options in some_options(),
    ) {
        let mut set = 5_i64.to_be_bytes().to_vec();
        set.extend((body.len() as i32 + 5).to_be_bytes());
        set.extend([0, 0, 0, 0, magic]);
        set.extend(body);
        survive(&set.into(), &options);
    }

    #[test]
    fn mutated_sets_are_survived(
        changes in vec((any::<Index>(), any::<u8>()), 1..8),
        options in some_options(),
    ) {
        let mut set = sound_set();
        for (index, byte) in changes {
            let index = index.index(set.len());
            set[index] = byte;
        }
        survive(&set.into(), &options);
    }

    #[test]
    fn mutated_contents_of_wrappers_and_batches_are_survived(
        changes in vec((any::<Index>(), any::<u8>()), 1..4),
        magic in 0..2_u8,
        options in some_options(),
    ) {
        let mutate = |mut bytes: Vec<u8>| {
            for (index, byte) in &changes {
                let index = index.index(bytes.len());
                bytes[index] = *byte;
            }
            bytes
        };
        let inner = mutate(messages(magic, &[0, 1, 4]));
        survive(&wrapper(magic, 9, Compression::Snappy, &inner).into(), &options);
        let batch = Batch::new(3, &[0, 1, 4]);
        let batch = Batch { records: mutate(batch.records.clone()), ..batch };
        survive(&batch.bytes().into(), &options);
        survive(&batch.compressed(Compression::Lz4).bytes().into(), &options);
    }
}
