use bytes::Bytes;
use futures_util::FutureExt;

use super::*;

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// The `n`th chunk of a partition, of this many bytes.
fn chunk(partition: i32, n: i64, size: usize) -> Result<Chunk, FetchError> {
    Ok(Chunk {
        tp: tp(partition),
        from_offset: n,
        next_offset: n + 1,
        high_watermark: 100,
        entries: Bytes::from(vec![0; size]),
        aborted: Vec::new(),
        compressed: false,
        checked: false,
    })
}

fn out_of_range(partition: i32, offset: i64) -> Result<Chunk, FetchError> {
    Err(FetchError::OffsetOutOfRange {
        tp: tp(partition),
        offset,
    })
}

/// What comes next: the partition and the offset.
fn pop(prefetch: &Prefetch) -> Option<(i32, i64)> {
    let (tp, item) = prefetch.pop(|_| true)?;
    let offset = match item {
        Ok(chunk) => chunk.from_offset,
        Err(error) => -error.offset(),
    };
    Some((tp.partition, offset))
}

#[test]
fn none_of_eight_full_partitions_gets_a_second_turn_before_all_had_one() {
    let prefetch = Prefetch::new(1 << 20);
    for partition in 0..8 {
        let generation = prefetch.open(&tp(partition));
        for n in 0..5 {
            assert!(prefetch.push(&tp(partition), generation, chunk(partition, n, 10)));
        }
    }
    for round in 0..5 {
        let mut turns: Vec<_> = (0..8).filter_map(|_| pop(&prefetch)).collect();
        turns.sort_unstable();
        let all: Vec<_> = (0..8).map(|partition| (partition, round)).collect();
        assert_eq!(turns, all);
    }
    assert_eq!(pop(&prefetch), None);
}

#[test]
fn a_partition_that_is_refilled_at_once_gets_no_more_than_its_turn() {
    let prefetch = Prefetch::new(1 << 20);
    let generations: Vec<_> = (0..3).map(|p| prefetch.open(&tp(p))).collect();
    for (partition, generation) in (0..).zip(&generations) {
        prefetch.push(&tp(partition), *generation, chunk(partition, 0, 10));
    }
    let mut turns = Vec::new();
    for n in 1..10 {
        let (partition, _) = pop(&prefetch).unwrap();
        turns.push(partition);
        let generation = generations[usize::try_from(partition).unwrap()];
        prefetch.push(&tp(partition), generation, chunk(partition, n, 10));
    }
    assert_eq!(turns, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
}

#[test]
fn who_is_not_wanted_keeps_his_turn() {
    let prefetch = Prefetch::new(1 << 20);
    for partition in 0..3 {
        let generation = prefetch.open(&tp(partition));
        prefetch.push(&tp(partition), generation, chunk(partition, 0, 10));
        prefetch.push(&tp(partition), generation, chunk(partition, 1, 10));
    }
    let (only, _) = prefetch.pop(|tp| tp.partition == 2).unwrap();
    assert_eq!(only, tp(2));
    assert!(prefetch.pop(|tp| tp.partition == 9).is_none());
    let turns: Vec<_> = std::iter::from_fn(|| pop(&prefetch)).collect();
    assert_eq!(turns, [(0, 0), (1, 0), (2, 1), (0, 1), (1, 1)]);
}

#[test]
fn keeps_the_order_of_a_partition_with_its_error_behind() {
    let prefetch = Prefetch::new(1 << 20);
    let generation = prefetch.open(&tp(0));
    for n in 1..4 {
        prefetch.push(&tp(0), generation, chunk(0, n, 10));
    }
    prefetch.push(&tp(0), generation, out_of_range(0, 4));
    let popped: Vec<_> = std::iter::from_fn(|| pop(&prefetch)).collect();
    assert_eq!(popped, [(0, 1), (0, 2), (0, 3), (0, -4)]);
}

#[test]
fn drops_what_an_earlier_start_fetched() {
    let prefetch = Prefetch::new(1 << 20);
    let first = prefetch.open(&tp(0));
    assert!(prefetch.push(&tp(0), first, chunk(0, 1, 10)));
    let other = prefetch.open(&tp(1));
    assert!(prefetch.push(&tp(1), other, chunk(1, 1, 10)));
    let second = prefetch.open(&tp(0));
    assert!(second > first);
    assert_eq!(pop(&prefetch), Some((1, 1)), "the turn that it had is gone");
    assert_eq!((pop(&prefetch), prefetch.bytes()), (None, 0));
    assert!(!prefetch.push(&tp(0), first, chunk(0, 2, 10)));
    assert!(!prefetch.push(&tp(0), first, out_of_range(0, 2)));
    assert!(prefetch.push(&tp(0), second, chunk(0, 50, 10)));
    assert_eq!(pop(&prefetch), Some((0, 50)));
    assert_eq!(pop(&prefetch), None, "and has no turn left over");

    prefetch.push(&tp(0), second, chunk(0, 51, 10));
    prefetch.close(&tp(0));
    assert_eq!((pop(&prefetch), prefetch.bytes()), (None, 0));
    assert!(!prefetch.push(&tp(0), second, chunk(0, 52, 10)));
    // Numbers are never used again.
    assert!(prefetch.open(&tp(0)) > second);
    assert!(!prefetch.push(&tp(0), second, chunk(0, 53, 10)));
}

#[test]
fn shares_the_budget_equally_among_all_that_are_open() {
    let prefetch = Prefetch::new(10_000);
    assert_eq!(
        prefetch.fill(&tp(0)),
        Fill {
            held: 0,
            share: 10_000
        }
    );
    let generation = prefetch.open(&tp(0));
    prefetch.push(&tp(0), generation, chunk(0, 0, 3000));
    prefetch.push(&tp(0), generation, chunk(0, 1, 600));
    prefetch.push(&tp(0), generation, out_of_range(0, 2));
    for partition in 1..4 {
        prefetch.open(&tp(partition));
    }
    assert_eq!(
        prefetch.fill(&tp(0)),
        Fill {
            held: 3600,
            share: 2500
        }
    );
    assert_eq!(prefetch.fill(&tp(3)).held, 0);
    assert_eq!(prefetch.bytes(), 3600);
    assert_eq!(pop(&prefetch), Some((0, 0)));
    assert_eq!((prefetch.fill(&tp(0)).held, prefetch.bytes()), (600, 600));
    prefetch.close(&tp(3));
    assert_eq!(prefetch.fill(&tp(0)).share, 3333);
}

#[test]
fn a_small_chunk_counts_for_what_it_takes_to_keep_it() {
    let prefetch = Prefetch::new(1 << 20);
    let generation = prefetch.open(&tp(0));
    let mut chunks = 0;
    while prefetch.bytes() < 1 << 20 {
        prefetch.push(&tp(0), generation, chunk(0, chunks, 1));
        chunks += 1;
    }
    let itself = i64::try_from(size_of::<Result<Chunk, FetchError>>()).unwrap();
    assert!(
        chunks * itself < 1 << 20,
        "{chunks} chunks of {itself} bytes"
    );
    while pop(&prefetch).is_some() {}
    assert_eq!(prefetch.bytes(), 0);
}

#[test]
fn wakes_who_waits_for_messages_and_who_waits_for_room() {
    let prefetch = Prefetch::new(1000);
    let generation = prefetch.open(&tp(0));
    let of_partition = prefetch.ready_for(&tp(0)).unwrap();
    assert!(prefetch.ready_for(&tp(1)).is_none());
    let mut ready = Box::pin(prefetch.ready().notified());
    let mut ready_there = Box::pin(of_partition.notified());
    let mut demand = Box::pin(prefetch.demand().notified());
    ready.as_mut().enable();
    ready_there.as_mut().enable();
    demand.as_mut().enable();

    prefetch.push(&tp(0), generation, chunk(0, 0, 10));
    assert!(ready.now_or_never().is_some());
    assert!(ready_there.now_or_never().is_some());
    assert!(demand.as_mut().now_or_never().is_none());
    pop(&prefetch);
    assert!(demand.now_or_never().is_some(), "there is room again");

    for change in [
        (|prefetch| {
            prefetch.open(&tp(0));
        }) as fn(&Prefetch),
        |prefetch| prefetch.close(&tp(0)),
    ] {
        let mut demand = Box::pin(prefetch.demand().notified());
        demand.as_mut().enable();
        change(&prefetch);
        assert!(demand.now_or_never().is_some());
    }
}
