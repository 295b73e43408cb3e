use std::sync::Arc;
use std::time::Duration;

use divvy_protocol::TopicPartition;
use divvy_simple_consumer::OffsetStorage;

use super::reset::ResetPlan;
use super::view::{host, owned_partition, owned_topic};
use super::*;

const JAVA: &str = "g_hosta-1433000000000-aaaaaaaa";
const OTHER: &str = "g_hostb-1433000000000-bbbbbbbb";

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn member(id: &str, kind: MemberKind) -> GroupMember {
    GroupMember {
        consumer_id: id.to_owned(),
        kind,
        host: None,
        registered_ms: 0,
        subscription: [("t".into(), 1)].into(),
        readable_by_java: kind.is_java_dialect(),
        data: "data".to_owned(),
    }
}

fn claim(owner: &str) -> Claim {
    Claim {
        node: "/node".to_owned(),
        owner: owner.to_owned(),
        session: 1,
        since_ms: 0,
    }
}

/// A partition that is owned, led, and read up to `committed` of 0 to `end`.
fn partition(owner: &str, leader: i32, committed: i64, end: i64) -> PartitionView {
    PartitionView {
        leader: Some(leader),
        replicas: vec![leader],
        claims: vec![claim(owner)],
        in_zookeeper: Some(StoredOffset {
            offset: committed,
            stored_ms: 0,
        }),
        offset_version: Some(3),
        log_start: Some(0),
        log_end: Some(end),
        ..PartitionView::default()
    }
}

fn view(partitions: Vec<PartitionView>) -> GroupView {
    GroupView {
        group: "g".to_owned(),
        members: vec![
            member(JAVA, MemberKind::Java),
            member(OTHER, MemberKind::Divvy),
        ],
        partitions: (0..).map(tp).zip(partitions).collect(),
        ..GroupView::default()
    }
}

fn thread(id: &str) -> String {
    format!("{id}-0")
}

/// Two members, two brokers, four partitions, and nothing to complain of.
fn healthy() -> GroupView {
    let (one, other) = (thread(JAVA), thread(OTHER));
    let owners = [(&one, 0), (&one, 1), (&other, 0), (&other, 1)];
    view(
        owners
            .map(|(owner, leader)| partition(owner, leader, 90, 100))
            .into(),
    )
}

fn cluster() -> ClusterView {
    ClusterView {
        registered: [0, 1].into(),
        ..ClusterView::default()
    }
}

fn problems(view: &GroupView) -> Vec<(Problem, String)> {
    let findings = diagnose(view, &cluster());
    for finding in &findings {
        assert!(
            !finding.what.is_empty() && !finding.remedy.is_empty(),
            "{finding:?}"
        );
    }
    findings
        .into_iter()
        .map(|f| (f.problem, f.subject))
        .collect()
}

/// What is found once something was done to the first partition of a healthy group.
fn planted(fault: impl FnOnce(&mut PartitionView)) -> Vec<(Problem, String)> {
    let mut view = healthy();
    fault(view.partitions.get_mut(&tp(0)).unwrap());
    problems(&view)
}

#[test]
fn a_healthy_group_has_no_findings() {
    assert_eq!(problems(&healthy()), []);
    assert_eq!(healthy().lag(), (40, 0));
}

#[test]
fn each_fault_of_a_partition_is_found_alone() {
    let here = || "t-0".to_owned();
    let node = || "/node".to_owned();
    assert_eq!(planted(|p| p.leader = None), [(Problem::NoLeader, here())]);
    assert_eq!(
        planted(|p| p.claims.clear()),
        [(Problem::Orphan, "t".to_owned())]
    );
    assert_eq!(
        planted(|p| p.claims[0].owner = "ghost-0".to_owned()),
        [(Problem::StaleOwner, node())]
    );
    assert_eq!(
        planted(|p| p.claims.push(claim(&thread(OTHER)))),
        [(Problem::ClaimedTwice, here())]
    );
    assert_eq!(
        planted(|p| p.log_end = Some(89)),
        [(Problem::OffsetBeyondLog, here())]
    );
    assert_eq!(
        planted(|p| p.log_start = Some(91)),
        [(Problem::OffsetBelowLog, here())]
    );
    assert_eq!(
        planted(|p| (p.in_zookeeper, p.no_offset) = (None, Some("x".to_owned()))),
        [(Problem::UnreadableOffset, here())]
    );
    assert_eq!(
        planted(|p| p.in_kafka = Some(91)),
        [(Problem::StoresDisagree, here())]
    );
    assert_eq!(
        planted(|p| p.replicas.push(7)),
        [(Problem::MissingBroker, "broker 7".to_owned())]
    );
    // The same claim in the directories of both Pythons is one owner.
    assert_eq!(planted(|p| p.claims.push(claim(&thread(JAVA)))), []);
    // An offset at the very end or beginning of the log is well.
    assert_eq!(planted(|p| p.log_end = Some(90)), []);
    assert_eq!(planted(|p| p.log_start = Some(90)), []);
}

#[test]
fn members_poison_a_group_of_the_other_dialect_only() {
    for kind in [MemberKind::PyKafka, MemberKind::Garbage] {
        let mut mixed = healthy();
        mixed.members.push(member("x:1", kind));
        let node = "/consumers/g/ids/x:1".to_owned();
        assert_eq!(
            problems(&mixed),
            [(Problem::PoisoningMember, node)],
            "{kind:?}"
        );
    }
    let mut filling = healthy();
    filling.members.push(member("x:1", MemberKind::Registering));
    assert_eq!(problems(&filling), []);

    let mut pykafka = healthy();
    for member in &mut pykafka.members {
        member.kind = MemberKind::PyKafka;
        member.readable_by_java = false;
    }
    assert_eq!(problems(&pykafka), []);
}

#[test]
fn a_broker_that_answers_without_being_registered_is_told_from_one_that_is_not_there() {
    let mut lost = cluster();
    lost.registered.remove(&1);
    let missing = diagnose(&healthy(), &lost);
    assert_eq!(missing[0].problem, Problem::MissingBroker);
    lost.unregistered.insert(1, "h:9092".to_owned());
    let unregistered = diagnose(&healthy(), &lost);
    assert_eq!(unregistered[0].problem, Problem::UnregisteredBroker);
    assert!(unregistered[0].what.contains("h:9092"));
    assert_eq!((missing.len(), unregistered.len()), (1, 1));
}

#[test]
fn only_what_two_looks_show_is_a_finding() {
    let quiet = LagChange::default();
    let mut odd = healthy();
    odd.partitions.get_mut(&tp(0)).unwrap().claims.clear();
    let (first, second) = (diagnose(&odd, &cluster()), diagnose(&odd, &cluster()));
    assert_eq!(confirmed(&first, second.clone(), &quiet).len(), 1);
    assert_eq!(confirmed(&[], second, &quiet), []);
}

/// The reason for what happens within 10 s, when each partition gets and gives so many messages in that time.
fn reason(before: &GroupView, moved: &[(i64, i64)]) -> Option<LagReason> {
    let mut after = before.clone();
    advance(&mut after, moved);
    change(before, &after).reason()
}

/// What happens within 10 s to a group that is far behind before.
fn change(before: &GroupView, after: &GroupView) -> LagChange {
    let behind = |view: &GroupView| {
        let mut view = view.clone();
        advance(&mut view, &[(10_000, 0); 8]);
        view
    };
    LagChange::between(&behind(before), &behind(after), Duration::from_secs(10))
}

fn advance(view: &mut GroupView, moved: &[(i64, i64)]) {
    for (partition, (produced, consumed)) in view.partitions.values_mut().zip(moved) {
        partition.log_end = partition.log_end.map(|end| end + produced);
        if let Some(stored) = &mut partition.in_zookeeper {
            stored.offset += consumed;
        }
    }
}

#[test]
fn growing_lag_comes_with_its_reason() {
    let group = healthy();
    let even = |produced, consumed| [(produced, consumed); 4];
    assert_eq!(reason(&group, &even(100, 100)), None);
    assert_eq!(reason(&group, &even(100, 95)), None);
    assert_eq!(reason(&group, &even(0, 0)), None);
    let partitions = [0, 1, 2, 3].map(tp).to_vec();
    let still = still(partitions, &[JAVA, OTHER], false);
    assert_eq!(reason(&group, &even(100, 0)), Some(still));
    // 40 a second come, 24 are finished by two streams: it takes four.
    assert_eq!(
        reason(&group, &even(100, 60)),
        Some(LagReason::TooFewMembers {
            topic: "t".into(),
            have: 2,
            need: 4,
            rate: 12.0
        })
    );
    assert_eq!(
        reason(&group, &even(100, 40)),
        Some(LagReason::TooFewPartitions {
            topic: "t".into(),
            partitions: 4,
            need: 6,
            rate: 8.0
        })
    );
    assert_eq!(
        reason(&group, &[(900, 100), (100, 100), (100, 100), (100, 100)]),
        Some(LagReason::HotPartition {
            tp: tp(0),
            share: 0.75
        })
    );
    // Partitions 0 and 1 are the first member's, 0 and 2 the first broker's.
    let slow = LagReason::SlowMember {
        member: JAVA.to_owned(),
        partitions: vec![tp(0), tp(1)],
        finishes: 4.0,
        another: 20.0,
    };
    let first_two = [(100, 20), (100, 20), (100, 100), (100, 100)];
    assert_eq!(reason(&group, &first_two), Some(slow));
    let every_other = [(100, 20), (100, 100), (100, 20), (100, 100)];
    assert_eq!(reason(&group, &every_other), Some(slow_broker(None)));
}

fn still(partitions: Vec<TopicPartition>, members: &[&str], others_advance: bool) -> LagReason {
    LagReason::StandsStill {
        partitions,
        members: members.iter().copied().map(str::to_owned).collect(),
        others_advance,
        within: Duration::from_secs(10),
    }
}

fn slow_broker(answered_in: Option<Duration>) -> LagReason {
    LagReason::SlowBroker {
        broker: 0,
        partitions: vec![tp(0), tp(2)],
        answered_in,
    }
}

/// At 16 messages a second each, three streams could read 40 a second, but one of them would own two of four partitions.
#[test]
fn partitions_are_shared_out_whole() {
    let Some(LagReason::TooFewMembers { need, .. }) = reason(&healthy(), &[(100, 80); 4]) else {
        panic!("not too few members");
    };
    assert_eq!(need, 4);
}

/// The rest of what a stream owns can go to others, however hot one partition is.
#[test]
fn a_hot_partition_is_none_while_a_reader_of_its_own_would_do() {
    let moved = [(300, 150), (150, 150), (100, 100), (100, 100)];
    let found = reason(&healthy(), &moved);
    assert!(
        matches!(found, Some(LagReason::HotPartition { .. })),
        "{found:?}"
    );
    let moved = [(300, 200), (150, 150), (100, 100), (100, 100)];
    let found = reason(&healthy(), &moved);
    assert!(
        matches!(found, Some(LagReason::TooFewMembers { need: 4, .. })),
        "{found:?}"
    );
}

/// Who has more to do than others is no slower for that, neither a member nor a broker.
#[test]
fn more_to_do_is_not_slowness() {
    let by_member = [(300, 200), (300, 200), (100, 100), (100, 100)];
    let found = reason(&healthy(), &by_member);
    assert!(
        matches!(found, Some(LagReason::TooFewMembers { need: 4, .. })),
        "{found:?}"
    );
    let by_broker = [(400, 150), (100, 100), (400, 150), (100, 100)];
    let found = reason(&healthy(), &by_broker);
    assert!(
        matches!(found, Some(LagReason::HotPartition { .. })),
        "{found:?}"
    );
}

/// One partition each, each led by another broker: the offsets alone do not tell who is slow.
#[test]
fn how_long_a_broker_takes_for_a_trifle_tells_it_from_a_slow_member() {
    let found = |[first, second]: [u64; 2]| {
        let mut before = healthy();
        before.partitions.remove(&tp(1));
        before.partitions.remove(&tp(2));
        let mut after = before.clone();
        for (view, millis) in [(&mut before, first), (&mut after, second)] {
            view.answered_in = [(0, millis), (1, 3)].map(in_millis).into();
        }
        advance(&mut after, &[(100, 20), (100, 100)]);
        change(&before, &after).reason().map(|reason| reason.name())
    };
    assert_eq!(found([4, 5]), Some("slow-member"));
    assert_eq!(found([1500, 1200]), Some("slow-broker"));
    // A pause of the broker's, or of this program's.
    assert_eq!(found([1500, 5]), Some("slow-member"));
}

fn in_millis((broker, millis): (i32, u64)) -> (i32, Duration) {
    (broker, Duration::from_millis(millis))
}

#[test]
fn a_partition_that_stands_still_is_told_from_the_others() {
    let moved = [(100, 100), (100, 0), (100, 100), (100, 100)];
    let stuck = still(vec![tp(1)], &[JAVA], true);
    assert_eq!(reason(&healthy(), &moved), Some(stuck));
}

/// What came last may be finished and not yet committed. That is not so of what both looks have seen.
#[test]
fn what_was_committed_before_the_second_look_is_not_behind() {
    let mut after = healthy();
    for (moved, grows) in [((100, 50), false), ((1, 0), true)] {
        let before = after.clone();
        advance(&mut after, &[moved; 4]);
        let change = LagChange::between(&before, &after, Duration::from_secs(10));
        assert_eq!(change.grows(), grows, "{moved:?}");
    }
}

/// Brokers that are registered and cannot be asked leave a hole that nothing else speaks of.
#[test]
fn what_brokers_do_not_say_is_a_finding() {
    let trouble = || Some("the broker at h:9092 did not answer".to_owned());
    let found = planted(|p| (p.trouble, p.log_end) = (trouble(), None));
    assert_eq!(found, [(Problem::NoAnswer, "t-0".to_owned())]);
    // That nobody leads it says it all.
    let found = planted(|p| (p.trouble, p.leader) = (trouble(), None));
    assert_eq!(found, [(Problem::NoLeader, "t-0".to_owned())]);
}

/// An operator reads these, and nothing else.
#[test]
fn every_reason_is_a_sentence_with_something_to_do() {
    let (topic, partitions) = (Arc::from("t"), vec![tp(0)]);
    let (have, need, rate) = (1, 3, 12.34);
    for (reason, words) in [
        (LagReason::NotRunning, "start the consumers"),
        (slow_broker(None), "look at that broker's disk"),
        (
            slow_broker(Some(Duration::from_millis(1500))),
            "broker 0 took 1.5 s",
        ),
        (still(partitions.clone(), &[JAVA], true), "is stuck there"),
        (still(partitions, &[JAVA], false), "--interval 2m"),
        (
            LagReason::TooFewMembers {
                topic: Arc::clone(&topic),
                have,
                need,
                rate,
            },
            "1 stream is too few for t: one finishes about 12.3 messages a second, and it takes 3 at that rate; start 2 more",
        ),
        (
            LagReason::TooFewPartitions {
                topic,
                partitions: 1,
                need,
                rate,
            },
            "it takes 3 streams, and only 1 can share 1 partition",
        ),
    ] {
        let said = reason.to_string();
        assert!(said.contains(words), "{said}");
    }
}

/// A topic of many partitions that is read in time says nothing of one that has too few.
#[test]
fn each_topic_is_counted_by_itself() {
    let mut group = healthy();
    let other = |partition| TopicPartition::new("z", partition);
    for (index, owner) in [JAVA, OTHER].into_iter().enumerate() {
        let view = partition(&thread(owner), 0, 90, 100);
        group.partitions.insert(other(index as i32), view);
    }
    let moved = |behind| {
        let in_time = [(100, 100); 4];
        [&in_time[..], &[behind; 2]].concat()
    };
    assert_eq!(
        reason(&group, &moved((100, 60))),
        Some(LagReason::TooFewPartitions {
            topic: "z".into(),
            partitions: 2,
            need: 4,
            rate: 6.0
        })
    );
    let stuck = still(vec![other(0), other(1)], &[JAVA, OTHER], true);
    assert_eq!(reason(&group, &moved((100, 0))), Some(stuck));
}

#[test]
fn a_group_that_nobody_reads_says_so_first() {
    let mut group = healthy();
    group.partitions.get_mut(&tp(2)).unwrap().claims.clear();
    let moved = [(100, 100), (100, 100), (100, 0), (100, 100)];
    let partitions = vec![tp(2)];
    assert_eq!(
        reason(&group, &moved),
        Some(LagReason::NoReader { partitions })
    );
    group.members.clear();
    assert_eq!(reason(&group, &moved), Some(LagReason::NotRunning));
}

#[test]
fn rates_leave_out_what_is_not_known() {
    let before = healthy();
    let mut after = healthy();
    after.partitions.get_mut(&tp(0)).unwrap().log_end = None;
    after.partitions.get_mut(&tp(1)).unwrap().log_end = Some(130);
    let change = LagChange::between(&before, &after, Duration::from_secs(3));
    assert_eq!(change.partitions.len(), 3);
    assert_eq!(change.partition_counts, [("t".into(), 4)].into());
    assert_eq!(change.produced(), 10.0);
    assert_eq!(after.lag(), (60, 1));
}

#[test]
fn a_plan_stays_within_the_log() {
    let mut group = healthy();
    group.partitions.get_mut(&tp(1)).unwrap().log_start = Some(50);
    group.partitions.get_mut(&tp(2)).unwrap().log_end = None;
    let all = [tp(0), tp(1), tp(2), tp(9)];
    let plan = ResetPlan::compute(&group, None, &all, |_, _| Ok(10));
    let changes: Vec<_> = plan
        .changes
        .iter()
        .map(|c| (c.from, c.to, c.clamped))
        .collect();
    assert_eq!(changes, [(Some(90), 10, false), (Some(90), 50, true)]);
    let left_out: Vec<_> = plan.left_out.iter().map(|(tp, _)| tp.partition).collect();
    assert_eq!(left_out, [2, 9]);
    assert!(!plan.is_empty());
    let same = ResetPlan::compute(&group, None, &[tp(0)], |_, _| Ok(90));
    assert!(same.is_empty());
    let beyond = ResetPlan::compute(&group, None, &[tp(0)], |_, _| Ok(i64::MAX));
    assert_eq!(
        (beyond.changes[0].to, beyond.changes[0].clamped),
        (100, true)
    );
}

#[test]
fn a_plan_writes_where_the_group_keeps_its_offsets() {
    let storage =
        |group: &GroupView| ResetPlan::compute(group, None, &[tp(0)], |_, _| Ok(1)).storage;
    let mut group = healthy();
    assert_eq!(storage(&group), OffsetStorage::ZooKeeper);
    group.partitions.get_mut(&tp(3)).unwrap().in_kafka = Some(5);
    assert_eq!(storage(&group), OffsetStorage::Dual);
    for partition in group.partitions.values_mut() {
        (partition.in_zookeeper, partition.offset_version) = (None, None);
    }
    assert_eq!(storage(&group), OffsetStorage::Kafka);
    group.partitions.get_mut(&tp(3)).unwrap().in_kafka = None;
    assert_eq!(storage(&group), OffsetStorage::ZooKeeper);
    let chosen = Some(OffsetStorage::Kafka);
    let plan = ResetPlan::compute(&group, chosen, &[tp(0)], |_, _| Ok(1));
    assert_eq!(plan.storage, OffsetStorage::Kafka);
}

#[test]
fn names_of_nodes_are_read_in_either_dialect() {
    assert_eq!(host("g", JAVA).as_deref(), Some("hosta"));
    assert_eq!(
        host("g", "g_my-host-17-0badcafe").as_deref(),
        Some("my-host")
    );
    assert_eq!(host("g", "host.b:1b4e28ba-2fa1").as_deref(), Some("host.b"));
    assert_eq!(
        host("g", "divvy-host-b:1b4e28ba").as_deref(),
        Some("host-b")
    );
    for nothing in ["", "g_", "g_x", "word"] {
        assert_eq!(host("g", nothing), None, "{nothing}");
    }
    assert_eq!(owned_topic("b'orders'"), "orders");
    assert_eq!(owned_topic("orders"), "orders");
    assert_eq!(owned_partition("3"), Some(3));
    assert_eq!(owned_partition("1001-3"), Some(3));
    for nothing in ["", "-", "x", "1-x", "-3-4"] {
        assert_eq!(owned_partition(nothing), None, "{nothing}");
    }
    let java = member(JAVA, MemberKind::Java);
    for (owner, wrote) in [
        (thread(JAVA), true),
        (JAVA.to_owned(), true),
        (format!("{JAVA}0-0"), false),
        (format!("{JAVA}-x"), false),
        (thread(OTHER), false),
    ] {
        assert_eq!(java.wrote(&owner), wrote, "{owner}");
    }
}
