//! Leaving for a while.

use super::*;

#[test]
fn everything_is_released_in_order_and_then_the_registration_is_withdrawn() {
    let mut script = Script::owning(1);
    let actions = script.handle(Event::StandDown);
    assert_eq!(actions, [revoking(&[0]), Action::Stop { tp: tp(0) }]);
    script.says(SessionEvent::Stopped { tp: tp(0) });
    let actions = script.says(SessionEvent::Committed { tp: tp(0) });
    assert_eq!(actions, [revoked(&[0]), release(0, 0)]);
    let actions = script.says(SessionEvent::Released { tp: tp(0) });
    assert_eq!(actions, [Action::Unregister]);
    assert_eq!(script.says(SessionEvent::Unregistered), []);
    script.says(SessionEvent::Changed);
    assert_eq!(script.wait(ms(60_000)), [], "it stays away");
    assert_eq!(script.handle(Event::StandUp), [Action::Register]);
    assert_eq!(script.says(SessionEvent::Registered), [Action::ReadView]);
}

#[test]
fn a_view_that_was_being_read_claims_nothing() {
    let mut script = Script::registered();
    assert_eq!(script.handle(Event::StandDown), [Action::Unregister]);
    assert_eq!(script.sees(view(&["me"], 2)), []);
    assert_eq!(script.says(SessionEvent::Unregistered), []);
}

#[test]
fn a_member_that_goes_on_before_it_has_left_joins_again_all_the_same() {
    let mut script = Script::owning(1);
    script.handle(Event::StandDown);
    let actions = script.handle(Event::StandUp);
    assert_eq!(actions, [Action::ReadView], "it is still registered");
    script.says(SessionEvent::Stopped { tp: tp(0) });
    script.says(SessionEvent::Committed { tp: tp(0) });
    assert_eq!(script.sees(view(&["me"], 1)), []);
    assert_eq!(
        script.says(SessionEvent::Released { tp: tp(0) }),
        [claim(0)]
    );

    let mut script = Script::registered();
    assert_eq!(script.handle(Event::StandDown), [Action::Unregister]);
    assert_eq!(script.handle(Event::StandUp), [], "the answer is awaited");
    assert_eq!(script.says(SessionEvent::Unregistered), [Action::Register]);
}

#[test]
fn a_member_that_stands_down_can_be_closed_and_can_lose_its_session() {
    let mut script = Script::owning(1);
    script.handle(Event::StandDown);
    let actions = script.says(SessionEvent::SessionExpired);
    assert!(matches!(actions[..], [.., Action::OpenSession { .. }]));
    assert_eq!(script.says(SessionEvent::SessionOpened), []);
    assert_eq!(script.handle(Event::Close), [Action::CloseSession]);
    script.says(SessionEvent::SessionClosed);
    assert!(script.machine.is_closed());
}
