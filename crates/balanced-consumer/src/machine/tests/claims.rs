//! From free to owned, and what comes in between.

use super::*;

#[test]
fn a_member_registers_looks_claims_positions_and_starts_in_that_order() {
    let mut script = Script::new();
    let incarnation = Incarnation(1);
    assert_eq!(script.drain(), [Action::OpenSession { incarnation }]);
    assert_eq!(script.says(SessionEvent::SessionOpened), [Action::Register]);
    assert_eq!(script.says(SessionEvent::Registered), [Action::ReadView]);
    assert_eq!(script.sees(view(&["me", "you"], 2)), [claim(0)]);
    assert_eq!(script.state(0), PartitionState::Claiming);

    let (tp, token, thread) = (tp(0), Token(5), me(0));
    let position = Action::Position {
        tp: tp.clone(),
        token,
    };
    assert_eq!(script.says(claimed(0, 5)), [position]);
    assert_eq!(script.state(0), PartitionState::Positioning);

    let positioned = script.says(SessionEvent::Positioned { tp: tp.clone() });
    assert_eq!(
        positioned,
        [assigned(&[0]), Action::Start { tp, token, thread }]
    );
    assert_eq!(script.state(0), PartitionState::Owned);
}

#[test]
fn partitions_that_arrive_together_are_assigned_in_one_event() {
    let mut script = Script::registered();
    assert_eq!(
        script.sees(view(&["me"], 3)),
        [claim(0), claim(1), claim(2)]
    );
    for partition in 0..3 {
        script.says(claimed(partition, 1));
    }
    assert_eq!(script.says(SessionEvent::Positioned { tp: tp(1) }), []);
    assert_eq!(script.says(SessionEvent::Positioned { tp: tp(0) }), []);
    let actions = script.says(SessionEvent::Positioned { tp: tp(2) });
    assert_eq!(actions[0], assigned(&[0, 1, 2]));
    assert_eq!(script.owned(), [0, 1, 2]);
}

#[test]
fn a_slow_claim_does_not_hold_up_the_others() {
    let mut script = Script::registered();
    script.sees(view(&["me"], 2));
    script.says(claimed(0, 1));
    assert_eq!(script.says(SessionEvent::Positioned { tp: tp(0) }), []);
    let (pause, actions) = script.wait_for_timeout();
    assert_eq!(pause, ms(20));
    assert_eq!(actions[0], assigned(&[0]));
    assert_eq!(script.state(1), PartitionState::Claiming);
}

#[test]
fn a_member_is_settled_when_all_that_is_its_is_handed_out() {
    let mut script = Script::registered();
    script.sees(view(&["me"], 2));
    assert!(!script.machine.is_settled(), "claims are under way");
    script.says(claimed(0, 1));
    script.says(SessionEvent::Positioned { tp: tp(0) });
    script.wait_for_timeout();
    assert_eq!(script.owned(), [0]);
    assert!(!script.machine.is_settled(), "half of it is handed out");
    script.says(claimed(1, 1));
    script.says(SessionEvent::Positioned { tp: tp(1) });
    assert_eq!(script.owned(), [0, 1]);
    assert!(script.machine.is_settled());
    script.looks(view(&["me", "you"], 2));
    assert!(
        !script.machine.is_settled(),
        "the other half is on its way out"
    );
}

#[test]
fn a_claim_that_the_assignment_left_behind_is_finished_and_then_released() {
    let mut script = Script::registered();
    script.sees(view(&["me"], 2));
    // Partition 1 is the other member's now, but its claim is under way.
    assert_eq!(script.looks(view(&["me", "you"], 2)), []);
    assert_eq!(script.says(claimed(1, 8)), [release(1, 8)]);
    assert_eq!(script.state(1), PartitionState::Releasing);
    script.says(SessionEvent::Released { tp: tp(1) });
    assert_eq!(script.state(1), PartitionState::Free);
}

#[test]
fn a_position_that_the_assignment_left_behind_is_released_without_a_commit() {
    let mut script = Script::registered();
    script.sees(view(&["me"], 2));
    script.says(claimed(1, 8));
    assert_eq!(script.looks(view(&["me", "you"], 2)), []);
    assert_eq!(
        script.says(SessionEvent::Positioned { tp: tp(1) }),
        [release(1, 8)]
    );
}

#[test]
fn a_claim_of_unknown_outcome_is_released_if_it_is_not_wanted_any_more() {
    let mut script = Script::registered();
    script.sees(view(&["me"], 2));
    script.says(SessionEvent::ClaimFailed {
        tp: tp(1),
        error: error(),
    });
    let actions = script.looks(view(&["me", "you"], 2));
    let (tp, token) = (tp(1), None);
    assert_eq!(actions, [Action::Release { tp, token }]);
}

#[test]
fn failed_claims_and_positions_are_tried_again_for_ever_and_reported() {
    let mut script = Script::registered();
    script.sees(view(&["me"], 1));
    assert_retried(&mut script, Operation::Claim, &claim(0), |tp, error| {
        SessionEvent::ClaimFailed { tp, error }
    });
    script.says(claimed(0, 5));
    let (tp, token) = (tp(0), Token(5));
    let position = Action::Position { tp, token };
    assert_retried(&mut script, Operation::Position, &position, |tp, error| {
        SessionEvent::PositionFailed { tp, error }
    });
}

/// Fails an operation of partition 0 many times and expects a report and another try each time.
fn assert_retried(
    script: &mut Script,
    operation: Operation,
    again: &Action,
    failure: fn(TopicPartition, String) -> SessionEvent,
) {
    for attempt in 0..12 {
        let actions = script.says(failure(tp(0), error()));
        let [
            GroupEvent::Error {
                operation: failed,
                tp: of,
                error: why,
                retry_in,
            },
        ] = &emitted(&actions)[..]
        else {
            panic!("no report: {actions:?}");
        };
        assert_eq!((*failed, of, why), (operation, &Some(tp(0)), &error()));
        let full = ms(200 << attempt).min(ms(10_000));
        let pause = retry_in.unwrap();
        assert!(
            full / 2 <= pause && pause <= full,
            "attempt {attempt}: {pause:?}"
        );
        let actions = script.wait(pause);
        assert!(actions.contains(again), "attempt {attempt}: {actions:?}");
        if actions.contains(&Action::ReadView) {
            script.sees(view(&["me"], 1));
        }
    }
}

#[test]
fn a_refused_claim_is_tried_again_at_once_when_the_owner_node_goes() {
    let mut script = Script::registered();
    script.sees(view(&["me"], 1));
    assert_eq!(script.says(refused(0, "you-0")), []);
    assert_eq!(script.state(0), PartitionState::Free);
    script.wait(ms(100));
    // Neither a view nor a pause is needed.
    assert_eq!(
        script.says(SessionEvent::OwnerNodeChanged { tp: tp(0) }),
        [claim(0)]
    );
}

#[test]
fn an_owner_node_that_went_before_its_refusal_was_heard_is_not_waited_for() {
    let mut script = Script::registered();
    script.sees(view(&["me"], 1));
    assert_eq!(
        script.says(SessionEvent::OwnerNodeChanged { tp: tp(0) }),
        []
    );
    assert_eq!(script.says(refused(0, "you-0")), [claim(0)]);
    // Only once: the next refusal is up to date.
    assert_eq!(script.says(refused(0, "you-0")), []);
}

#[test]
fn an_owner_node_that_changed_before_its_claim_was_heard_is_looked_at() {
    let mut script = Script::registered();
    script.sees(view(&["me"], 1));
    script.says(SessionEvent::OwnerNodeChanged { tp: tp(0) });
    let (tp, token) = (tp(0), Token(5));
    let check = Action::CheckOwner { tp, token };
    assert!(script.says(claimed(0, 5)).contains(&check));
}

#[test]
fn a_refused_claim_waits_without_limit_and_is_reported() {
    let mut script = Script::registered();
    script.sees(view(&["me"], 1));
    assert_eq!(script.says(refused(0, "you-0")), []);
    let began = script.now;
    for attempt in 0..20 {
        let mut actions = Vec::new();
        let refused_at = script.now;
        while !actions.contains(&claim(0)) {
            actions = script.wait_for_timeout().1;
            if actions.contains(&Action::ReadView) {
                script.sees(view(&["me"], 1));
            }
        }
        let (pause, full) = (
            script.now.since(refused_at),
            ms(2000 << attempt.min(9)).min(ms(10_000)),
        );
        assert!(
            full / 2 <= pause && pause <= full,
            "attempt {attempt}: {pause:?}"
        );
        let waiting = GroupEvent::Waiting {
            tp: tp(0),
            owner: "you-0".to_owned(),
            waited: script.now.since(began),
        };
        assert_eq!(script.says(refused(0, "you-0")), [Action::Emit(waiting)]);
    }
}

#[test]
fn a_refused_claim_that_is_not_wanted_any_more_is_forgotten() {
    let mut script = Script::registered();
    script.sees(view(&["me"], 2));
    script.says(claimed(0, 1));
    script.says(refused(1, "you-0"));
    assert_eq!(script.looks(view(&["me", "you"], 2)), []);
    assert_eq!(
        script.says(SessionEvent::OwnerNodeChanged { tp: tp(1) }),
        []
    );
    assert_eq!(script.machine.partitions().count(), 1);
}

#[test]
fn an_own_node_that_changed_and_is_still_ours_costs_nothing() {
    let mut script = Script::owning(1);
    let (tp, token) = (tp(0), Token(0));
    let check = Action::CheckOwner {
        tp: tp.clone(),
        token,
    };
    let actions = script.says(SessionEvent::OwnerNodeChanged { tp: tp.clone() });
    assert_eq!(actions.first(), Some(&check));
    // A change while it is looked at is looked at as well.
    assert_eq!(
        script.says(SessionEvent::OwnerNodeChanged { tp: tp.clone() }),
        []
    );
    let ours = SessionEvent::OwnerChecked {
        tp,
        token,
        ownership: Ownership::Ours,
    };
    assert_eq!(script.says(ours.clone()), [check]);
    assert_eq!(script.says(ours), []);
    assert_eq!(script.owned(), [0]);
}

#[test]
fn an_own_node_that_is_gone_or_foreign_loses_that_partition_at_once() {
    let foreign = Ownership::Foreign {
        owner: "you-0".to_owned(),
    };
    for ownership in [Ownership::Gone, foreign] {
        let mut script = Script::owning(2);
        script.says(SessionEvent::OwnerNodeChanged { tp: tp(0) });
        let (tp, token) = (tp(0), Token(0));
        let actions = script.says(SessionEvent::OwnerChecked {
            tp: tp.clone(),
            token,
            ownership,
        });
        assert_eq!(actions, [Action::Lost { tp }, lost(&[0]), claim(0)]);
        assert_eq!(script.owned(), [1]);
        assert_eq!(script.wait(ms(100)), [Action::ReadView]);
    }
}

#[test]
fn a_look_at_an_own_node_that_fails_is_repeated() {
    let mut script = Script::owning(1);
    script.says(SessionEvent::OwnerNodeChanged { tp: tp(0) });
    let (tp, token, error) = (tp(0), Token(0), error());
    let actions = script.says(SessionEvent::OwnerCheckFailed {
        tp: tp.clone(),
        token,
        error,
    });
    assert!(matches!(
        emitted(&actions)[..],
        [GroupEvent::Error {
            operation: Operation::CheckOwner,
            ..
        }]
    ));
    assert_eq!(
        script.wait_for_timeout().1,
        [Action::CheckOwner { tp, token }]
    );
    assert_eq!(script.owned(), [0]);
}

#[test]
fn a_failure_that_concerns_a_lost_claim_is_no_news() {
    let mut script = Script::registered();
    script.sees(view(&["me"], 1));
    script.says(claimed(0, 5));
    script.says(SessionEvent::OwnerNodeChanged { tp: tp(0) });
    let gone = SessionEvent::OwnerChecked {
        tp: tp(0),
        token: Token(5),
        ownership: Ownership::Gone,
    };
    // It was not handed out, so that nothing is lost; but its position is still being read.
    assert_eq!(script.says(gone), []);
    let failed = SessionEvent::PositionFailed {
        tp: tp(0),
        error: error(),
    };
    assert_eq!(script.says(failed), [claim(0)]);
}

#[test]
fn what_is_said_of_an_earlier_claim_does_not_touch_the_present_one() {
    let mut script = Script::owning(1);
    script.says(SessionEvent::OwnerNodeChanged { tp: tp(0) });
    let gone = SessionEvent::OwnerChecked {
        tp: tp(0),
        token: Token(0),
        ownership: Ownership::Gone,
    };
    script.says(gone.clone());
    script.says(claimed(0, 9));
    script.says(SessionEvent::Positioned { tp: tp(0) });
    assert_eq!(script.owned(), [0]);
    assert_eq!(script.says(gone.clone()), []);
    script.says(SessionEvent::OwnerNodeChanged { tp: tp(0) });
    assert_eq!(script.says(gone), []);
    assert_eq!(script.owned(), [0]);
}

#[test]
fn answers_that_nothing_asked_for_change_nothing() {
    let mut script = Script::owning(1);
    for event in [
        claimed(0, 3),
        claimed(9, 3),
        refused(0, "you-0"),
        SessionEvent::ClaimFailed {
            tp: tp(0),
            error: error(),
        },
        SessionEvent::Positioned { tp: tp(0) },
        SessionEvent::PositionFailed {
            tp: tp(0),
            error: error(),
        },
        SessionEvent::Stopped { tp: tp(0) },
        SessionEvent::Committed { tp: tp(0) },
        SessionEvent::CommitFailed {
            tp: tp(0),
            error: error(),
        },
        SessionEvent::Released { tp: tp(0) },
        SessionEvent::ReleaseFailed {
            tp: tp(0),
            error: error(),
        },
        SessionEvent::OwnerChecked {
            tp: tp(0),
            token: Token(0),
            ownership: Ownership::Gone,
        },
        SessionEvent::OwnerCheckFailed {
            tp: tp(0),
            token: Token(0),
            error: error(),
        },
        SessionEvent::SessionOpened,
        SessionEvent::SessionFailed { error: error() },
        SessionEvent::SessionClosed,
        SessionEvent::Registered,
        SessionEvent::RegisterFailed { error: error() },
        SessionEvent::Unregistered,
        SessionEvent::ViewRead(View::default()),
        SessionEvent::ViewFailed { error: error() },
    ] {
        assert_eq!(script.says(event.clone()), [], "{event:?}");
        assert_eq!(script.owned(), [0], "{event:?}");
    }
}
