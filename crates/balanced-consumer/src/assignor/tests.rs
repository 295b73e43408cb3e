//! The vectors were computed by Kafka's own `RangeAssignor` and `RoundRobinAssignor`.

use super::*;

fn partitions(topics: &[(&str, i32)]) -> TopicPartitions {
    topics
        .iter()
        .map(|(topic, count)| (Arc::from(*topic), (0..*count).collect()))
        .collect()
}

fn subscription(topics: &[(&str, u32)]) -> Subscription {
    topics
        .iter()
        .map(|(topic, streams)| (Arc::from(*topic), *streams))
        .collect()
}

/// Members that all subscribe the same.
fn members(ids: &[&str], topics: &[(&str, u32)]) -> GroupMembers {
    ids.iter().map(|id| (*id, subscription(topics))).collect()
}

/// The threads of one topic's partitions, in the order of the partitions.
fn threads(assignment: &Assignment, topic: &str) -> Vec<String> {
    assignment
        .iter()
        .filter(|(tp, _)| &*tp.topic == topic)
        .map(|(_, thread)| thread.to_string())
        .collect()
}

/// The same, told by the last letter of the member's id, without the thread.
fn letters(assignment: &Assignment, topic: &str) -> String {
    threads(assignment, topic)
        .iter()
        .filter_map(|thread| thread.trim_end_matches("-0").chars().last())
        .collect()
}

const VECTOR_A: [&str; 3] = [
    "g1_hosta-1433000000000-aaaaaaaa",
    "g1_hostb-1433000000000-bbbbbbbb",
    "g1_hostc-1433000000000-cccccccc",
];

#[test]
fn vector_a_range() {
    let assignment = Range
        .assign(
            &members(&VECTOR_A, &[("t12", 1)]),
            &partitions(&[("t12", 12)]),
        )
        .unwrap();
    assert_eq!(letters(&assignment, "t12"), "aaaabbbbcccc");
}

#[test]
fn vector_a_round_robin() {
    let assignment = RoundRobin
        .assign(
            &members(&VECTOR_A, &[("t12", 1)]),
            &partitions(&[("t12", 12)]),
        )
        .unwrap();
    assert_eq!(letters(&assignment, "t12"), "abcabcabcabc");
}

#[test]
fn vector_a_hashes() {
    use super::java_hash::java_hash;
    assert_eq!(java_hash("[t12,0]"), -1_768_743_489);
    assert_eq!(java_hash("[t12,9]"), -1_768_743_210);
    assert_eq!(java_hash("[t12,10]"), 1_003_526_348);
    assert_eq!(java_hash(""), 0);
    // Java hashes UTF-16 units: this character is two of them.
    assert_eq!(java_hash("\u{1f600}"), 0xd83d * 31 + 0xde00);
}

#[test]
fn vector_b_more_than_ten_streams_order_as_text() {
    let group: GroupMembers = [
        ("g2_a", subscription(&[("t12", 11)])),
        ("g2_b", subscription(&[("t12", 2)])),
    ]
    .into_iter()
    .collect();
    let mut expected: Vec<String> = ["0", "1", "10", "2", "3", "4", "5", "6", "7", "8", "9"]
        .map(|thread| format!("g2_a-{thread}"))
        .to_vec();
    expected.push("g2_b-0".to_owned());
    for assignor in [&Range as &dyn Assignor, &RoundRobin] {
        let assignment = assignor
            .assign(&group, &partitions(&[("t12", 12)]))
            .unwrap();
        assert_eq!(threads(&assignment, "t12"), expected, "{}", assignor.name());
    }
}

const ORDERS_AND_CLICKS: [(&str, i32); 2] = [("orders", 5), ("clicks", 4)];

#[test]
fn vector_c_range() {
    let group = members(&["g3_hosta", "g3_hostb"], &[("orders", 2), ("clicks", 2)]);
    let assignment = Range
        .assign(&group, &partitions(&ORDERS_AND_CLICKS))
        .unwrap();
    let [a0, a1, b0, b1] = ["g3_hosta-0", "g3_hosta-1", "g3_hostb-0", "g3_hostb-1"];
    assert_eq!(threads(&assignment, "orders"), [a0, a0, a1, b0, b1]);
    assert_eq!(threads(&assignment, "clicks"), [a0, a1, b0, b1]);
}

#[test]
fn vector_c_round_robin() {
    let group = members(&["g3_hosta", "g3_hostb"], &[("orders", 2), ("clicks", 2)]);
    let assignment = RoundRobin
        .assign(&group, &partitions(&ORDERS_AND_CLICKS))
        .unwrap();
    let [a0, a1, b0, b1] = ["g3_hosta-0", "g3_hosta-1", "g3_hostb-0", "g3_hostb-1"];
    assert_eq!(threads(&assignment, "orders"), [a0, a1, b0, b1, a0]);
    assert_eq!(threads(&assignment, "clicks"), [a1, b0, b1, a0]);
}

#[test]
fn vector_d_upper_case_comes_first() {
    let group = members(&["g4_A-1", "g4_b-1", "g4_B-1"], &[("orders", 1)]);
    let assignment = Range.assign(&group, &partitions(&[("orders", 5)])).unwrap();
    let [upper_a, upper_b, b] = ["g4_A-1-0", "g4_B-1-0", "g4_b-1-0"];
    assert_eq!(
        threads(&assignment, "orders"),
        [upper_a, upper_a, upper_b, upper_b, b]
    );
}

#[test]
fn vector_e_different_topics() {
    let group: GroupMembers = [
        ("g5_a", subscription(&[("orders", 1)])),
        ("g5_b", subscription(&[("clicks", 1)])),
    ]
    .into_iter()
    .collect();
    let partitions = partitions(&ORDERS_AND_CLICKS);
    assert!(matches!(
        RoundRobin.assign(&group, &partitions),
        Err(AssignError::UnequalThreads { .. })
    ));
    let assignment = Range.assign(&group, &partitions).unwrap();
    assert_eq!(threads(&assignment, "orders"), ["g5_a-0"; 5]);
    assert_eq!(threads(&assignment, "clicks"), ["g5_b-0"; 4]);
}

#[test]
fn vector_f_two_digits_come_before_one() {
    let group = members(&["g_a-0001", "g_b-0001", "g_c-0001"], &[("ei", 1)]);
    let assignment = RoundRobin
        .assign(&group, &partitions(&[("ei", 12)]))
        .unwrap();
    let [a, b, c] = ["g_a-0001-0", "g_b-0001-0", "g_c-0001-0"];
    assert_eq!(
        threads(&assignment, "ei"),
        [c, a, b, c, a, b, c, a, b, c, a, b]
    );
}

#[test]
fn vector_g_three_members_with_two_streams() {
    let group = members(
        &["g_a-0001", "g_b-0001", "g_c-0001"],
        &[("orders", 2), ("clicks", 2)],
    );
    let assignment = RoundRobin
        .assign(&group, &partitions(&ORDERS_AND_CLICKS))
        .unwrap();
    let thread = |letter: &str, n: u32| format!("g_{letter}-0001-{n}");
    assert_eq!(
        threads(&assignment, "orders"),
        [
            thread("a", 0),
            thread("a", 1),
            thread("b", 0),
            thread("b", 1),
            thread("c", 0)
        ]
    );
    assert_eq!(
        threads(&assignment, "clicks"),
        [
            thread("c", 1),
            thread("a", 0),
            thread("a", 1),
            thread("b", 0)
        ]
    );
}

#[test]
fn round_robin_refuses_unequal_numbers_of_streams() {
    let mut group = members(&["a", "b"], &[("orders", 1), ("clicks", 1)]);
    group.insert("b", subscription(&[("orders", 1), ("clicks", 2)]));
    let error = RoundRobin.assign(&group, &partitions(&ORDERS_AND_CLICKS));
    assert!(
        matches!(error, Err(AssignError::UnequalThreads { .. })),
        "{error:?}"
    );
}

#[test]
fn round_robin_refuses_topics_that_collide() {
    let group = members(&["a", "b"], &[("Aa", 1), ("BB", 1)]);
    let error = RoundRobin
        .assign(&group, &partitions(&[("Aa", 2), ("BB", 2)]))
        .unwrap_err();
    assert!(
        matches!(error, AssignError::AmbiguousOrder { .. }),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("Aa-") && text.contains("BB-"), "{text}");
    assert!(
        Range
            .assign(&group, &partitions(&[("Aa", 2), ("BB", 2)]))
            .is_ok()
    );
}

#[test]
fn a_member_without_streams_gets_nothing_and_disturbs_nobody() {
    let mut group = members(&["a"], &[("orders", 1), ("clicks", 1)]);
    group.insert("nudge", Subscription::new());
    for assignor in [&Range as &dyn Assignor, &RoundRobin] {
        let assignment = assignor
            .assign(&group, &partitions(&ORDERS_AND_CLICKS))
            .unwrap();
        assert_eq!(assignment.len(), 9, "{}", assignor.name());
        assert!(
            assignment
                .values()
                .all(|thread| &*thread.consumer_id == "a")
        );
    }
}

#[test]
fn nobody_and_nothing_make_an_empty_assignment() {
    for assignor in [&Range as &dyn Assignor, &RoundRobin] {
        let nobody = assignor.assign(&GroupMembers::new(), &partitions(&[("t", 3)]));
        assert_eq!(nobody, Ok(Assignment::new()));
        let missing = assignor.assign(&members(&["a"], &[("t", 1)]), &TopicPartitions::new());
        assert_eq!(missing, Ok(Assignment::new()));
    }
}

#[test]
fn partitions_are_taken_in_numeric_order_and_once() {
    let jumbled = TopicPartitions::from([(Arc::from("t"), vec![10, 0, 0, 0, 2, 1])]);
    for assignor in [&Range as &dyn Assignor, &RoundRobin] {
        let assignment = assignor
            .assign(&members(&["a", "b"], &[("t", 1)]), &jumbled)
            .unwrap();
        let shares =
            ["a-0", "b-0"].map(|of| assignment.values().filter(|t| t.to_string() == of).count());
        assert_eq!(shares, [2, 2], "{}", assignor.name());
    }
    let assignment = Range
        .assign(&members(&["a", "b"], &[("t", 1)]), &jumbled)
        .unwrap();
    assert_eq!(threads(&assignment, "t"), ["a-0", "a-0", "b-0", "b-0"]);
}

#[test]
fn absurd_numbers_of_streams_are_refused_before_they_are_counted_out() {
    let group = members(&["a", "b"], &[("t", u32::MAX)]);
    for assignor in [&Range as &dyn Assignor, &RoundRobin] {
        let error = assignor
            .assign(&group, &partitions(&[("t", 3)]))
            .unwrap_err();
        let threads = 2 * u64::from(u32::MAX);
        let topic = "t".into();
        assert_eq!(error, AssignError::TooManyThreads { topic, threads });
        assert!(!error.is_retriable());
    }
}

#[test]
fn threads_order_by_their_whole_text_in_utf16() {
    let thread = ConsumerThreadId::new;
    assert!(thread("c", 10) < thread("c", 2));
    assert!(thread("c", 9) > thread("c", 10));
    // "c-1-0" against "c-2": the dash decides nothing, the digit does.
    assert!(thread("c-1", 0) < thread("c", 2));
    // By code point the first would be larger; by UTF-16 units it begins with a surrogate, which is smaller.
    assert!(thread("\u{1f600}", 0) < thread("\u{ffee}", 0));
}
