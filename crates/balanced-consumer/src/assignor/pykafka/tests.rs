//! The groups of `golden.json` were shared out by PyKafka 2.8 itself (`tests/python/assignments.py`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::assignor::Subscription;

/// A group and what PyKafka makes of it.
struct Golden {
    members: GroupMembers,
    partitions: TopicPartitions,
    expected: Value,
}

fn golden() -> Vec<Golden> {
    let groups = include_str!("golden.json").lines();
    groups
        .map(|line| {
            let expected: Value = serde_json::from_str(line).unwrap();
            let leaders = expected["leaders"].as_array().unwrap();
            let leaders = leaders
                .iter()
                .map(|leader| i32::try_from(leader.as_i64().unwrap()).unwrap());
            let subscription = Subscription::from([("orders".into(), 1)]);
            let ids = expected["range"].as_object().unwrap().keys().cloned();
            Golden {
                members: ids.map(|id| (id, subscription.clone())).collect(),
                partitions: BTreeMap::from([("orders".into(), pykafka_order((0..).zip(leaders)))]),
                expected,
            }
        })
        .collect()
}

/// Each member's partitions, as the golden file tells them.
fn shares(members: &GroupMembers, assignment: &Assignment) -> Value {
    let share = |id: &str| -> Vec<i32> {
        assignment
            .iter()
            .filter(|(_, thread)| &*thread.consumer_id == id)
            .map(|(tp, _)| tp.partition)
            .collect()
    };
    let shares: BTreeMap<_, _> = members.iter().map(|(id, _)| (&**id, share(id))).collect();
    serde_json::to_value(shares).unwrap()
}

#[test]
fn shares_out_as_pykafka_does() {
    let assignors: [(&str, &dyn Assignor); 2] =
        [("range", &PyKafkaRange), ("roundrobin", &PyKafkaRoundRobin)];
    let golden = golden();
    assert!(golden.len() > 50);
    for group in golden {
        for (name, assignor) in assignors {
            let assignment = assignor.assign(&group.members, &group.partitions).unwrap();
            assert_eq!(
                shares(&group.members, &assignment),
                group.expected[name],
                "{name} of {}",
                group.expected
            );
        }
    }
}

#[test]
fn orders_partitions_as_texts() {
    assert_eq!(
        pykafka_order([(0, 2), (10, 1), (2, 1), (3, 10)]),
        [10, 2, 3, 0]
    );
}

/// `host-` sorts behind `host`, although `host--0` would sort before `host-0`.
#[test]
fn orders_members_by_their_ids_alone() {
    let subscription = Subscription::from([("orders".into(), 1)]);
    let members: GroupMembers = ["host", "host-"]
        .map(|id| (id, subscription.clone()))
        .into_iter()
        .collect();
    let partitions = BTreeMap::from([("orders".into(), vec![0, 1])]);
    let assignment = PyKafkaRange.assign(&members, &partitions).unwrap();
    assert_eq!(
        shares(&members, &assignment),
        serde_json::json!({"host": [0], "host-": [1]})
    );
}

/// A member of another topic, or without a stream, takes no part.
#[test]
fn counts_only_who_consumes_the_topic() {
    let members: GroupMembers = [
        ("a", Subscription::from([("orders".into(), 1)])),
        ("b", Subscription::from([("clicks".into(), 1)])),
        ("c", Subscription::new()),
    ]
    .into_iter()
    .collect();
    let partitions = BTreeMap::from([("orders".into(), vec![1, 0])]);
    for assignor in [&PyKafkaRange as &dyn Assignor, &PyKafkaRoundRobin] {
        let assignment = assignor.assign(&members, &partitions).unwrap();
        assert!(
            assignment
                .values()
                .all(|thread| &*thread.consumer_id == "a")
        );
        assert_eq!(assignment.len(), 2);
    }
}
