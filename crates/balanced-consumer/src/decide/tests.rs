use std::sync::Arc;

use super::*;
use crate::assignor::{GroupMembers, Range, RoundRobin, Subscription, TopicPartitions};
use crate::view::{PoisonKind, PoisonMember};

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn view(members: &[(String, u32)], partitions: i32) -> View {
    View {
        members: members
            .iter()
            .map(|(id, streams)| (id.as_str(), Subscription::from([("t".into(), *streams)])))
            .collect(),
        partitions: TopicPartitions::from([("t".into(), (0..partitions).collect())]),
        registration: OwnRegistration::Ours,
        ..View::default()
    }
}

fn alone(streams: u32, partitions: i32) -> View {
    view(&[("me".to_owned(), streams)], partitions)
}

fn held(partitions: &[(i32, u32)]) -> BTreeMap<TopicPartition, ConsumerThreadId> {
    partitions
        .iter()
        .map(|(partition, thread)| (tp(*partition), ConsumerThreadId::new("me", *thread)))
        .collect()
}

/// Every group of up to four members with one or two streams each, before and after any one of them leaves, on up to nine
/// partitions, with both rules.
#[test]
fn decisions_of_small_groups_are_disjoint_complete_and_move_nothing_needlessly() {
    for members in 1..=4_u32 {
        for streams in 0..1_u32 << members {
            let group: Vec<(String, u32)> = (0..members)
                .map(|n| (format!("m{n}"), 1 + (streams >> n & 1)))
                .collect();
            for partitions in 0..=9 {
                for assignor in [&Range as &dyn Assignor, &RoundRobin] {
                    one_leaves(&group, partitions, assignor);
                }
            }
        }
    }
}

fn one_leaves(group: &[(String, u32)], partitions: i32, assignor: &dyn Assignor) {
    let nothing = BTreeMap::new();
    let before = view(group, partitions);
    let first: BTreeMap<&str, Decision> = group
        .iter()
        .map(|(id, _)| {
            (
                id.as_str(),
                decide(id, &before, &nothing, assignor).unwrap(),
            )
        })
        .collect();
    assert_shared(first.values().map(|decision| &decision.claim), partitions);

    for leaver in 0..group.len() {
        let mut rest = group.to_vec();
        let (left, _) = rest.remove(leaver);
        let after = view(&rest, partitions);
        let (mut own, mut moved) = (Vec::new(), 0);
        for (id, _) in &rest {
            let holding = &first[id.as_str()].claim;
            let fresh = decide(id, &after, &nothing, assignor).unwrap().claim;
            let decision = decide(id, &after, holding, assignor).unwrap();
            assert_eq!(decision.wait, None);
            assert_minimal(&decision, holding, &fresh);
            moved += decision.claim.len();
            own.push(fresh);
        }
        if !rest.is_empty() {
            assert_shared(own.iter(), partitions);
            assert!(moved >= first[left.as_str()].claim.len());
        }
    }
}

/// Every partition is exactly one member's.
fn assert_shared<'a>(
    claims: impl Iterator<Item = &'a BTreeMap<TopicPartition, ConsumerThreadId>>,
    partitions: i32,
) {
    let mut all: Vec<_> = claims.flat_map(|claims| claims.keys().cloned()).collect();
    all.sort();
    assert_eq!(all, (0..partitions).map(tp).collect::<Vec<_>>());
}

/// What is kept was held and is assigned; released is the rest of what was held, claimed the rest of what is assigned.
fn assert_minimal(decision: &Decision, holding: &Assignment, fresh: &Assignment) {
    for (tp, thread) in &decision.keep {
        assert_eq!(holding.get(tp), Some(thread));
        assert_eq!(fresh.get(tp), Some(thread));
    }
    for (tp, thread) in holding {
        let stays = fresh.get(tp) == Some(thread);
        assert_eq!(decision.keep.contains_key(tp), stays);
        assert_eq!(decision.release.contains(tp), !stays);
    }
    for (tp, thread) in fresh {
        let stays = holding.get(tp) == Some(thread);
        assert_eq!(decision.claim.get(tp) == Some(thread), !stays);
    }
    let assigned = decision.keep.len() + decision.claim.len();
    assert_eq!(assigned, fresh.len());
}

#[test]
fn a_partition_that_changes_streams_is_released_and_claimed() {
    let decision = decide("me", &alone(2, 2), &held(&[(0, 0), (1, 0)]), &Range).unwrap();
    assert_eq!(decision.keep, held(&[(0, 0)]));
    assert_eq!(decision.release, BTreeSet::from([tp(1)]));
    assert_eq!(decision.claim, held(&[(1, 1)]));
}

#[test]
fn a_topic_that_is_gone_is_released() {
    let mut gone = alone(1, 2);
    gone.partitions.clear();
    let decision = decide("me", &gone, &held(&[(0, 0)]), &Range).unwrap();
    assert_eq!(decision.release, BTreeSet::from([tp(0)]));
    assert_eq!(decision.wait, None);
}

#[test]
fn a_blocked_group_releases_everything() {
    let mut blocked = alone(1, 2);
    blocked.poison.push(PoisonMember {
        node: "/consumers/g/ids/py".to_owned(),
        data: "t".to_owned(),
        kind: PoisonKind::PyKafka,
    });
    let decision = decide("me", &blocked, &held(&[(0, 0)]), &Range).unwrap();
    assert_eq!(decision.release, BTreeSet::from([tp(0)]));
    assert_eq!(decision.wait, Some(Wait::Blocked));
    assert!(decision.claim.is_empty() && decision.keep.is_empty());
}

#[test]
fn a_member_that_nobody_counts_keeps_what_it_has_and_claims_nothing() {
    for registration in [OwnRegistration::Missing, OwnRegistration::Foreign] {
        let mut view = alone(1, 2);
        view.registration = registration;
        let decision = decide("me", &view, &held(&[(0, 0)]), &Range).unwrap();
        assert_eq!(decision.keep, held(&[(0, 0)]));
        assert_eq!(decision.wait, Some(Wait::Unregistered));
        assert!(decision.claim.is_empty() && decision.release.is_empty());
    }
}

#[test]
fn a_registration_without_data_is_waited_for() {
    let mut view = alone(1, 2);
    view.registering.push("late".to_owned());
    let decision = decide("me", &view, &held(&[(0, 0)]), &Range).unwrap();
    let node = "late".to_owned();
    assert_eq!(decision.wait, Some(Wait::Registering { node }));
    assert_eq!(decision.keep, held(&[(0, 0)]));
    assert!(decision.claim.is_empty() && decision.release.is_empty());
}

/// An assignor that assigns whatever it was made with.
#[derive(Debug)]
struct Fixed(Assignment);

impl Assignor for Fixed {
    fn name(&self) -> &str {
        "fixed"
    }

    fn assign(&self, _: &GroupMembers, _: &TopicPartitions) -> Result<Assignment, AssignError> {
        Ok(self.0.clone())
    }
}

#[test]
fn an_assignor_that_invents_things_is_refused() {
    let other_topic = TopicPartition::new("other", 0);
    let mut view = alone(1, 2);
    view.partitions.insert("other".into(), vec![0]);
    for (partition, thread) in [(tp(2), 0), (tp(0), 1), (other_topic, 0)] {
        let thread = ConsumerThreadId::new("me", thread);
        let assignor = Fixed(Assignment::from([(partition.clone(), thread)]));
        let error = decide("me", &view, &BTreeMap::new(), &assignor).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, AssignError::Invalid { .. }), "{text}");
        assert!(text.contains(&partition.to_string()), "{text}");
    }
    // What it makes of others is theirs to refuse.
    let others = Arc::from("others");
    let thread = ConsumerThreadId::new(others, 7);
    let assignor = Fixed(Assignment::from([(tp(5), thread)]));
    let decision = decide("me", &view, &BTreeMap::new(), &assignor);
    assert_eq!(decision, Ok(Decision::default()));
}
