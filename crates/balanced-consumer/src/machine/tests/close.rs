//! Leaving.

use super::*;

#[test]
fn a_close_stops_commits_releases_unregisters_and_closes_in_that_order() {
    let mut script = Script::owning(2);
    let stop = |partition| Action::Stop { tp: tp(partition) };
    assert_eq!(
        script.handle(Event::Close),
        [revoking(&[0, 1]), stop(0), stop(1)]
    );
    assert_eq!(script.handle(Event::Close), []);
    for partition in [0, 1] {
        let commit = Action::Commit { tp: tp(partition) };
        assert_eq!(
            script.says(SessionEvent::Stopped { tp: tp(partition) }),
            [commit]
        );
    }
    assert_eq!(script.says(SessionEvent::Committed { tp: tp(1) }), []);
    let committed = script.says(SessionEvent::Committed { tp: tp(0) });
    assert_eq!(committed, [revoked(&[0, 1]), release(0, 0), release(1, 1)]);
    assert_eq!(script.says(SessionEvent::Released { tp: tp(0) }), []);
    assert_eq!(
        script.says(SessionEvent::Released { tp: tp(1) }),
        [Action::Unregister]
    );
    assert_eq!(
        script.says(SessionEvent::Unregistered),
        [Action::CloseSession]
    );
    assert!(!script.machine.is_closed());
    assert_eq!(script.says(SessionEvent::SessionClosed), []);
    assert!(script.machine.is_closed());
    assert_eq!(script.machine.poll_timeout(), None);
    assert_eq!(script.says(SessionEvent::Changed), []);
    assert_eq!(script.handle(Event::Close), []);
}

#[test]
fn a_close_finishes_and_releases_what_is_being_claimed() {
    let mut script = Script::registered();
    script.sees(view(&["me"], 3));
    script.says(claimed(0, 4));
    script.says(refused(1, "you-0"));
    assert_eq!(script.handle(Event::Close), []);
    assert_eq!(
        script.says(SessionEvent::Positioned { tp: tp(0) }),
        [release(0, 4)]
    );
    assert_eq!(script.says(claimed(2, 5)), [release(2, 5)]);
    script.says(SessionEvent::Released { tp: tp(0) });
    assert_eq!(
        script.says(SessionEvent::Released { tp: tp(2) }),
        [Action::Unregister]
    );
}

#[test]
fn a_close_while_the_registration_is_under_way_waits_for_its_answer() {
    let mut script = Script::new();
    script.says(SessionEvent::SessionOpened);
    assert_eq!(script.handle(Event::Close), []);
    assert_eq!(script.says(SessionEvent::Registered), [Action::Unregister]);

    let mut script = Script::new();
    script.says(SessionEvent::SessionOpened);
    script.handle(Event::Close);
    let actions = script.says(SessionEvent::RegisterFailed { error: error() });
    assert_eq!(actions.last(), Some(&Action::CloseSession));
    script.says(SessionEvent::SessionClosed);
    assert_eq!(script.machine.poll_timeout(), None);
}

#[test]
fn a_close_without_a_session_ends_at_once() {
    let mut opening = Script::new();
    opening.drain();
    assert_eq!(opening.handle(Event::Close), [Action::CloseSession]);
    assert_eq!(opening.says(SessionEvent::SessionOpened), []);
    opening.says(SessionEvent::SessionClosed);
    assert!(opening.machine.is_closed());

    let mut down = Script::new();
    down.says(SessionEvent::SessionFailed { error: error() });
    assert_eq!(down.handle(Event::Close), [Action::CloseSession]);
    down.says(SessionEvent::SessionClosed);
    assert!(down.machine.is_closed());
}

#[test]
fn a_session_that_expires_during_a_close_ends_it() {
    let mut script = Script::owning(1);
    script.handle(Event::Close);
    let actions = script.says(SessionEvent::SessionExpired);
    assert_eq!(
        actions,
        [Action::Lost { tp: tp(0) }, lost(&[0]), Action::CloseSession]
    );
    script.says(SessionEvent::SessionClosed);
    assert!(script.machine.is_closed());
    assert_eq!(script.machine.poll_timeout(), None);
}

#[test]
fn a_close_that_takes_too_long_leaves_the_rest_to_the_end_of_the_session() {
    let mut script = Script::owning(1);
    script.handle(Event::Close);
    let (pause, actions) = script.wait_for_timeout();
    assert_eq!(pause, ms(10_000));
    assert_eq!(
        actions,
        [Action::Lost { tp: tp(0) }, lost(&[0]), Action::CloseSession]
    );
    // Even a driver that never answers does not keep it open.
    let (pause, actions) = script.wait_for_timeout();
    assert!(
        pause <= ms(1000) && actions.is_empty(),
        "{pause:?} {actions:?}"
    );
    assert!(script.machine.is_closed());
}
