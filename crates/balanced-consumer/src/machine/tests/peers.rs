//! What the other members own.

use super::*;
use crate::assignor::{Assignor as _, RoundRobin};

/// A member `me` of `a`, `me` and `z` that owns its third of six partitions, and looks at the others after 4 to 8 s.
fn member(config: MembershipConfig) -> Script {
    let mut script = Script::with(MembershipConfig {
        audit: ms(3_600_000),
        resync: ms(3_600_000),
        ..config
    });
    script.says(SessionEvent::SessionOpened);
    script.says(SessionEvent::Registered);
    assert_eq!(script.sees(group()), [claim(2), claim(3)]);
    for partition in [2, 3] {
        script.says(claimed(partition, 1));
        script.says(SessionEvent::Positioned { tp: tp(partition) });
    }
    script
}

fn plain() -> MembershipConfig {
    MembershipConfig::new("me", Arc::new(Range))
}

fn nudging() -> MembershipConfig {
    MembershipConfig {
        nudge: true,
        ..plain()
    }
}

fn group() -> View {
    view(&["a", "me", "z"], 6)
}

/// Everybody's third but for some partitions.
fn owners_but(missing: &[i32]) -> Owners {
    let owner = |partition: i32| format!("{}-0", ["a", "me", "z"][partition as usize / 2]);
    let owned = (0..6).filter(|partition| !missing.contains(partition));
    Owners {
        owners: owned
            .map(|partition| (tp(partition), owner(partition)))
            .collect(),
        ids_zxid: 0,
    }
}

/// Answers every look at the owners for that long, and gives what was said and done besides.
fn watch(script: &mut Script, whole: Duration, owners: &Owners) -> Vec<Action> {
    let until = script.now + whole;
    let mut others = Vec::new();
    while let Some(at) = script.machine.poll_timeout().filter(|at| *at <= until) {
        let actions = script.wait(at.since(script.now));
        for action in actions {
            match action {
                Action::ReadOwners => {
                    others.extend(script.says(SessionEvent::OwnersRead(owners.clone())));
                }
                action => others.push(action),
            }
        }
    }
    script.wait(until.since(script.now));
    others
}

fn orphan(partition: i32, member: &str, actions: &[Action]) -> Option<Duration> {
    emitted(actions).into_iter().find_map(|event| match event {
        GroupEvent::Orphan {
            tp: found,
            member: of,
            orphaned,
        } => (found == tp(partition) && of == member).then_some(orphaned),
        _ => None,
    })
}

#[test]
fn a_partition_of_another_member_without_an_owner_is_reported_and_again_every_minute() {
    let mut script = member(plain());
    let orphaned = owners_but(&[5]);
    assert_eq!(watch(&mut script, ms(16_000), &orphaned), []);
    let actions = watch(&mut script, ms(24_000), &orphaned);
    assert_eq!(actions.len(), 1, "{actions:?}");
    assert!(orphan(5, "z", &actions).is_some_and(|orphaned| orphaned > ms(16_000)));
    assert_eq!(watch(&mut script, ms(40_000), &orphaned), []);
    let again = watch(&mut script, ms(30_000), &orphaned);
    assert_eq!(again.len(), 1, "{again:?}");
}

#[test]
fn a_partition_that_finds_its_owner_in_time_is_none() {
    let mut script = member(plain());
    for _ in 0..5 {
        assert_eq!(watch(&mut script, ms(12_000), &owners_but(&[0])), []);
        assert_eq!(watch(&mut script, ms(12_000), &owners_but(&[])), []);
    }
}

#[test]
fn what_is_this_member_s_own_or_nobody_s_is_no_orphan() {
    let mut script = member(plain());
    assert_eq!(watch(&mut script, ms(60_000), &owners_but(&[2, 3])), []);
}

#[test]
fn the_first_of_divvy_s_members_nudges_once_a_minute() {
    for (ours, nudges) in [(&["me", "z"][..], true), (&["a", "me"], false)] {
        let mut script = member(nudging());
        let group = View {
            ours: ours.iter().map(|id| (*id).into()).collect(),
            ..group()
        };
        script.says(SessionEvent::Changed);
        script.wait(ms(100));
        assert_eq!(script.sees(group), []);
        let actions = watch(&mut script, ms(58_000), &owners_but(&[0, 1]));
        let count = |actions: &[Action]| {
            let nudges = actions.iter().filter(|action| **action == Action::Nudge);
            nudges.count()
        };
        assert_eq!(
            count(&actions),
            usize::from(nudges),
            "{ours:?}: {actions:?}"
        );
        let actions = watch(&mut script, ms(60_000), &owners_but(&[0, 1]));
        assert_eq!(
            count(&actions),
            usize::from(nudges),
            "{ours:?}: {actions:?}"
        );
    }
}

#[test]
fn nobody_is_nudged_unasked() {
    let mut script = member(plain());
    let actions = watch(&mut script, ms(120_000), &owners_but(&[0]));
    assert!(!actions.contains(&Action::Nudge), "{actions:?}");
}

/// What the member says of the others when they own this for long.
fn disagreements(
    script: &mut Script,
    owners: &Owners,
) -> Vec<(String, Vec<TopicPartition>, String)> {
    let events = emitted(&watch(script, ms(30_000), owners)).into_iter();
    events
        .filter_map(|event| match event {
            GroupEvent::Disagreement {
                member,
                partitions,
                why,
            } => Some((member, partitions, why)),
            _ => None,
        })
        .collect()
}

fn owned_by(owners: &[(i32, &str)]) -> Owners {
    let owners = owners.iter();
    Owners {
        owners: owners
            .map(|(partition, text)| (tp(*partition), (*text).to_owned()))
            .collect(),
        ids_zxid: 0,
    }
}

#[test]
fn a_member_that_shares_out_by_the_other_rule_is_named_with_it() {
    let mut script = member(plain());
    // What Kafka's round-robin gives it of `t`: every third partition.
    let assignment = RoundRobin
        .assign(&group().members, &group().partitions)
        .unwrap();
    let dealt: Vec<_> = assignment
        .iter()
        .filter(|(_, thread)| &*thread.consumer_id == "a")
        .map(|(tp, _)| (tp.partition, "a-0"))
        .collect();
    let found = disagreements(&mut script, &owned_by(&dealt));
    let [(member, partitions, why)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(member, "a");
    assert_eq!(*partitions, [tp(3)]);
    assert!(
        why.contains("`roundrobin`") && why.contains("`range`"),
        "{why}"
    );
}

#[test]
fn an_owner_node_without_a_stream_tells_of_another_library() {
    let mut script = member(plain());
    let found = disagreements(&mut script, &owned_by(&[(0, "z"), (3, "z")]));
    let [(_, partitions, why)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(*partitions, [tp(0), tp(3)]);
    assert!(why.contains("wvanbergen"), "{why}");
}

#[test]
fn owners_that_are_no_members_or_let_go_in_time_are_nobody_s_disagreement() {
    let mut script = member(plain());
    assert_eq!(
        disagreements(&mut script, &owned_by(&[(3, "gone-0"), (0, "me-0")])),
        []
    );
    for _ in 0..3 {
        let actions = watch(&mut script, ms(12_000), &owned_by(&[(3, "a-0")]));
        assert!(
            emitted(&actions)
                .iter()
                .all(|event| matches!(event, GroupEvent::Orphan { .. }))
        );
        watch(&mut script, ms(12_000), &owned_by(&[(3, "me-0")]));
    }
}

#[test]
fn a_list_of_members_that_changed_unseen_is_looked_at_again() {
    let mut script = member(plain());
    let (_, actions) = script.wait_for_timeout();
    assert_eq!(actions, [Action::ReadOwners]);
    let later = Owners {
        ids_zxid: 9,
        ..owners_but(&[])
    };
    assert_eq!(script.says(SessionEvent::OwnersRead(later)), []);
    assert_eq!(script.wait(ms(100)), [Action::ReadView]);
}

#[test]
fn a_blocked_member_says_nothing_of_others() {
    let mut script = member(plain());
    script.says(SessionEvent::Changed);
    script.wait(ms(100));
    script.sees(View {
        poison: vec![poison()],
        ..group()
    });
    let actions = watch(&mut script, ms(50_000), &owners_but(&[0, 1]));
    assert!(!actions.contains(&Action::ReadOwners), "{actions:?}");
}
