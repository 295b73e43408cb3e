//! Looking at the group.

use super::*;
use crate::assignor::RoundRobin;

#[test]
fn many_changes_become_one_look_within_a_tenth_of_a_second() {
    let mut script = Script::owning(1);
    for _ in 0..10 {
        assert_eq!(script.says(SessionEvent::Changed), []);
    }
    let (pause, actions) = script.wait_for_timeout();
    assert!(pause <= ms(100), "{pause:?}");
    assert_eq!(actions, [Action::ReadView]);
    assert_eq!(script.wait(ms(200)), []);
}

#[test]
fn a_change_during_a_look_leads_to_another() {
    let mut script = Script::registered();
    assert_eq!(script.says(SessionEvent::Changed), []);
    assert_eq!(script.wait(ms(100)), []);
    assert_eq!(script.sees(view(&["me"], 1)), [claim(0)]);
    assert_eq!(script.wait(ms(100)), [Action::ReadView]);
}

#[test]
fn the_group_is_looked_at_now_and_then_without_a_change() {
    let mut script = Script::owning(1);
    let (pause, actions) = script.wait_for_timeout();
    assert!(ms(22_500) <= pause && pause <= ms(45_000), "{pause:?}");
    assert_eq!(actions, [Action::ReadView]);
}

#[test]
fn a_look_that_fails_is_repeated_for_ever_and_reported() {
    let mut script = Script::registered();
    for attempt in 0..12 {
        let actions = script.says(SessionEvent::ViewFailed { error: error() });
        let events = emitted(&actions);
        assert!(matches!(
            events[..],
            [GroupEvent::Error {
                operation: Operation::ReadView,
                ..
            }]
        ));
        let (pause, actions) = script.wait_for_timeout();
        let full = ms(200 << attempt).min(ms(10_000));
        assert!(
            full / 2 <= pause && pause <= full,
            "attempt {attempt}: {pause:?}"
        );
        assert_eq!(actions, [Action::ReadView]);
    }
}

#[test]
fn a_member_without_partitions_is_idle_and_says_so_once_per_change() {
    let mut script = Script::registered();
    let crowd = view(&["a", "b", "me"], 2);
    assert_eq!(script.sees(crowd.clone()), [Action::Emit(GroupEvent::Idle)]);
    assert_eq!(script.looks(crowd.clone()), []);
    assert_eq!(script.looks(view(&["b", "me"], 2)), [claim(1)]);
    script.says(refused(1, "a-0"));
    assert_eq!(script.looks(crowd), [Action::Emit(GroupEvent::Idle)]);
}

#[test]
fn a_lost_registration_is_renewed_and_what_is_owned_stays() {
    let mut script = Script::owning(1);
    assert_eq!(script.looks(view(&["you"], 2)), [Action::Register]);
    assert!(!script.machine.is_registered());
    assert_eq!(script.owned(), [0]);
    // Nothing is claimed before the group can see the member.
    script.says(SessionEvent::OwnerNodeChanged { tp: tp(0) });
    let (tp, token, ownership) = (tp(0), Token(0), Ownership::Gone);
    let actions = script.says(SessionEvent::OwnerChecked {
        tp: tp.clone(),
        token,
        ownership,
    });
    assert_eq!(actions, [Action::Lost { tp }, lost(&[0])]);
    let actions = script.says(SessionEvent::RegisterFailed { error: error() });
    assert!(matches!(
        emitted(&actions)[..],
        [GroupEvent::Error {
            operation: Operation::Register,
            ..
        }]
    ));
    let mut actions = Vec::new();
    while actions.is_empty() {
        actions = script.wait_for_timeout().1;
    }
    assert_eq!(actions, [Action::Register]);
    assert_eq!(
        script.says(SessionEvent::Registered),
        [Action::ReadView, claim(0)]
    );
}

fn poisoned() -> View {
    View {
        poison: vec![poison()],
        ..view(&["me"], 1)
    }
}

#[test]
fn a_blocked_group_is_left_to_itself_until_the_member_that_blocks_it_leaves() {
    let mut script = Script::owning(1);
    let PoisonMember { node, data, kind } = poison();
    let report = GroupEvent::Blocked { node, data, kind };
    let actions = script.looks(poisoned());
    let report = Action::Emit(report);
    assert_eq!(
        actions,
        [report.clone(), revoking(&[0]), Action::Stop { tp: tp(0) }]
    );
    script.says(SessionEvent::Stopped { tp: tp(0) });
    script.says(SessionEvent::Committed { tp: tp(0) });
    assert_eq!(script.says(SessionEvent::Released { tp: tp(0) }), []);
    assert!(script.machine.is_registered());
    assert_eq!(script.looks(poisoned()), []);
    script.wait(ms(60_000));
    assert_eq!(script.sees(poisoned()).first(), Some(&report));
    assert_eq!(script.looks(view(&["me"], 1)), [claim(0)]);
    // It is news when it comes back, however soon.
    script.says(refused(0, "you-0"));
    assert_eq!(script.looks(poisoned()), [report]);
}

#[test]
fn a_registration_without_data_holds_everything_up_and_is_looked_at_again() {
    let mut script = Script::owning(1);
    let mut half = view(&["me"], 2);
    half.registering.push("/consumers/g/ids/late".to_owned());
    let actions = script.looks(half);
    let [
        GroupEvent::Error {
            operation: Operation::Assign,
            error,
            retry_in,
            ..
        },
    ] = &emitted(&actions)[..]
    else {
        panic!("{actions:?}");
    };
    assert!(error.contains("/consumers/g/ids/late"), "{error}");
    assert!(retry_in.unwrap() <= ms(200));
    assert_eq!(script.owned(), [0]);
    assert_eq!(script.wait_for_timeout().1, [Action::ReadView]);
    assert_eq!(script.sees(view(&["me"], 2)), [claim(1)]);
}

#[test]
fn an_assignment_that_cannot_be_computed_leaves_the_last_one_in_force() {
    let config = MembershipConfig::new("me", Arc::new(RoundRobin));
    let mut script = Script::with(config);
    script.says(SessionEvent::SessionOpened);
    script.says(SessionEvent::Registered);
    script.sees(view(&["me"], 1));
    script.says(claimed(0, 1));
    script.says(SessionEvent::Positioned { tp: tp(0) });
    let mut unequal = view(&["me"], 1);
    unequal
        .members
        .insert("you", Subscription::from([("other".into(), 1)]));
    let actions = script.looks(unequal);
    let [
        GroupEvent::Error {
            operation: Operation::Assign,
            error,
            retry_in: None,
            ..
        },
    ] = &emitted(&actions)[..]
    else {
        panic!("{actions:?}");
    };
    assert!(error.contains("roundrobin"), "{error}");
    assert_eq!(script.owned(), [0]);
}

#[test]
fn time_that_steps_back_is_taken_for_standing_still() {
    let mut script = Script::owning(1);
    script.says(SessionEvent::Changed);
    let due = script.machine.poll_timeout().unwrap();
    script.machine.handle_timeout(Time::default());
    assert_eq!(script.drain(), []);
    assert_eq!(script.machine.poll_timeout(), Some(due));
}

/// Kafka's own members order such partitions by chance, so there is nothing to agree with.
#[test]
fn an_order_that_kafka_leaves_to_chance_is_refused_and_the_topics_are_named() {
    let subscription = Subscription::from([("Aa".into(), 1), ("BB".into(), 1)]);
    let view = View {
        members: [("me", subscription)].into_iter().collect(),
        partitions: TopicPartitions::from([("Aa".into(), vec![0]), ("BB".into(), vec![0])]),
        registration: OwnRegistration::Ours,
        ..View::default()
    };
    let mut script = Script::with(MembershipConfig::new("me", Arc::new(RoundRobin)));
    script.says(SessionEvent::SessionOpened);
    script.says(SessionEvent::Registered);
    let events = emitted(&script.sees(view));
    let [
        GroupEvent::Error {
            operation: Operation::Assign,
            error,
            ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert!(error.contains("Aa-0") && error.contains("BB-0"), "{error}");
}

#[test]
fn a_member_of_another_dialect_is_named_once() {
    let node = "/consumers/g/ids/java".to_owned();
    let with = View {
        misplaced: vec![node.clone()],
        ..view(&["me"], 1)
    };
    let named = [Action::Emit(GroupEvent::Misplaced { node })];
    let mut script = Script::owning(1);
    assert_eq!(script.looks(with.clone()), named);
    assert_eq!(script.looks(with.clone()), []);
    assert_eq!(script.looks(view(&["me"], 1)), []);
    assert_eq!(script.looks(with), named);
}
