//! The lease runs out and is renewed, and the member looks after its own nodes.

use super::*;

fn suspend(partition: i32) -> Action {
    Action::Suspend { tp: tp(partition) }
}

fn resume(partition: i32) -> Action {
    Action::Resume { tp: tp(partition) }
}

fn check(partition: i32, token: i64) -> Action {
    Action::CheckOwner {
        tp: tp(partition),
        token: Token(token),
    }
}

fn checked(partition: i32, token: i64, ownership: Ownership) -> SessionEvent {
    SessionEvent::OwnerChecked {
        tp: tp(partition),
        token: Token(token),
        ownership,
    }
}

fn suspended(partitions: &[i32]) -> Action {
    let partitions = partitions.iter().copied().map(tp).collect();
    Action::Emit(GroupEvent::Suspended { partitions })
}

fn resumed(partitions: &[i32]) -> Action {
    let partitions = partitions.iter().copied().map(tp).collect();
    Action::Emit(GroupEvent::Resumed { partitions })
}

/// A lone member of two partitions, whose lease has run out.
fn without_lease() -> Script {
    let mut script = Script::owning(2);
    let actions = script.says(SessionEvent::LeaseEnded);
    assert_eq!(actions, [suspend(0), suspend(1), suspended(&[0, 1])]);
    script
}

#[test]
fn what_is_owned_is_suspended_at_the_end_of_the_lease_and_nothing_is_given_up() {
    let mut script = without_lease();
    assert_eq!(script.state(0), PartitionState::Suspended);
    assert!(!script.machine.is_settled());
    assert_eq!(script.says(SessionEvent::LeaseEnded), [], "once is enough");
}

#[test]
fn a_renewed_lease_resumes_what_is_still_there_with_its_token() {
    let mut script = without_lease();
    let actions = script.says(SessionEvent::LeaseRenewed);
    assert_eq!(actions, [check(0, 0), check(1, 1)], "looks first");
    assert_eq!(script.says(checked(0, 0, Ownership::Ours)), [resume(0)]);
    assert_eq!(script.state(1), PartitionState::Suspended);
    let actions = script.says(checked(1, 1, Ownership::Ours));
    assert_eq!(actions, [resume(1), resumed(&[0, 1])]);
    assert!(script.machine.is_settled());
}

#[test]
fn what_is_resumed_is_not_held_back_by_what_is_slow() {
    let mut script = without_lease();
    script.says(SessionEvent::LeaseRenewed);
    script.says(checked(0, 0, Ownership::Ours));
    let (pause, actions) = script.wait_for_timeout();
    assert_eq!((pause, actions), (ms(20), vec![resumed(&[0])]));
}

#[test]
fn what_has_gone_meanwhile_is_lost_and_claimed_anew() {
    let mut script = without_lease();
    script.says(SessionEvent::LeaseRenewed);
    let actions = script.says(checked(0, 0, Ownership::Gone));
    assert_eq!(actions, [Action::Lost { tp: tp(0) }, lost(&[0]), claim(0)]);
    let foreign = Ownership::Foreign {
        owner: "you-0".to_owned(),
    };
    let actions = script.says(checked(1, 1, foreign));
    assert_eq!(actions[..2], [Action::Lost { tp: tp(1) }, lost(&[1])]);
}

#[test]
fn a_look_from_before_the_lease_ended_again_resumes_nothing() {
    let mut script = without_lease();
    script.says(SessionEvent::LeaseRenewed);
    assert_eq!(script.says(SessionEvent::LeaseEnded), []);
    assert_eq!(script.says(checked(0, 0, Ownership::Ours)), []);
    assert_eq!(script.state(0), PartitionState::Suspended);
    let actions = script.says(SessionEvent::LeaseRenewed);
    assert_eq!(actions, [check(0, 0)], "the other one is being looked at");
    assert_eq!(
        script.says(checked(1, 1, Ownership::Ours)),
        [check(1, 1)],
        "that look may be older than the lease"
    );
    assert_eq!(script.says(checked(1, 1, Ownership::Ours)), [resume(1)]);
}

#[test]
fn the_end_of_the_session_is_the_end_of_what_is_suspended() {
    let mut script = without_lease();
    let actions = script.says(SessionEvent::SessionExpired);
    assert_eq!(
        actions[..3],
        [
            Action::Lost { tp: tp(0) },
            Action::Lost { tp: tp(1) },
            lost(&[0, 1])
        ]
    );
}

#[test]
fn nothing_is_started_while_the_lease_has_run_out_or_the_claim_is_in_doubt() {
    let mut script = Script::registered();
    script.sees(view(&["me"], 1));
    script.says(claimed(0, 7));
    script.says(SessionEvent::LeaseEnded);
    assert_eq!(script.says(SessionEvent::Positioned { tp: tp(0) }), []);
    assert_eq!(script.says(SessionEvent::LeaseRenewed), [check(0, 7)]);
    assert_eq!(script.state(0), PartitionState::Positioning);
    let actions = script.says(checked(0, 7, Ownership::Ours));
    assert_eq!(actions[0], assigned(&[0]));
    assert_eq!(script.owned(), [0]);
}

#[test]
fn a_commit_waits_for_the_lease_and_has_its_time_then() {
    let mut script = Script::owning(1);
    script.looks(view(&["a", "me"], 1));
    script.says(SessionEvent::Stopped { tp: tp(0) });
    assert_eq!(script.state(0), PartitionState::Committing);
    assert_eq!(script.says(SessionEvent::LeaseEnded), [suspend(0)]);
    let failed = SessionEvent::CommitFailed {
        tp: tp(0),
        error: error(),
    };
    script.says(failed.clone());
    assert_eq!(
        script.wait(ms(20_000)),
        [],
        "not even when its time is over"
    );
    assert_eq!(script.says(SessionEvent::LeaseRenewed), [check(0, 0)]);
    let actions = script.says(checked(0, 0, Ownership::Ours));
    assert_eq!(actions, [resume(0), Action::Commit { tp: tp(0) }]);
    script.says(failed);
    assert_eq!(script.wait_for_timeout().1, [Action::Commit { tp: tp(0) }]);
}

#[test]
fn a_commit_that_is_fenced_is_not_tried_again() {
    let mut script = Script::owning(1);
    script.looks(view(&["a", "me"], 1));
    script.says(SessionEvent::Stopped { tp: tp(0) });
    let actions = script.says(SessionEvent::CommitFenced {
        tp: tp(0),
        error: error(),
    });
    let gave_up = GroupEvent::ReleasedUncommitted {
        tp: tp(0),
        error: error(),
    };
    assert_eq!(
        actions,
        [Action::Emit(gave_up), revoked(&[0]), release(0, 0)]
    );
}

#[test]
fn a_fenced_claim_is_lost_and_made_anew() {
    let mut script = Script::owning(2);
    let fenced = |token| SessionEvent::Fenced {
        tp: tp(1),
        token: Token(token),
    };
    assert_eq!(script.says(fenced(99)), [], "another claim");
    let actions = script.says(fenced(1));
    assert_eq!(
        actions,
        [Action::Lost { tp: tp(1) }, lost(&[1]), release(1, 1)]
    );
    assert_eq!(script.owned(), [0]);
    let actions = script.says(SessionEvent::Released { tp: tp(1) });
    assert_eq!(actions, [claim(1)]);
}

#[test]
fn own_nodes_are_looked_at_now_and_then_without_a_watch() {
    let mut script = Script::with(MembershipConfig {
        survey: ms(3_600_000),
        ..MembershipConfig::new("me", Arc::new(Range))
    });
    script.says(SessionEvent::SessionOpened);
    script.says(SessionEvent::Registered);
    let mut script = script.taking(2);
    let began = script.now;
    for round in 1..4_u64 {
        let looks = loop {
            let (_, actions) = script.wait_for_timeout();
            if actions.contains(&Action::ReadView) {
                script.sees(view(&["me"], 2));
            } else if !actions.is_empty() {
                break actions;
            }
        };
        assert_eq!(looks, [check(0, 0), check(1, 1)]);
        let passed = script.now.since(began);
        assert!(passed <= ms(round * 20_000), "{round}: {passed:?}");
        script.says(checked(0, 0, Ownership::Ours));
        assert_eq!(script.says(checked(1, 1, Ownership::Ours)), []);
    }
}
