//! Which partitions share a request, and which are asked for alone.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

/// More of the partition is there, as its high watermark says.
fn more(partition: i32, offset: i64) -> FetchPartitionResponse {
    records(partition, message(offset, 100))
}

/// Its end was read.
fn last(partition: i32, offset: i64) -> FetchPartitionResponse {
    FetchPartitionResponse {
        high_watermark: offset + 1,
        ..more(partition, offset)
    }
}

fn partitions(planned: &Planned) -> Vec<i32> {
    let topics = planned.request.topics.iter();
    let mut partitions: Vec<i32> = topics
        .flat_map(|topic| &topic.partitions)
        .map(|part| part.partition)
        .collect();
    partitions.sort_unstable();
    partitions
}

impl Fetching {
    fn lane(&mut self, busy: bool) -> Planned {
        match self.next_of_lane(0, busy) {
            Next::Fetch(planned) => planned,
            Next::Wait(until) => panic!("nothing to fetch until {until:?}"),
        }
    }

    fn reply(&mut self, planned: Planned, parts: Vec<FetchPartitionResponse>) {
        self.answer(Round(vec![planned]), parts);
    }

    /// A plan in which these partitions of `all` are known to have more, and of the others the end was read.
    fn with_more(all: i32, behind: &[i32], config: FetchConfig) -> Self {
        let mut fetching = Self::of(all, config);
        let parts = (0..all).map(|partition| match behind.contains(&partition) {
            true => more(partition, 0),
            false => last(partition, 0),
        });
        fetching.round(parts.collect());
        while fetching.pop().is_some() {}
        fetching
    }
}

#[test]
fn what_is_known_to_be_there_is_asked_for_alone_and_in_turns() {
    let mut fetching = Fetching::with_more(3, &[0, 1, 2], FetchConfig::default());
    let mut order = Vec::new();
    for offset in 1..5 {
        let requests: Vec<Planned> = (0..3).map(|_| fetching.lane(true)).collect();
        for planned in requests {
            assert!(!planned.watches);
            let wait = (planned.request.max_wait_ms, planned.request.min_bytes);
            assert_eq!(wait, (0, 1), "nobody waits behind it");
            let [partition] = partitions(&planned)[..] else {
                panic!("{planned:?}");
            };
            order.push(partition);
            fetching.reply(planned, vec![more(partition, offset)]);
        }
    }
    assert_eq!(order, [0, 1, 2].repeat(4));
}

#[test]
fn one_lane_watches_those_whose_end_was_read_and_the_others_fetch() {
    let mut fetching = Fetching::with_more(5, &[1, 3], FetchConfig::default());
    let watching = fetching.lane(false);
    assert!(watching.watches);
    assert_eq!(partitions(&watching), [0, 2, 4]);
    assert_eq!(watching.request.max_wait_ms, 100);
    assert_eq!(partitions(&fetching.lane(false)), [1]);
    assert_eq!(partitions(&fetching.lane(true)), [3]);
    assert!(matches!(fetching.next_of_lane(0, true), Next::Wait(None)));

    // What arrives is known to go on.
    fetching.reply(watching, vec![more(2, 1), empty(0), empty(4)]);
    assert_eq!(partitions(&fetching.lane(true)), [2]);
    let watching = fetching.lane(false);
    assert_eq!(
        (watching.watches, partitions(&watching)),
        (true, vec![0, 4])
    );
}

#[test]
fn a_busy_lane_does_not_watch() {
    let mut fetching = Fetching::with_more(2, &[], FetchConfig::default());
    assert!(matches!(fetching.next_of_lane(0, true), Next::Wait(None)));
    assert!(fetching.lane(false).watches);
}

#[test]
fn an_end_that_nobody_watches_for_a_while_is_looked_at_in_between() {
    let mut fetching = Fetching::with_more(3, &[0, 1], FetchConfig::default());
    let watching = fetching.lane(false);
    assert_eq!(partitions(&watching), [2]);
    let planned = fetching.lane(true);
    fetching.reply(planned, vec![last(0, 1)]);
    let planned = fetching.lane(true);
    assert_eq!(partitions(&planned), [1], "it has just been looked at");
    fetching.reply(planned, vec![more(1, 1)]);
    fetching.now += Duration::from_millis(10);
    let planned = fetching.lane(true);
    assert_eq!(partitions(&planned), [0, 1]);
    assert!(!planned.watches, "which must not wait for it");
    fetching.reply(planned, vec![empty(0), more(1, 2)]);
    assert_eq!(partitions(&fetching.lane(true)), [1]);
}

#[test]
fn a_single_connection_waits_for_nobody_while_there_is_more() {
    let config = FetchConfig {
        fetch_connections: 1,
        ..FetchConfig::default()
    };
    let mut fetching = Fetching::with_more(2, &[0], config);
    let planned = fetching.lane(false);
    assert_eq!((planned.watches, partitions(&planned)), (false, vec![0]));
    fetching.reply(planned, vec![last(0, 1)]);
    let planned = fetching.lane(false);
    assert_eq!((planned.watches, partitions(&planned)), (true, vec![0, 1]));
}

#[test]
fn many_partitions_are_asked_for_as_much_as_few() {
    let all: Vec<i32> = (0..512).collect();
    let mut fetching = Fetching::with_more(512, &all, FetchConfig::default());
    let sizes = (0..512).map(|_| fetching.lane(true).request.max_bytes);
    let sizes: Vec<i32> = sizes.collect();
    let large = sizes.iter().take_while(|size| **size == 1 << 20).count();
    // Then what is everybody's is used up, and each has a part of its own all the same.
    assert!((32..40).contains(&large), "{large}");
    assert!(sizes[large..].iter().all(|size| *size == 64 << 10));
}

#[test]
fn what_is_watched_asks_for_little_of_many() {
    let mut fetching = Fetching::of(512, FetchConfig::default());
    let planned = fetching.lane(false);
    assert_eq!(
        (partitions(&planned).len(), planned.request.max_bytes),
        (512, 8 << 20)
    );
    // A message that does not fit into so little comes all the same.
    let large = message(0, 30 * KIB);
    fetching.reply(planned, vec![records(7, cut(&large, 16 * KIB))]);
    let planned = fetching.lane(true);
    assert_eq!(
        (partitions(&planned), planned.request.max_bytes),
        (vec![7], 64 << 10)
    );
}

#[test]
fn whoever_is_read_goes_on_whatever_the_others_keep_and_the_budget_is_kept() {
    for seed in 0..20 {
        let mut random = SmallRng::seed_from_u64(seed);
        let budget = random.random_range(64..2048) * KIB;
        let config = FetchConfig {
            max_queued_bytes: budget,
            fetch_message_max_bytes: random.random_range(8..256) * KIB,
            ..FetchConfig::default()
        };
        let count = random.random_range(2..16);
        let read = random.random_range(0..count);
        let mut fetching = Fetching::of(count, config);
        let mut next = vec![0; usize::try_from(count).unwrap()];
        let mut taken = 0;
        for _ in 0..300 {
            for planned in fetching.all(0).map_or(Vec::new(), |round| round.0) {
                let round = Round(vec![planned]);
                let parts = asked(&round).into_iter().map(|(partition, offset, size)| {
                    let at = usize::try_from(partition).unwrap();
                    assert_eq!(offset, next[at]);
                    next[at] += 1;
                    let fill = if random.random_bool(0.5) {
                        size
                    } else {
                        size / 3
                    };
                    records(partition, message(offset, fill - 100))
                });
                let parts = parts.collect();
                fetching.answer(round, parts);
            }
            assert!(fetching.prefetch.bytes() <= budget, "seed {seed}");
            // Nobody takes anything of the others.
            let item = fetching.prefetch.pop(|at| at.partition == read);
            taken += i32::from(item.is_some());
        }
        assert!(taken >= 290, "seed {seed}: {taken} pieces of {read}");
    }
}

#[test]
fn a_small_part_of_an_answer_does_not_keep_the_rest_in_memory() {
    let mut fetching = Fetching::of(2, FetchConfig::default());
    let frame = [message(0, 100 * KIB), message(0, 100)].concat();
    let frame = Bytes::from(frame);
    let at = message(0, 100 * KIB).len();
    let (large, small) = (frame.slice(..at), frame.slice(at..));
    fetching.round(vec![records(0, large), records(1, small)]);
    let within = |chunk: &Chunk| frame.as_ptr_range().contains(&chunk.entries.as_ptr());
    let kept = (0..2)
        .map(|_| fetching.chunk())
        .map(|chunk| (chunk.tp.partition, within(&chunk)));
    let mut kept: Vec<(i32, bool)> = kept.collect();
    kept.sort_unstable();
    assert_eq!(kept, [(0, true), (1, false)]);
}
