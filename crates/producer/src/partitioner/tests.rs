use std::collections::BTreeMap;

use super::*;

/// Keys with what PyKafka, and Kafka's Java producers of 0.8.2.2 and 0.9.0.1, make of them; see `tests/python/partitions.py`.
const GOLDEN: &str = include_str!("golden.txt");
/// Among how many partitions they chose.
const COUNTS: [i32; 5] = [1, 2, 7, 8, 64];

struct Golden {
    key: Vec<u8>,
    pykafka: Vec<i32>,
    /// Of each version: the hash, and the partitions.
    java: [(i32, Vec<i32>); 2],
}

impl Golden {
    fn parse(line: &str) -> Self {
        let (key, numbers) = line.split_once(' ').unwrap();
        let mut numbers = numbers.split(' ').map(|number| number.parse().unwrap());
        let mut take = |count| numbers.by_ref().take(count).collect::<Vec<i32>>();
        let golden = Self {
            key: unhex(key),
            pykafka: take(COUNTS.len()),
            java: [(); 2].map(|()| (take(1)[0], take(COUNTS.len()))),
        };
        assert_eq!(numbers.next(), None, "{line}");
        golden
    }

    /// Where a partitioner puts the key.
    fn chosen_by(&self, partitioner: &dyn Partitioner) -> Vec<i32> {
        let choose = |count| {
            let all = numbers(count);
            partitioner.partition("t", Some(&self.key), Partitions::new(&all, &all))
        };
        COUNTS.map(choose).to_vec()
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = digits.trim_matches('"').as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn numbers(count: i32) -> Vec<i32> {
    (0..count).collect()
}

#[test]
fn keys_go_where_java_and_pykafka_put_them() {
    let mut keys = 0;
    for golden in GOLDEN.lines().map(Golden::parse) {
        let key = golden.key.escape_ascii().to_string();
        let by_sha1 = golden.chosen_by(&HashingPartitioner);
        assert_eq!(by_sha1, golden.pykafka, "PyKafka: {key}");
        let hash = murmur2(&golden.key).cast_signed();
        let by_murmur2 = golden.chosen_by(&DefaultPartitioner::default());
        for java in golden.java {
            assert_eq!((hash, by_murmur2.clone()), java, "Java: {key}");
        }
        keys += 1;
    }
    assert!(keys > 250, "{keys} keys");
}

/// The numbers of a topic's partitions need not begin at 0 or follow one another, for instance while some are not known.
#[test]
fn a_key_goes_to_a_place_among_the_partitions() {
    let some = [3, 5, 9];
    let partitions = Partitions::new(&some, &some);
    for golden in GOLDEN.lines().map(Golden::parse) {
        let place = |partitioner: &dyn Partitioner, partitions| {
            partitioner.partition("t", Some(&golden.key), partitions)
        };
        for partitioner in [
            &DefaultPartitioner::default() as &dyn Partitioner,
            &HashingPartitioner,
        ] {
            let of_three = place(partitioner, Partitions::new(&[0, 1, 2], &[]));
            let expected = some[usize::try_from(of_three).unwrap()];
            assert_eq!(place(partitioner, partitions), expected);
        }
    }
}

#[test]
fn a_key_stays_where_it_is_when_brokers_fail() {
    let (all, some) = (numbers(7), [2, 5]);
    for golden in GOLDEN.lines().map(Golden::parse) {
        for partitioner in [
            &DefaultPartitioner::default() as &dyn Partitioner,
            &HashingPartitioner,
        ] {
            let [before, after, without] = [&all[..], &some, &[]].map(|available| {
                partitioner.partition("t", Some(&golden.key), Partitions::new(&all, available))
            });
            assert_eq!((before, before), (after, without), "{partitioner:?}");
        }
    }
}

#[test]
fn a_function_is_a_partitioner() {
    let all = numbers(4);
    let partitions = Partitions::new(&all, &all);
    let last = FnPartitioner::new(|topic, key, partitions| {
        assert_eq!((topic, key), ("t", Some(&b"key"[..])));
        partitions.all().last().copied().unwrap_or(0)
    });
    assert_eq!(last.partition("t", Some(b"key"), partitions), 3);
    assert!(!last.needs_key());
    assert!(HashingPartitioner.needs_key());
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
