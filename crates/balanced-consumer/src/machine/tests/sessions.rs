//! Sessions that fail, end and begin again.

use super::*;

#[test]
fn a_session_that_cannot_be_opened_is_tried_again_for_ever_and_reported() {
    let mut script = Script::new();
    script.drain();
    for attempt in 0..12 {
        let actions = script.says(SessionEvent::SessionFailed { error: error() });
        let events = emitted(&actions);
        assert!(matches!(
            events[..],
            [GroupEvent::Error {
                operation: Operation::OpenSession,
                ..
            }]
        ));
        let (pause, actions) = script.wait_for_timeout();
        let full = ms(200 << attempt).min(ms(10_000));
        assert!(
            full / 2 <= pause && pause <= full,
            "attempt {attempt}: {pause:?}"
        );
        let incarnation = Incarnation(attempt + 2);
        assert_eq!(actions, [Action::OpenSession { incarnation }]);
    }
}

#[test]
fn a_member_that_got_through_has_its_failures_forgotten() {
    let mut script = Script::new();
    for _ in 0..6 {
        script.says(SessionEvent::SessionFailed { error: error() });
        script.wait_for_timeout();
    }
    script.says(SessionEvent::SessionOpened);
    script.says(SessionEvent::Registered);
    script.says(SessionEvent::SessionExpired);
    script.says(SessionEvent::SessionFailed { error: error() });
    assert!(script.wait_for_timeout().0 <= ms(200));
}

#[test]
fn a_registration_that_fails_is_tried_again() {
    let mut script = Script::new();
    script.says(SessionEvent::SessionOpened);
    for _ in 0..5 {
        let actions = script.says(SessionEvent::RegisterFailed { error: error() });
        let events = emitted(&actions);
        assert!(matches!(
            events[..],
            [GroupEvent::Error {
                operation: Operation::Register,
                ..
            }]
        ));
        assert_eq!(script.wait_for_timeout().1, [Action::Register]);
    }
    assert_eq!(script.says(SessionEvent::Registered), [Action::ReadView]);
}

#[test]
fn an_expired_session_loses_everything_at_once_and_is_replaced() {
    let mut script = Script::owning(3);
    // One partition in each state that the application knows, and two that it does not.
    script.looks(view(&["a", "b", "me"], 5));
    for partition in [0, 1] {
        script.says(SessionEvent::Stopped { tp: tp(partition) });
    }
    script.says(SessionEvent::Committed { tp: tp(0) });
    assert_eq!(script.state(2), PartitionState::Stopping);
    assert_eq!(script.state(4), PartitionState::Claiming);

    let actions = script.says(SessionEvent::SessionExpired);
    let incarnation = Incarnation(2);
    let losing = |partition| Action::Lost { tp: tp(partition) };
    assert_eq!(
        actions,
        [
            losing(0),
            losing(1),
            losing(2),
            lost(&[0, 1, 2]),
            Action::OpenSession { incarnation }
        ]
    );
    assert_eq!(script.machine.partitions().count(), 0);
    assert!(script.machine.assigned().is_empty());
    assert_eq!(script.says(SessionEvent::SessionOpened), [Action::Register]);
    assert_eq!(script.says(SessionEvent::Registered), [Action::ReadView]);
    assert_eq!(script.sees(view(&["me"], 1)), [claim(0)]);
}

#[test]
fn late_answers_of_an_earlier_session_are_ignored() {
    let mut script = Script::registered();
    script.sees(view(&["me"], 1));
    script.says(SessionEvent::SessionExpired);
    script.says(SessionEvent::SessionOpened);
    script.says(SessionEvent::Registered);
    assert_eq!(script.sees(view(&["me"], 1)), [claim(0)]);
    for event in [
        claimed(0, 4),
        SessionEvent::SessionExpired,
        SessionEvent::ViewRead(view(&[], 0)),
    ] {
        assert_eq!(script.handle(Event::Session(Incarnation(1), event)), []);
    }
    assert_eq!(script.state(0), PartitionState::Claiming);
}

#[test]
fn an_owned_partition_is_not_lost_twice() {
    let mut script = Script::owning(1);
    script.says(SessionEvent::OwnerNodeChanged { tp: tp(0) });
    let (tp, token, ownership) = (tp(0), Token(0), Ownership::Gone);
    script.says(SessionEvent::OwnerChecked {
        tp,
        token,
        ownership,
    });
    let incarnation = Incarnation(2);
    assert_eq!(
        script.says(SessionEvent::SessionExpired),
        [Action::OpenSession { incarnation }]
    );
}

#[test]
fn sessions_that_expire_before_they_are_of_use_are_not_opened_in_a_loop() {
    let mut script = Script::new();
    script.says(SessionEvent::SessionOpened);
    let actions = script.says(SessionEvent::SessionExpired);
    assert!(matches!(
        emitted(&actions)[..],
        [GroupEvent::Error {
            operation: Operation::OpenSession,
            ..
        }]
    ));
    let (pause, actions) = script.wait_for_timeout();
    assert!(pause >= ms(100), "{pause:?}");
    let incarnation = Incarnation(2);
    assert_eq!(actions, [Action::OpenSession { incarnation }]);
    // Being refused while it is opened counts as a failure.
    let actions = script.says(SessionEvent::SessionExpired);
    assert!(matches!(
        emitted(&actions)[..],
        [GroupEvent::Error {
            operation: Operation::OpenSession,
            ..
        }]
    ));
}
