//! From owned to free.

use super::*;

/// A member of two that has just been told to give partition 1 of 2 away.
fn giving_away_one() -> Script {
    let mut script = Script::owning(2);
    let actions = script.looks(view(&["me", "you"], 2));
    assert_eq!(actions, [revoking(&[1]), Action::Stop { tp: tp(1) }]);
    script
}

#[test]
fn what_moves_is_stopped_committed_and_released_and_the_rest_is_untouched() {
    let mut script = giving_away_one();
    assert_eq!(script.state(1), PartitionState::Stopping);
    let stopped = script.says(SessionEvent::Stopped { tp: tp(1) });
    assert_eq!(stopped, [Action::Commit { tp: tp(1) }]);
    assert_eq!(script.state(1), PartitionState::Committing);
    let committed = script.says(SessionEvent::Committed { tp: tp(1) });
    assert_eq!(committed, [revoked(&[1]), release(1, 1)]);
    assert_eq!(script.state(1), PartitionState::Releasing);
    assert_eq!(script.says(SessionEvent::Released { tp: tp(1) }), []);
    assert_eq!(script.state(1), PartitionState::Free);
    assert_eq!(script.owned(), [0]);
}

#[test]
fn partitions_that_leave_together_are_revoked_in_one_event_unless_one_is_slow() {
    let mut script = Script::owning(4);
    let actions = script.looks(view(&["a", "b", "me"], 4));
    assert_eq!(actions[0], revoking(&[0, 1, 2]));
    for partition in [0, 1] {
        script.says(SessionEvent::Stopped { tp: tp(partition) });
        assert_eq!(
            script.says(SessionEvent::Committed { tp: tp(partition) }),
            []
        );
    }
    // Partition 2 is still being stopped.
    let (pause, actions) = script.wait_for_timeout();
    assert_eq!(pause, ms(20));
    assert_eq!(actions, [revoked(&[0, 1]), release(0, 0), release(1, 1)]);
    script.says(SessionEvent::Stopped { tp: tp(2) });
    let actions = script.says(SessionEvent::Committed { tp: tp(2) });
    assert_eq!(actions, [revoked(&[2]), release(2, 2)]);
}

#[test]
fn what_leaves_goes_before_what_comes_and_does_not_wait_for_it() {
    let mut script = Script::registered();
    script.sees(view(&["a", "me"], 2));
    script.says(claimed(1, 1));
    script.says(SessionEvent::Positioned { tp: tp(1) });
    let actions = script.looks(view(&["me", "z"], 2));
    assert_eq!(
        actions,
        [revoking(&[1]), Action::Stop { tp: tp(1) }, claim(0)]
    );
    assert_eq!(script.says(refused(0, "a-0")), []);
    script.says(SessionEvent::Stopped { tp: tp(1) });
    let actions = script.says(SessionEvent::Committed { tp: tp(1) });
    assert_eq!(actions, [revoked(&[1]), release(1, 1)]);
}

#[test]
fn a_commit_that_fails_is_tried_until_its_deadline_and_then_given_up() {
    let mut script = giving_away_one();
    let began = script.now;
    script.says(SessionEvent::Stopped { tp: tp(1) });
    let mut tries = 0;
    loop {
        let actions = script.says(SessionEvent::CommitFailed {
            tp: tp(1),
            error: error(),
        });
        let gave_up = GroupEvent::ReleasedUncommitted {
            tp: tp(1),
            error: error(),
        };
        if actions.first() == Some(&Action::Emit(gave_up)) {
            assert_eq!(actions[1..], [revoked(&[1]), release(1, 1)]);
            break;
        }
        let events = emitted(&actions);
        assert!(matches!(
            events[..],
            [GroupEvent::Error {
                operation: Operation::Commit,
                ..
            }]
        ));
        assert_eq!(script.wait_for_timeout().1, [Action::Commit { tp: tp(1) }]);
        tries += 1;
    }
    assert!(tries >= 3, "{tries}");
    let took = script.now.since(began);
    assert!(ms(1000) < took && took < ms(4000), "{took:?}");
}

#[test]
fn a_release_that_fails_is_tried_again() {
    let mut script = giving_away_one();
    script.says(SessionEvent::Stopped { tp: tp(1) });
    script.says(SessionEvent::Committed { tp: tp(1) });
    for _ in 0..5 {
        let actions = script.says(SessionEvent::ReleaseFailed {
            tp: tp(1),
            error: error(),
        });
        let events = emitted(&actions);
        assert!(matches!(
            events[..],
            [GroupEvent::Error {
                operation: Operation::Release,
                ..
            }]
        ));
        assert_eq!(script.wait_for_timeout().1, [release(1, 1)]);
    }
}

#[test]
fn a_partition_that_comes_back_while_it_leaves_is_released_and_claimed_anew() {
    let mut script = giving_away_one();
    assert_eq!(script.looks(view(&["me"], 2)), []);
    script.says(SessionEvent::Stopped { tp: tp(1) });
    script.says(SessionEvent::Committed { tp: tp(1) });
    assert_eq!(
        script.says(SessionEvent::Released { tp: tp(1) }),
        [claim(1)]
    );
}

#[test]
fn a_partition_that_changes_streams_is_released_and_claimed_by_the_other() {
    let mut script = Script::owning(2);
    let mut two_streams = view(&["me"], 2);
    two_streams
        .members
        .insert("me", Subscription::from([("t".into(), 2)]));
    script.looks(two_streams);
    script.says(SessionEvent::Stopped { tp: tp(1) });
    script.says(SessionEvent::Committed { tp: tp(1) });
    let (tp, thread) = (tp(1), me(1));
    let actions = script.says(SessionEvent::Released { tp: tp.clone() });
    assert_eq!(actions, [Action::Claim { tp, thread }]);
    assert_eq!(script.owned(), [0]);
}

#[test]
fn a_claim_that_is_lost_while_it_leaves_commits_nothing_more() {
    let mut script = giving_away_one();
    script.says(SessionEvent::OwnerNodeChanged { tp: tp(1) });
    let (tp, token, ownership) = (tp(1), Token(1), Ownership::Gone);
    let actions = script.says(SessionEvent::OwnerChecked {
        tp: tp.clone(),
        token,
        ownership,
    });
    assert_eq!(actions, [Action::Lost { tp: tp.clone() }, lost(&[1])]);
    assert_eq!(script.says(SessionEvent::Stopped { tp }), []);
    assert_eq!(script.state(1), PartitionState::Free);
}

#[test]
fn a_claim_that_is_lost_is_not_repeated_before_the_outstanding_answer_came() {
    let mut script = giving_away_one();
    script.says(SessionEvent::Stopped { tp: tp(1) });
    script.says(SessionEvent::OwnerNodeChanged { tp: tp(1) });
    let (token, ownership) = (Token(1), Ownership::Gone);
    script.says(SessionEvent::OwnerChecked {
        tp: tp(1),
        token,
        ownership,
    });
    // The partition is this member's again, but its last commit may still be under way.
    script.wait(ms(100));
    assert_eq!(script.sees(view(&["me"], 2)), []);
    assert_eq!(
        script.says(SessionEvent::Committed { tp: tp(1) }),
        [claim(1)]
    );
}

#[test]
fn a_topic_that_is_deleted_is_reported_once_and_released() {
    let mut script = Script::owning(1);
    let mut gone = view(&["me"], 1);
    gone.partitions.clear();
    let actions = script.looks(gone.clone());
    let topic = "t".to_owned();
    let report = GroupEvent::TopicGone { topic };
    let expected = [
        report.clone(),
        GroupEvent::Idle,
        GroupEvent::Revoking {
            partitions: vec![tp(0)],
        },
    ];
    assert_eq!(emitted(&actions), expected);
    script.says(SessionEvent::Stopped { tp: tp(0) });
    script.says(SessionEvent::Committed { tp: tp(0) });
    script.says(SessionEvent::Released { tp: tp(0) });
    assert_eq!(script.looks(gone.clone()), []);
    // It comes back, and goes again.
    assert_eq!(script.looks(view(&["me"], 1)), [claim(0)]);
    script.says(refused(0, "you-0"));
    assert_eq!(emitted(&script.looks(gone)), [report, GroupEvent::Idle]);
}
