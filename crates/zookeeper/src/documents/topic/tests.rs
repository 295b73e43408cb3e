use super::*;

#[test]
fn reads_partitions_in_numeric_order() {
    let data = br#"{"version":1,"partitions":{"10":[3],"2":[2,3],"0":[1,2]}}"#;
    let topic = Topic::parse("t", data).unwrap();
    let partitions: Vec<_> = topic.partitions.into_iter().collect();
    assert_eq!(
        partitions,
        [(0, vec![1, 2]), (2, vec![2, 3]), (10, vec![3])]
    );
}

#[test]
fn ignores_what_later_versions_add() {
    let data = br#"{"removing_replicas":{},"partitions":{"0":[1]},"topic_id":"AAAA","adding_replicas":{"0":[2]},"version":3}"#;
    let topic = Topic::parse("t", data).unwrap();
    assert_eq!(topic.partitions.len(), 1);
    assert_eq!(
        Topic::parse("t", br#"{"partitions":{}}"#)
            .unwrap()
            .partitions
            .len(),
        0
    );
}

#[test]
fn refuses_what_is_no_topic() {
    for data in [
        "",
        "{}",
        "[]",
        r#"{"partitions":[]}"#,
        r#"{"partitions":{"a":[1]}}"#,
        r#"{"partitions":{"-1":[1]}}"#,
        r#"{"partitions":{"0":1}}"#,
        r#"{"partitions":{"0":["1"]}}"#,
        r#"{"partitions":{"99999999999":[1]}}"#,
        r#"{"partitions":{"0":[99999999999]}}"#,
    ] {
        assert!(Topic::parse("t", data.as_bytes()).is_err(), "{data}");
    }
}

#[test]
fn writes_an_assignment_that_reads_back() {
    let replicas: Vec<Vec<i32>> = (0..11)
        .map(|partition| vec![partition, partition + 1])
        .collect();
    let assignment = TopicAssignment::new(replicas.clone()).unwrap();
    let json = assignment.to_json();
    assert!(
        json.starts_with(r#"{"version":1,"partitions":{"0":[0,1],"1":[1,2],"#),
        "{json}"
    );
    let topic = Topic::parse("t", json.as_bytes()).unwrap();
    assert!(topic.partitions.into_values().eq(replicas));
    assert_eq!(assignment.partitions(), 11);
}

#[test]
fn refuses_assignments_that_a_controller_would_stumble_over() {
    for replicas in [
        vec![],
        vec![vec![]],
        vec![vec![1], vec![]],
        vec![vec![1, 2], vec![1]],
        vec![vec![1, 1]],
        vec![vec![-1]],
    ] {
        assert!(
            TopicAssignment::new(replicas.clone()).is_err(),
            "{replicas:?}"
        );
    }
}

/// The example in the comments of Kafka's own `assignReplicasToBrokers`: ten partitions on five brokers, three replicas.
#[test]
fn deals_as_kafka_does() {
    let dealt = TopicAssignment::deal(&[0, 1, 2, 3, 4], 10, 3, 0, 0).unwrap();
    let kafka = [
        [0, 1, 2],
        [1, 2, 3],
        [2, 3, 4],
        [3, 4, 0],
        [4, 0, 1],
        [0, 2, 3],
        [1, 3, 4],
        [2, 4, 0],
        [3, 0, 1],
        [4, 1, 2],
    ];
    assert_eq!(
        dealt,
        TopicAssignment::new(kafka.map(Vec::from).to_vec()).unwrap()
    );
}

#[test]
fn deals_from_any_start_without_a_broker_twice() {
    for brokers in [vec![5], vec![5, 9], vec![1, 2, 3, 7]] {
        for factor in 1..=brokers.len() {
            for start in [0, 1, 2, 17, usize::MAX / 2] {
                let dealt = TopicAssignment::deal(&brokers, 13, factor, start, start).unwrap();
                assert_eq!(dealt.partitions(), 13);
                assert!(
                    dealt
                        .replicas
                        .iter()
                        .all(|replicas| replicas.len() == factor)
                );
            }
        }
    }
}

#[test]
fn deals_nothing_that_is_not_possible() {
    for (brokers, partitions, factor) in [
        (vec![], 1, 1),
        (vec![1], 1, 2),
        (vec![1], 1, 0),
        (vec![1], 0, 1),
        (vec![1], usize::MAX, 1),
    ] {
        assert!(
            TopicAssignment::deal(&brokers, partitions, factor, 0, 0).is_err(),
            "{brokers:?} {partitions} {factor}"
        );
    }
}
