//! What is asked for, from whom, and in which order.

use super::*;

fn default_of(partitions: i32) -> Fetching {
    Fetching::of(partitions, FetchConfig::default())
}

#[test]
fn asks_a_broker_for_what_it_leads_and_nobody_else_fetches() {
    let mut fetching = default_of(3);
    fetching.lead(&tp(1), Some(1));
    let first = fetching.planned();
    let mut of_broker_0 = asked(&first);
    of_broker_0.sort_unstable();
    assert_eq!(of_broker_0, [(0, 0, 1 << 20), (2, 0, 1 << 20)]);
    fetching.assert_idle();

    let Some(second) = fetching.all(1) else {
        panic!("broker 1 leads a partition");
    };
    assert_eq!(asked(&second), [(1, 0, 1 << 20)]);
    assert!(matches!(fetching.next(2), Next::Wait(None)));
    assert_eq!(fetching.plan.leaders(&fetching.metadata), [0, 1]);
}

#[test]
fn a_request_says_how_it_wants_to_be_answered() {
    let config = FetchConfig {
        fetch_wait_max: Duration::from_millis(70),
        fetch_min_bytes: 5,
        isolation_level: IsolationLevel::ReadCommitted,
        ..FetchConfig::default()
    };
    let request = Fetching::of(2, config).planned().0.remove(0).request;
    assert_eq!(
        (request.replica_id, request.max_wait_ms, request.min_bytes),
        (-1, 70, 5)
    );
    assert_eq!((request.isolation_level, request.max_bytes), (1, 2 << 20));
    assert_eq!((request.session_id, request.session_epoch), (0, -1));
}

#[test]
fn goes_on_behind_what_came() {
    let mut fetching = default_of(1);
    fetching.round(vec![records(0, log(0..5))]);
    let planned = fetching.planned();
    assert_eq!(asked(&planned), [(0, 5, 1 << 20)]);
    fetching.answer(planned, vec![empty(0)]);
    let planned = fetching.planned();
    assert_eq!(asked(&planned), [(0, 5, 1 << 20)], "nothing new yet");
    fetching.answer(planned, vec![records(0, log([7, 9]))]);
    assert_eq!(asked(&fetching.planned()), [(0, 10, 1 << 20)]);

    let chunk = fetching.chunk();
    assert_eq!((chunk.from_offset, chunk.next_offset), (0, 5));
    assert_eq!((&chunk.tp, chunk.high_watermark), (&tp(0), 1000));
    assert!(!chunk.compressed && chunk.aborted.is_empty());
    let chunk = fetching.chunk();
    assert_eq!((chunk.from_offset, chunk.next_offset), (5, 10));
    assert!(fetching.pop().is_none());
}

#[test]
fn a_message_that_is_cut_off_at_the_end_comes_with_the_next_answer() {
    let mut fetching = default_of(1);
    let log = log(0..3);
    let cut_off = cut(&log, log.len() - 1);
    fetching.round(vec![records(0, cut_off)]);
    assert_eq!(asked(&fetching.planned()), [(0, 2, 1 << 20)]);
    let chunk = fetching.chunk();
    let two = log.len() / 3 * 2;
    assert_eq!((chunk.next_offset, chunk.entries.len()), (2, two));
}

#[test]
fn every_partition_gets_to_stand_first() {
    let mut fetching = default_of(5);
    let mut first = Vec::new();
    for _ in 0..5 {
        let planned = fetching.planned();
        first.push(asked(&planned)[0].0);
        fetching.answer(planned, (0..5).map(empty).collect());
    }
    first.sort_unstable();
    assert_eq!(first, [0, 1, 2, 3, 4]);
}

#[test]
fn names_each_topic_once_however_the_turns_stand() {
    let mut fetching = default_of(3);
    let other = TopicPartition::new("u", 0);
    fetching.lead(&other, Some(0));
    fetching.plan.start(&other, 0);
    for _ in 0..4 {
        let planned = fetching.planned();
        let topics = &planned.0[0].request.topics;
        let mut names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["t", "u"]);
        assert_eq!(asked(&planned).len(), 4);
        let all = FetchResponse {
            topics: topics
                .iter()
                .map(|topic| FetchTopicResponse {
                    name: topic.name.clone(),
                    partitions: topic
                        .partitions
                        .iter()
                        .map(|part| empty(part.partition))
                        .collect(),
                })
                .collect(),
            ..FetchResponse::default()
        };
        for planned in planned.0 {
            fetching.plan.answered(planned, all.clone(), fetching.now);
        }
    }
}

#[test]
fn a_second_lane_takes_what_became_free_while_the_first_waits() {
    let mut fetching = default_of(2);
    let first = fetching.planned();
    fetching.plan.start(&tp(1), 40);
    let second = fetching.planned();
    assert_eq!(asked(&second), [(1, 40, 1 << 20)]);
    fetching.answer(second, vec![records(1, log([40]))]);
    // The first answer still counts for the partition that was left alone.
    fetching.answer(first, vec![records(0, log([0])), records(1, log([0]))]);
    assert_eq!(fetching.chunk().from_offset, 40);
    assert_eq!(fetching.chunk().tp, tp(0));
    assert!(fetching.pop().is_none());
}

#[test]
fn a_leader_that_moves_does_not_wait_for_the_former_one() {
    let mut fetching = default_of(1);
    let to_former = fetching.planned();
    fetching.lead(&tp(0), Some(1));
    let Some(to_new) = fetching.all(1) else {
        panic!("the new leader is asked at once");
    };
    assert_eq!(asked(&to_new), [(0, 0, 1 << 20)]);
    fetching.answer(to_former, vec![records(0, log(0..9))]);
    assert!(
        fetching.pop().is_none(),
        "the former leader counts no more, or messages would come twice"
    );
    fetching.answer(to_new, vec![records(0, log(0..3))]);
    assert_eq!(fetching.chunk().next_offset, 3);
}

#[test]
fn a_former_leader_that_fails_does_not_hold_the_new_one_up() {
    let mut fetching = default_of(1);
    let to_former = fetching.planned();
    fetching.lead(&tp(0), Some(1));
    fetching.fail(to_former);
    assert!(matches!(fetching.next(0), Next::Wait(None)));
    fetching.now += Duration::from_secs(1);
    assert!(matches!(fetching.next(1), Next::Fetch(_)));

    // And the same when the request to the new leader was on its way already.
    let mut fetching = default_of(1);
    let to_former = fetching.planned();
    fetching.lead(&tp(0), Some(1));
    let Some(to_new) = fetching.all(1) else {
        panic!("the new leader is asked at once");
    };
    fetching.fail(to_former);
    fetching.answer(to_new, vec![records(0, log(0..3))]);
    assert_eq!(fetching.chunk().next_offset, 3);
}

#[test]
fn what_was_fetched_before_a_stop_or_a_start_is_dropped() {
    let mut fetching = default_of(2);
    let planned = fetching.planned();
    fetching.plan.stop(&tp(0));
    fetching.plan.start(&tp(1), 500);
    fetching.answer(planned, vec![records(0, log(0..9)), records(1, log(0..9))]);
    assert!(fetching.pop().is_none());
    assert_eq!(asked(&fetching.planned()), [(1, 500, 1 << 20)]);

    let mut fetching = default_of(1);
    let planned = fetching.planned();
    fetching.plan.start(&tp(0), 500);
    fetching.answer(planned, vec![refused(0, ErrorCode::OFFSET_OUT_OF_RANGE)]);
    assert!(
        fetching.pop().is_none(),
        "an error of another position is none of this one"
    );
    assert_eq!(asked(&fetching.planned()), [(0, 500, 1 << 20)]);
}

#[test]
fn starting_anew_drops_what_was_queued() {
    let mut fetching = default_of(1);
    fetching.round(vec![records(0, log(0..3))]);
    fetching.plan.start(&tp(0), 1);
    assert!(fetching.pop().is_none());
    fetching.round(vec![records(0, log(1..3))]);
    let chunk = fetching.chunk();
    assert_eq!((chunk.from_offset, chunk.next_offset), (1, 3));
}

#[test]
fn clearing_ends_everything() {
    let mut fetching = default_of(2);
    fetching.round(vec![records(0, log(0..3)), empty(1)]);
    let planned = fetching.planned();
    fetching.plan.clear();
    fetching.answer(planned, vec![records(0, log(3..6)), records(1, log(0..3))]);
    assert!(fetching.pop().is_none());
    fetching.assert_idle();
}

#[test]
fn knows_which_partitions_nobody_leads() {
    let mut fetching = default_of(2);
    assert!(!fetching.plan.misses_a_leader(&fetching.metadata));
    fetching.lead(&tp(1), None);
    assert!(fetching.plan.misses_a_leader(&fetching.metadata));
    fetching.plan.stop(&tp(1));
    assert!(!fetching.plan.misses_a_leader(&fetching.metadata));
    fetching.metadata.topics.clear();
    assert!(fetching.plan.misses_a_leader(&fetching.metadata));
    assert!(fetching.plan.leaders(&fetching.metadata).is_empty());
}

#[test]
fn tells_of_aborted_transactions_only_who_wants_to_know() {
    for (isolation_level, expected) in [
        (IsolationLevel::ReadCommitted, vec![(9, 4)]),
        (IsolationLevel::ReadUncommitted, vec![]),
    ] {
        let config = FetchConfig {
            isolation_level,
            ..FetchConfig::default()
        };
        let mut fetching = Fetching::of(1, config);
        let aborted = AbortedTransaction {
            producer_id: 9,
            first_offset: 4,
        };
        let part = FetchPartitionResponse {
            aborted: vec![aborted],
            ..records(0, log(0..9))
        };
        fetching.round(vec![part]);
        assert_eq!(fetching.chunk().aborted, expected);
    }
}
