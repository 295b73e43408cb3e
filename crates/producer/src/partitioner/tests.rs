use std::collections::BTreeMap;

use super::*;

/// What Kafka's Java producer computes: the hash, and the partition of 8 and of 7.
const JAVA: [(&[u8], i32, i32, i32); 12] = [
    (b"", 275_646_681, 1, 2),
    (b"a", -1_563_381_124, 4, 5),
    (b"ab", 316_155_434, 2, 0),
    (b"abc", 479_470_107, 3, 4),
    (b"abcd", -1_323_649_548, 4, 5),
    (b"abcde", 461_995_741, 5, 4),
    (b"21", -973_932_308, 4, 3),
    (b"foobar", -790_332_482, 6, 0),
    (b"customer-7", -1_283_830_537, 7, 6),
    (b"a-little-bit-long-string", -985_981_536, 0, 1),
    ("über".as_bytes(), -1_718_265_917, 3, 5),
    (&[255, 254, 128, 127, 0, 253, 252], -675_062_993, 7, 6),
];

fn numbers(count: i32) -> Vec<i32> {
    (0..count).collect()
}

#[test]
fn keys_go_where_java_puts_them() {
    let partitioner = DefaultPartitioner::default();
    for (key, hash, of_8, of_7) in JAVA {
        assert_eq!(murmur2(key).cast_signed(), hash, "{}", key.escape_ascii());
        for (count, expected) in [(8, of_8), (7, of_7)] {
            let all = numbers(count);
            // A key does not move when brokers fail.
            for available in [&all[..], &all[..1], &[]] {
                let partitions = Partitions::new(&all, available);
                let partition = partitioner.partition("t", Some(key), partitions);
                assert_eq!(partition, expected, "{} of {count}", key.escape_ascii());
            }
        }
    }
}

/// How often each partition is chosen for `records` records without a key.
fn chosen(
    partitioner: &dyn Partitioner,
    partitions: Partitions<'_>,
    records: usize,
) -> BTreeMap<i32, usize> {
    let mut counts = BTreeMap::new();
    for _ in 0..records {
        *counts
            .entry(partitioner.partition("t", None, partitions))
            .or_default() += 1;
    }
    counts
}

#[test]
fn records_without_a_key_take_turns() {
    let all = numbers(3);
    let partitions = Partitions::new(&all, &all);
    for partitioner in [
        &DefaultPartitioner::default() as &dyn Partitioner,
        &RoundRobinPartitioner::default(),
    ] {
        assert_eq!(
            chosen(partitioner, partitions, 300),
            [(0, 100), (1, 100), (2, 100)].into()
        );
        let three: Vec<i32> = (0..6)
            .map(|_| partitioner.partition("t", None, partitions))
            .collect();
        assert_eq!(three[..3], three[3..], "in the same order each time");
    }
}

#[test]
fn topics_have_turns_of_their_own() {
    let partitioner = RoundRobinPartitioner::default();
    let all = numbers(2);
    let partitions = Partitions::new(&all, &all);
    let mut counts: BTreeMap<(&str, i32), usize> = BTreeMap::new();
    // With one turn for both, each topic would always get the same partition.
    for _ in 0..10 {
        for topic in ["a", "b"] {
            let partition = partitioner.partition(topic, Some(b"key"), partitions);
            *counts.entry((topic, partition)).or_default() += 1;
        }
    }
    assert!(counts.values().all(|count| *count == 5), "{counts:?}");
}

#[test]
fn partitions_without_a_leader_are_left_out_while_others_have_one() {
    let (all, available) = (numbers(4), [1, 3]);
    for partitioner in [
        &DefaultPartitioner::default() as &dyn Partitioner,
        &RoundRobinPartitioner::default(),
        &RandomPartitioner,
    ] {
        let some = chosen(partitioner, Partitions::new(&all, &available), 100);
        assert!(some.keys().eq(&available), "{partitioner:?}: {some:?}");
        let none = chosen(partitioner, Partitions::new(&all, &[]), 1000);
        assert!(none.keys().eq(&all), "{partitioner:?}: {none:?}");
    }
}
