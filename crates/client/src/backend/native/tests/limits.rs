//! How much is asked for, and messages that are larger than usual.

use super::*;

/// A queue of 64 KiB for two partitions, 32 KiB each.
fn small() -> FetchConfig {
    FetchConfig {
        max_queued_bytes: 64 * KIB,
        fetch_message_max_bytes_cap: 1 << 20,
        ..FetchConfig::default()
    }
}

#[test]
fn asks_for_half_of_what_a_partition_may_hold() {
    let mut fetching = Fetching::of(2, small());
    let planned = fetching.planned();
    assert_eq!(planned.0[0].request.max_bytes, 32 << 10);
    assert!(asked(&planned).iter().all(|asked| asked.2 == 16 * KIB));
    // A broker is asked seldom rather than for next to nothing.
    let mut fetching = Fetching::of(12, small());
    let planned = fetching.planned();
    assert!(asked(&planned).iter().all(|asked| asked.2 == 4 * KIB));
}

#[test]
fn a_full_partition_waits_and_holds_nobody_up() {
    let mut fetching = Fetching::of(2, small());
    fetching.round(vec![records(0, message(0, 12 * KIB)), empty(1)]);
    fetching.round(vec![records(0, message(1, 12 * KIB)), empty(1)]);
    // 24 KiB are held and 32 KiB may be: another 16 KiB do not fit in.
    let planned = fetching.planned();
    assert_eq!(asked(&planned), [(1, 0, 16 * KIB)]);
    fetching.answer(planned, vec![records(1, message(0, 12 * KIB))]);
    assert_eq!(asked(&fetching.planned()), [(1, 1, 16 * KIB)]);
    fetching.assert_idle();

    fetching.chunk();
    assert_eq!(asked(&fetching.planned()), [(0, 2, 16 * KIB)]);
}

#[test]
fn whatever_comes_the_queue_never_holds_more_than_it_may() {
    let mut fetching = Fetching::of(4, small());
    let mut next = [0; 4];
    // Nobody takes anything out, and the broker fills each answer up.
    while let Some(planned) = fetching.all(0) {
        let parts = asked(&planned)
            .into_iter()
            .map(|(partition, offset, size)| {
                let at = usize::try_from(partition).unwrap();
                assert_eq!(offset, next[at]);
                next[at] += 1;
                records(partition, message(offset, size - 100))
            });
        let parts = parts.collect();
        fetching.answer(planned, parts);
    }
    assert!(next.iter().all(|next| *next >= 1), "{next:?}");
    assert!(fetching.prefetch.bytes() <= 64 * KIB);
}

#[test]
fn partitions_that_are_added_to_a_full_queue_hold_little_more() {
    let mut fetching = Fetching::of(1, small());
    let mut next = [0; 8];
    for added in 1..=8 {
        while let Some(planned) = fetching.all(0) {
            let parts = asked(&planned)
                .into_iter()
                .map(|(partition, offset, size)| {
                    next[usize::try_from(partition).unwrap()] += 1;
                    records(partition, message(offset, size - 100))
                });
            let parts = parts.collect();
            fetching.answer(planned, parts);
        }
        if added < 8 {
            fetching.lead(&tp(added), Some(0));
            fetching.plan.start(&tp(added), 0);
        }
    }
    assert!(next.iter().all(|next| *next >= 1), "{next:?}");
    // The first had filled the queue before the others came, and each of those has the least that is worth a request.
    assert!(fetching.prefetch.bytes() <= (64 + 8 * 4) * KIB);
}

#[test]
fn grows_for_a_message_that_does_not_fit_in_and_shrinks_again() {
    let mut fetching = Fetching::of(2, small());
    let large = message(0, 200 * KIB);
    fetching.round(vec![records(0, cut(&large, 16 * KIB)), empty(1)]);
    let planned = fetching.planned();
    assert!(asked(&planned).contains(&(0, 0, large.len())));
    assert!(
        asked(&planned).contains(&(1, 0, 16 * KIB)),
        "the other goes on"
    );
    fetching.answer(planned, vec![records(0, large.clone()), empty(1)]);
    assert_eq!(
        asked(&fetching.planned()),
        [(1, 0, 16 * KIB)],
        "it is full until the message is taken out"
    );
    assert_eq!(fetching.chunk().size(), large.len());
    assert_eq!(asked(&fetching.planned()), [(0, 1, 16 * KIB)]);
}

#[test]
fn doubles_where_not_even_the_length_arrived() {
    let config = FetchConfig {
        fetch_message_max_bytes: 512,
        fetch_message_max_bytes_cap: 3000,
        ..FetchConfig::default()
    };
    let mut fetching = Fetching::of(1, config);
    let large = message(0, 2900);
    for size in [512, 1024, 2048] {
        let planned = fetching.planned();
        assert_eq!(asked(&planned), [(0, 0, size)]);
        fetching.answer(planned, vec![records(0, cut(&large, 8))]);
    }
    let error = fetching.error();
    assert!(
        matches!(
            &error,
            FetchError::MessageTooLarge {
                size: 4096,
                limit: 3000,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_message_beyond_the_cap_is_an_error_that_names_it() {
    let mut fetching = Fetching::of(2, small());
    fetching.round(vec![records(0, log(0..3)), empty(1)]);
    let large = message(3, 2 << 20);
    fetching.round(vec![records(0, cut(&large, 16 * KIB)), empty(1)]);
    assert_eq!(
        fetching.chunk().next_offset,
        3,
        "what comes before is first"
    );
    let error = fetching.error();
    assert_eq!(
        error,
        FetchError::MessageTooLarge {
            tp: tp(0),
            offset: 3,
            size: large.len(),
            limit: 1 << 20
        }
    );
    let text = error.to_string();
    let named = ["t-0", "3", &large.len().to_string(), "1048576"];
    assert!(named.iter().all(|part| text.contains(part)), "{text}");
    assert_eq!(
        asked(&fetching.planned()),
        [(1, 0, 16 * KIB)],
        "it stands still"
    );

    fetching.plan.start(&tp(0), 4);
    assert_eq!(asked(&fetching.planned()), [(0, 4, 16 * KIB)]);
}

#[test]
fn one_partition_at_a_time_exceeds_its_share() {
    let mut fetching = Fetching::of(3, small());
    let large = message(0, 100 * KIB);
    let cut_off = cut(&large, KIB);
    fetching.round((0..3).map(|p| records(p, cut_off.clone())).collect());
    let mut served = Vec::new();
    for _ in 0..3 {
        let planned = fetching.planned();
        let [(partition, _, size)] = asked(&planned)[..] else {
            panic!("{:?}", asked(&planned));
        };
        assert_eq!(size, large.len());
        fetching.assert_idle();
        fetching.answer(planned, vec![records(partition, large.clone())]);
        fetching.assert_idle();
        fetching.chunk();
        served.push(partition);
        fetching.plan.stop(&tp(partition));
        // The shares of the others grow, and are too small all the same.
        assert!(fetching.prefetch.fill(&tp(partition)).share < large.len());
    }
    served.sort_unstable();
    assert_eq!(served, [0, 1, 2]);
}

#[test]
fn partitions_of_large_messages_take_turns() {
    let mut fetching = Fetching::of(4, small());
    let mut served = [0; 4];
    for _ in 0..60 {
        let Some(planned) = fetching.all(0) else {
            panic!("someone can always be fetched");
        };
        let parts = asked(&planned)
            .into_iter()
            .map(|(partition, offset, size)| {
                let large = message(offset, 100 * KIB);
                if size >= large.len() {
                    served[usize::try_from(partition).unwrap()] += 1;
                    records(partition, large)
                } else {
                    records(partition, cut(&large, size))
                }
            });
        let parts = parts.collect();
        fetching.answer(planned, parts);
        while fetching.pop().is_some() {}
    }
    let (least, most) = (served.iter().min(), served.iter().max());
    assert!(
        most.unwrap() - least.unwrap() <= 1 && *least.unwrap() > 5,
        "{served:?}"
    );
}

#[test]
fn a_partition_that_is_stopped_lets_the_next_exceed_its_share() {
    let mut fetching = Fetching::of(2, small());
    let large = message(0, 100 * KIB);
    let cut_off = cut(&large, KIB);
    fetching.round((0..2).map(|p| records(p, cut_off.clone())).collect());
    let planned = fetching.planned();
    let (first, ..) = asked(&planned)[0];
    fetching.plan.stop(&tp(first));
    let (second, _, size) = asked(&fetching.planned())[0];
    assert_eq!((second, size), (1 - first, large.len()));
}

#[test]
fn a_broker_that_keeps_cutting_short_is_left_alone_for_longer_and_longer() {
    let config = FetchConfig {
        fetch_message_max_bytes: 512,
        fetch_message_max_bytes_cap: 2048,
        ..FetchConfig::default()
    };
    let mut fetching = Fetching::of(1, config);
    let message = message(0, 700);
    let mut sizes = Vec::new();
    for _ in 0..3 {
        let planned = fetching.planned();
        sizes.push(asked(&planned)[0].2);
        fetching.answer(planned, vec![records(0, cut(&message, 100))]);
    }
    assert_eq!(sizes, [512, 1024, 2048]);
    let mut pauses = Vec::new();
    for _ in 0..4 {
        let pause = fetching.pause();
        pauses.push(pause);
        fetching.now += pause;
        fetching.round(vec![records(0, cut(&message, 100))]);
    }
    assert!(pauses[3] > 2 * pauses[0], "{pauses:?}");
    assert!(fetching.pop().is_none());
}
