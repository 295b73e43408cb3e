//! Answers that are errors, incomplete, or not true.

use super::*;

fn default_of(partitions: i32) -> Fetching {
    Fetching::of(partitions, FetchConfig::default())
}

#[test]
fn a_position_out_of_range_stands_still_until_it_is_started_again() {
    let mut fetching = default_of(2);
    fetching.plan.start(&tp(0), 50);
    fetching.round(vec![records(0, log(50..53)), empty(1)]);
    let stale = fetching.round(vec![refused(0, ErrorCode::OFFSET_OUT_OF_RANGE), empty(1)]);
    assert!(!stale, "the leader is the right one");
    assert_eq!(
        fetching.chunk().next_offset,
        53,
        "what comes before is first"
    );
    assert_eq!(
        fetching.error(),
        FetchError::OffsetOutOfRange {
            tp: tp(0),
            offset: 53
        }
    );
    fetching.now += Duration::from_secs(3600);
    assert_eq!(asked(&fetching.planned()), [(1, 0, 1 << 20)]);
    fetching.plan.start(&tp(0), 80);
    assert_eq!(asked(&fetching.planned()), [(0, 80, 1 << 20)]);
}

#[test]
fn what_may_pass_is_asked_again_after_growing_pauses_and_for_ever() {
    for code in [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::LEADER_NOT_AVAILABLE,
        ErrorCode::REPLICA_NOT_AVAILABLE,
        ErrorCode::UNKNOWN_SERVER_ERROR,
    ] {
        let mut fetching = default_of(1);
        let mut pauses = Vec::new();
        for _ in 0..50 {
            let stale = fetching.round(vec![refused(0, code)]);
            assert!(stale, "{code} asks for the leader anew");
            let pause = fetching.pause();
            fetching.now += pause;
            pauses.push(pause);
        }
        assert!(fetching.pop().is_none());
        assert!(pauses[0] <= Duration::from_millis(100), "{pauses:?}");
        let grown = Duration::from_millis(500)..=Duration::from_secs(1);
        assert!(pauses[4..].iter().all(|pause| grown.contains(pause)));

        fetching.round(vec![records(0, log(0..1))]);
        fetching.round(vec![refused(0, code)]);
        assert!(fetching.pause() <= Duration::from_millis(100), "forgotten");
    }
}

#[test]
fn one_partition_in_trouble_does_not_keep_the_others_waiting() {
    let mut fetching = default_of(2);
    let code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    fetching.round(vec![refused(0, code), records(1, log(0..3))]);
    assert_eq!(asked(&fetching.planned()), [(1, 3, 1 << 20)]);
    assert!(fetching.pause() <= Duration::from_millis(100));
}

#[test]
fn what_will_not_pass_is_an_error() {
    let mut fetching = default_of(1);
    let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    assert!(!fetching.round(vec![refused(0, code)]));
    assert_eq!(
        fetching.error(),
        FetchError::Refused {
            tp: tp(0),
            offset: 0,
            code
        }
    );
    fetching.assert_idle();
}

#[test]
fn what_an_answer_leaves_out_is_asked_for_again_after_a_pause() {
    let mut fetching = default_of(3);
    fetching.round(vec![records(1, log(0..3))]);
    assert_eq!(asked(&fetching.planned()), [(1, 3, 1 << 20)]);
    // Each has a pause of its own, of at most this.
    assert!(fetching.pause() <= Duration::from_millis(100));
    fetching.now += Duration::from_millis(100);
    let mut again = asked(&fetching.planned());
    again.sort_unstable();
    assert_eq!(again, [(0, 0, 1 << 20), (2, 0, 1 << 20)]);
}

#[test]
fn what_nobody_asked_for_is_ignored() {
    let mut fetching = default_of(1);
    let twice = vec![
        records(0, log(0..2)),
        records(0, log(2..4)),
        records(7, log(0..2)),
    ];
    fetching.round(twice);
    assert_eq!(fetching.chunk().next_offset, 2);
    assert!(fetching.pop().is_none());
    assert_eq!(asked(&fetching.planned()), [(0, 2, 1 << 20)]);
}

#[test]
fn a_request_that_failed_is_made_again_after_a_pause() {
    let mut fetching = default_of(2);
    fetching.round(vec![records(0, log(0..3)), empty(1)]);
    let planned = fetching.planned();
    fetching.fail(planned);
    assert!(fetching.pause() > Duration::ZERO);
    fetching.now += Duration::from_millis(100);
    let mut again = asked(&fetching.planned());
    again.sort_unstable();
    assert_eq!(again, [(0, 3, 1 << 20), (1, 0, 1 << 20)]);
}

#[test]
fn pauses_grow_only_while_requests_fail_at_once() {
    let mut fetching = default_of(1);
    let mut pauses = |lasts: Duration| {
        let pauses = (0..6).map(|_| {
            let planned = fetching.planned();
            fetching.now += lasts;
            fetching.fail(planned);
            let pause = fetching.pause();
            fetching.now += pause;
            pause
        });
        pauses.collect::<Vec<_>>()
    };
    let at_once = pauses(Duration::ZERO);
    assert!(at_once[5] >= Duration::from_millis(500), "{at_once:?}");
    // Such as a broker that closes a connection on which nothing has happened for so long.
    let late = pauses(Duration::from_secs(2));
    let longest = Duration::from_millis(100);
    assert!(late.iter().all(|pause| *pause <= longest), "{late:?}");
}

#[test]
fn a_log_that_does_not_advance_is_an_error_and_not_a_loop() {
    for offsets in [0..3, 4..5] {
        let mut fetching = default_of(1);
        fetching.plan.start(&tp(0), 5);
        fetching.round(vec![records(0, log(offsets))]);
        let error = fetching.error();
        assert!(
            matches!(&error, FetchError::Corrupt { tp: at, offset: 5, .. } if *at == tp(0)),
            "{error}"
        );
        fetching.assert_idle();
    }
}

#[test]
fn an_entry_may_begin_before_what_was_asked_for() {
    let mut fetching = default_of(1);
    fetching.plan.start(&tp(0), 5);
    fetching.round(vec![records(0, log(3..8))]);
    let chunk = fetching.chunk();
    assert_eq!((chunk.from_offset, chunk.next_offset), (5, 8));
    let decoded = chunk.decode(true);
    let offsets: Vec<i64> = decoded.records.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [5, 6, 7]);
}

#[test]
fn damage_behind_whole_messages_stops_the_partition_behind_them() {
    let mut fetching = default_of(1);
    let mut bytes = log(0..3).to_vec();
    let length = message(0, 10).len();
    // The size of the third message.
    bytes[2 * length + 8..2 * length + 12].copy_from_slice(&(-5_i32).to_be_bytes());
    let damaged = Bytes::from(bytes);
    fetching.round(vec![records(0, damaged.clone())]);
    assert_eq!(fetching.chunk().next_offset, 2);
    assert!(fetching.pop().is_none());

    fetching.round(vec![records(0, damaged.slice(2 * length..))]);
    let error = fetching.error();
    assert!(
        matches!(&error, FetchError::Corrupt { offset: 2, why, .. } if why.contains("-5")),
        "{error}"
    );
    fetching.assert_idle();
    assert_eq!((error.partition(), error.offset()), (&tp(0), 2));
}

#[test]
fn random_answers_never_break_the_plan() {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    for seed in 0..300 {
        let mut random = SmallRng::seed_from_u64(seed);
        let config = FetchConfig {
            max_queued_bytes: 64 * KIB,
            fetch_message_max_bytes_cap: 1 << 20,
            ..FetchConfig::default()
        };
        let mut fetching = Fetching::of(3, config);
        for _ in 0..30 {
            fetching.now += Duration::from_secs(2);
            let Some(planned) = fetching.all(0) else {
                for partition in 0..3 {
                    fetching
                        .plan
                        .start(&tp(partition), random.random_range(0..9));
                }
                continue;
            };
            let parts = (0..random.random_range(0..5)).map(|_| {
                let mut bytes = log(0..random.random_range(0..5)).to_vec();
                for _ in 0..random.random_range(0..3) {
                    if !bytes.is_empty() {
                        let at = random.random_range(0..bytes.len());
                        bytes[at] = random.random();
                    }
                }
                let code = *[0, 0, 0, 0, 1, -1, 6, 29]
                    .get(random.random_range(0..8))
                    .unwrap_or(&0);
                part(
                    random.random_range(-1..4),
                    ErrorCode::from(code),
                    bytes.into(),
                )
            });
            let parts = parts.collect();
            fetching.answer(planned, parts);
            while fetching.pop().is_some() {}
        }
    }
}
