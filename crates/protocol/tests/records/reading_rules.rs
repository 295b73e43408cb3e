//! What a consumer has to know about record sets that is not in their layout.

use bytes::Bytes;
use divvy_protocol::compression::Compression;
use divvy_protocol::records::{
    Corruption, DecodeOptions, Decoded, RecordsBuilder, TimestampType, scan,
};

use crate::make::{
    Batch, Message, Owned, TRANSACTIONAL, decode_checked, messages, offsets, read, record, wrapper,
};

fn from(from_offset: i64) -> DecodeOptions {
    DecodeOptions {
        from_offset,
        ..DecodeOptions::default()
    }
}

fn decode(set: &[u8], options: &DecodeOptions) -> Decoded {
    decode_checked(&Bytes::copy_from_slice(set), options)
}

/// Offsets and the next one, of a set that has to be sound.
fn outcome(set: &[u8], options: &DecodeOptions) -> (Vec<i64>, i64) {
    let decoded = decode(set, options);
    assert_eq!(decoded.error, None);
    (offsets(&decoded.records), decoded.next_offset)
}

#[test]
fn an_empty_set_stays_where_it_is() {
    assert_eq!(outcome(&[], &from(7)), (vec![], 7));
    assert_eq!(scan(&[]), Default::default());
}

#[test]
fn a_partial_tail_is_measured_and_no_error() {
    let whole = messages(0, &[5, 6]);
    let big = Message {
        value: Some(&[0; 5000]),
        ..Message::new(0, 7)
    }
    .bytes();
    for cut in 0..big.len() {
        let set = [&whole, &big[..cut]].concat();
        let found = scan(&set);
        assert_eq!((found.complete, found.next_offset), (whole.len(), Some(7)));
        assert_eq!(found.first_incomplete, (cut >= 12).then_some(big.len()));
        assert_eq!(outcome(&set, &from(5)), (vec![5, 6], 7));
    }
    let found = scan(&big[..17]);
    assert_eq!((found.complete, found.next_offset), (0, None));
    assert_eq!(found.first_incomplete, Some(big.len()));
}

#[test]
fn a_tail_that_stands_for_nothing_is_passed_over() {
    // Brokers that convert formats fill the response up with the start of an entry at offset −1
    // that never ends.
    let mut set = messages(1, &[5]);
    set.extend((-1_i64).to_be_bytes());
    set.extend(1000_i32.to_be_bytes());
    set.extend([0; 9]);
    assert_eq!(outcome(&set, &from(5)), (vec![5], 6));
}

#[test]
fn formats_mix_within_a_set() {
    let set = [
        messages(0, &[1, 2]),
        wrapper(0, 5, Compression::Gzip, &messages(0, &[3, 5])),
        messages(1, &[6]),
        messages(0, &[7]),
        wrapper(1, 10, Compression::Lz4, &messages(1, &[0, 1, 2])),
        Batch::new(11, &[0, 1]).bytes(),
        messages(1, &[13]),
        Batch::new(14, &[0]).compressed(Compression::Snappy).bytes(),
    ]
    .concat();
    let all = [1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
    assert_eq!(scan(&set).next_offset, Some(15));
    for start in 0..17 {
        let wanted: Vec<_> = all.into_iter().filter(|offset| *offset >= start).collect();
        assert_eq!(
            outcome(&set, &from(start)),
            (wanted, start.max(15)),
            "from {start}"
        );
    }
}

#[test]
fn what_delivers_nothing_may_lie_between_plain_messages() {
    let set = [
        messages(1, &[1]),
        Batch::marker(2, 7, 1).bytes(),
        messages(1, &[3, 4]),
        Batch::new(5, &[]).bytes(),
        messages(0, &[6]),
    ]
    .concat();
    assert_eq!(outcome(&set, &from(0)), (vec![1, 3, 4, 6], 7));
}

#[test]
fn magic_0_wrappers_hold_absolute_offsets_with_gaps() {
    let set = wrapper(0, 109, Compression::Snappy, &messages(0, &[100, 103, 109]));
    assert_eq!(outcome(&set, &from(0)), (vec![100, 103, 109], 110));
    assert_eq!(outcome(&set, &from(101)), (vec![103, 109], 110));
    // Compaction took the last message, and the wrapper kept its offset.
    let set = wrapper(0, 109, Compression::Snappy, &messages(0, &[100, 103]));
    assert_eq!(outcome(&set, &from(0)), (vec![100, 103], 110));
}

#[test]
fn magic_1_wrappers_hold_relative_offsets_with_gaps() {
    // Compaction left 2, 5 and 9 of ten messages, whose wrapper is at 109.
    let set = wrapper(1, 109, Compression::Lz4, &messages(1, &[2, 5, 9]));
    assert_eq!(outcome(&set, &from(0)), (vec![102, 105, 109], 110));
    assert_eq!(outcome(&set, &from(103)), (vec![105, 109], 110));
    assert_eq!(outcome(&set, &from(110)), (vec![], 110));
}

#[test]
fn a_wrapper_that_no_broker_numbered_is_taken_as_it_is() {
    for magic in [0, 1] {
        let set = wrapper(magic, 0, Compression::Gzip, &messages(magic, &[0, 1, 2]));
        assert_eq!(outcome(&set, &from(0)), (vec![0, 1, 2], 3));
    }
}

#[test]
fn a_wrapper_below_its_last_message_is_corrupt() {
    for magic in [0, 1] {
        let set = wrapper(magic, 1, Compression::Gzip, &messages(magic, &[0, 1, 2]));
        let decoded = decode(&set, &from(0));
        assert_eq!(
            decoded.error.unwrap().reason,
            Corruption::OffsetRange { offset: 2 }
        );
        assert_eq!((decoded.records.len(), decoded.next_offset), (0, 0));
    }
}

#[test]
fn messages_of_magic_0_may_lie_in_a_wrapper_of_magic_1() {
    let inner = [messages(0, &[0]), messages(1, &[1])].concat();
    let records = read(&wrapper(1, 9, Compression::Gzip, &inner));
    assert_eq!(records[0].offset, 8);
    assert_eq!(records[0].timestamp_type, TimestampType::NoTimestamp);
    assert_eq!(records[1].timestamp_type, TimestampType::CreateTime);
}

fn times(records: &[Owned]) -> Vec<(Option<i64>, TimestampType)> {
    records
        .iter()
        .map(|record| (record.timestamp, record.timestamp_type))
        .collect()
}

#[test]
fn log_append_time_is_that_of_the_wrapper_or_batch() {
    use TimestampType::{CreateTime, LogAppendTime};
    let append = |attributes| Message {
        attributes,
        timestamp: 77,
        ..Message::new(1, 4)
    };
    assert_eq!(
        times(&read(&append(8).bytes())),
        [(Some(77), LogAppendTime)]
    );
    assert_eq!(times(&read(&append(0).bytes())), [(Some(77), CreateTime)]);

    let inner = messages(1, &[0, 1]);
    let packed = divvy_protocol::compression::compress(Compression::Gzip, &inner, 1).unwrap();
    let wrapper = Message {
        value: Some(&packed),
        ..append(8 | 1)
    }
    .bytes();
    assert_eq!(times(&read(&wrapper)), [(Some(77), LogAppendTime); 2]);

    let batch = Batch {
        attributes: 8,
        ..Batch::new(0, &[0, 1])
    };
    assert_eq!(
        times(&read(&batch.bytes())),
        [(Some(2000), LogAppendTime); 2]
    );
}

#[test]
fn magic_0_knows_no_log_append_time() {
    let inner = messages(0, &[4]);
    let packed = divvy_protocol::compression::compress(Compression::Gzip, &inner, 0).unwrap();
    let message = Message {
        attributes: 8 | 1,
        value: Some(&packed),
        ..Message::new(0, 4)
    };
    assert_eq!(
        times(&read(&message.bytes())),
        [(None, TimestampType::NoTimestamp)]
    );
}

#[test]
fn timestamps_may_be_missing_or_lie_before_the_first() {
    let none = Message {
        timestamp: -1,
        ..Message::new(1, 0)
    }
    .bytes();
    assert_eq!(times(&read(&none)), [(None, TimestampType::CreateTime)]);

    let deltas = [0, -400, -1001, i64::MIN, i64::MAX];
    let records = (0..)
        .zip(deltas)
        .flat_map(|(at, delta)| record(at, delta, None, None))
        .collect();
    let batch = Batch {
        records,
        ..Batch::new(0, &[0, 1, 2, 3, 4])
    };
    let found: Vec<_> = read(&batch.bytes())
        .iter()
        .map(|record| record.timestamp)
        .collect();
    let expected = [
        Some(1000),
        Some(600),
        None,
        Some(i64::MIN + 1000),
        Some(i64::MIN + 999),
    ];
    assert_eq!(found, expected);
}

#[test]
fn batches_that_compaction_thinned_or_emptied_advance() {
    let thinned = Batch {
        last_offset_delta: 9,
        ..Batch::new(100, &[2, 5])
    };
    assert_eq!(outcome(&thinned.bytes(), &from(0)), (vec![102, 105], 110));
    let emptied = Batch {
        last_offset_delta: 9,
        ..Batch::new(110, &[])
    };
    assert_eq!(outcome(&emptied.bytes(), &from(0)), (vec![], 120));
    assert_eq!(scan(&emptied.bytes()).next_offset, Some(120));
    let both = [
        thinned.bytes(),
        emptied.bytes(),
        Batch::new(120, &[0]).bytes(),
    ]
    .concat();
    assert_eq!(outcome(&both, &from(105)), (vec![105, 120], 121));
}

#[test]
fn null_and_empty_differ() {
    for magic in 0..=2 {
        let mut builder = RecordsBuilder::new(magic, Compression::None).unwrap();
        builder.try_append(None, None, Some(b""), &[]).unwrap();
        builder.try_append(None, Some(b""), None, &[]).unwrap();
        let records = read(&builder.finish().unwrap());
        assert_eq!((&records[0].key, &records[0].value), (&None, &Some(vec![])));
        assert_eq!((&records[1].key, &records[1].value), (&Some(vec![]), &None));
    }
}

#[test]
fn aborted_transactions_are_left_out_and_the_producers_next_is_not() {
    let set = [
        Batch::transactional(0, &[0, 1], 7).bytes(), // aborted
        Batch::transactional(2, &[0], 8).bytes(),    // committed
        Batch {
            producer_id: 7,
            ..Batch::new(3, &[0])
        }
        .bytes(), // not in a transaction
        Batch::transactional(4, &[0], 7)
            .compressed(Compression::Gzip)
            .bytes(), // aborted
        Batch::marker(5, 8, 1).bytes(),
        Batch::marker(6, 7, 0).bytes(),
        Batch::transactional(7, &[0], 7).bytes(), // committed
        Batch::transactional(8, &[0], 8).bytes(), // aborted
        Batch::marker(9, 7, 1).bytes(),
        Batch::marker(10, 8, 0).bytes(),
    ]
    .concat();
    assert_eq!(outcome(&set, &from(0)), (vec![0, 1, 2, 3, 4, 7, 8], 11));
    // Not every broker sends the list in order.
    for aborted in [vec![(7, 0), (8, 8)], vec![(8, 8), (7, 0)]] {
        let options = DecodeOptions {
            aborted,
            ..DecodeOptions::default()
        };
        assert_eq!(outcome(&set, &options), (vec![2, 3, 7], 11));
        // With the first fetch below the marker, its own start does not matter.
        let later = DecodeOptions {
            from_offset: 4,
            ..options
        };
        assert_eq!(outcome(&set, &later), (vec![7], 11));
    }
}

#[test]
fn a_marker_below_the_asked_offset_still_ends_its_transaction() {
    let set = [
        Batch::marker(6, 7, 0).bytes(),
        Batch::transactional(7, &[0], 7).bytes(),
    ]
    .concat();
    let options = DecodeOptions {
        from_offset: 7,
        aborted: vec![(7, 0)],
        ..DecodeOptions::default()
    };
    assert_eq!(outcome(&set, &options), (vec![7], 8));
}

#[test]
fn only_an_abort_ends_an_aborted_transaction() {
    let set = [
        Batch::transactional(0, &[0], 7).bytes(),
        Batch::marker(1, 7, 1).bytes(),
        Batch::transactional(2, &[0], 7).bytes(),
        Batch::marker(3, 7, 0).bytes(),
        Batch::transactional(4, &[0], 7).bytes(),
    ]
    .concat();
    let options = DecodeOptions {
        aborted: vec![(7, 0)],
        ..DecodeOptions::default()
    };
    assert_eq!(outcome(&set, &options), (vec![4], 5));
}

#[test]
fn a_control_batch_may_have_lost_its_record_and_needs_a_whole_key() {
    let emptied = Batch {
        attributes: TRANSACTIONAL | 0x20,
        ..Batch::new(3, &[])
    };
    assert_eq!(outcome(&emptied.bytes(), &from(0)), (vec![], 4));
    let records = record(0, 0, Some(&[0, 0, 0]), None);
    let broken = Batch {
        records,
        ..Batch::marker(3, 1, 0)
    };
    let error = decode(&broken.bytes(), &from(0)).error.unwrap();
    assert_eq!(
        error.reason,
        Corruption::Malformed {
            what: "the control record's key"
        }
    );
}

#[test]
fn what_follows_has_to_lie_above_what_came_before() {
    let backwards: [(Vec<u8>, i64, i64); 8] = [
        (
            wrapper(1, 9, Compression::Gzip, &messages(1, &[4, 4])),
            4,
            4,
        ),
        (messages(0, &[5, 5]), 5, 5),
        (messages(1, &[5, 4]), 5, 4),
        (
            [
                messages(0, &[5]),
                wrapper(0, 7, Compression::Gzip, &messages(0, &[4, 7])),
            ]
            .concat(),
            5,
            4,
        ),
        (
            [
                messages(0, &[5]),
                wrapper(1, 6, Compression::Gzip, &messages(1, &[0, 1])),
            ]
            .concat(),
            5,
            5,
        ),
        (
            [messages(0, &[5]), Batch::new(5, &[0, 1]).bytes()].concat(),
            5,
            5,
        ),
        (
            wrapper(0, 9, Compression::Gzip, &messages(0, &[4, 3])),
            4,
            3,
        ),
        (
            Batch {
                last_offset_delta: 3,
                ..Batch::new(5, &[2, 2])
            }
            .bytes(),
            7,
            7,
        ),
    ];
    for (set, previous, offset) in backwards {
        let decoded = decode(&set, &from(0));
        assert_eq!(
            decoded.error.unwrap().reason,
            Corruption::OffsetBackwards { previous, offset }
        );
        assert!(decoded.next_offset <= offset.max(6));
    }
    // Where the headers alone show it, the shallow walk stops there too.
    let found = scan(&messages(0, &[5, 6, 6, 7]));
    assert_eq!(found.next_offset, Some(7));
    assert!(found.malformed.is_some());
}

#[test]
fn decoding_pauses_and_goes_on_without_forgetting_transactions() {
    let inner = messages(1, &[0, 1, 2, 3]);
    let set = Bytes::from(
        [
            Batch::transactional(0, &[0], 7)
                .compressed(Compression::Gzip)
                .bytes(),
            Batch::marker(1, 7, 0).bytes(),
            wrapper(1, 5, Compression::Gzip, &inner),
            Batch::new(6, &[0]).bytes(),
            Batch::transactional(7, &[0, 1], 7)
                .compressed(Compression::Lz4)
                .bytes(),
            Batch::transactional(9, &[0, 1], 7)
                .compressed(Compression::Lz4)
                .bytes(),
        ]
        .concat(),
    );
    let options = DecodeOptions {
        pause_after: 0,
        aborted: vec![(7, 0)],
        from_offset: 3,
        ..DecodeOptions::default()
    };
    let mut decoded = decode_checked(&set, &options);
    let mut turns = vec![(offsets(&decoded.records), decoded.next_offset)];
    while let Some(rest) = decoded.rest {
        decoded = rest.decode();
        assert_eq!(decoded.error, None);
        turns.push((offsets(&decoded.records), decoded.next_offset));
    }
    assert_eq!(
        turns,
        [(vec![3, 4, 5, 6], 7), (vec![7, 8], 9), (vec![9, 10], 11)]
    );
}

#[test]
fn plain_records_borrow_and_keep_only_what_they_are() {
    let set = Bytes::from(messages(0, &[1, 2, 3]));
    let decoded = decode_checked(&set, &from(2));
    let memory = decoded.records.memory();
    assert!(
        memory >= set.len() / 3 * 2 && memory < set.len() + 1000,
        "{memory}"
    );
    let range = set.as_ptr_range();
    for record in &decoded.records {
        assert!(
            range.contains(&record.value.unwrap().as_ptr()),
            "the value lies in the set"
        );
    }
}
