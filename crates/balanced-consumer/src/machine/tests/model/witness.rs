//! What the world takes down of its members, and what must hold of it.

use super::*;
use crate::assignor::Assignor;

/// What a member does with a partition, as far as the world can see.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hand {
    Claimed,
    Positioned,
    Started,
    Stopped,
    /// Or given up, and said so.
    Committed,
}

impl Hand {
    pub(super) fn is_handed_out(&self) -> bool {
        !matches!(self, Self::Claimed | Self::Positioned)
    }
}

impl World {
    pub(super) fn act(&mut self, n: usize) {
        while let Some(action) = self.members[n].machine.poll_action() {
            self.log.push(format!("{:?} {n} → {action:?}", self.now));
            self.check(n, &action);
            let incarnation = self.members[n].machine.incarnation();
            match action {
                Action::Start { .. } | Action::Lost { .. } | Action::Emit(_) => {}
                action => self.soon(Happening::Effect(n, incarnation, action)),
            }
        }
    }

    /// What holds of every action at the moment when it is taken.
    fn check(&mut self, n: usize, action: &Action) {
        let incarnation = self.members[n].machine.incarnation();
        match action {
            Action::Start { tp, token, .. } => self.check_exclusive(n, tp, *token),
            Action::Emit(event) => self.members[n].check_told(event),
            _ => {}
        }
        let member = &mut self.members[n];
        let (tp, expected) = match action {
            Action::OpenSession { .. } => {
                assert!(member.hands.values().all(|(_, hand)| !hand.is_handed_out()));
                member.hands.clear();
                return;
            }
            Action::Claim { tp, .. } => (tp, None),
            Action::Position { tp, token } => {
                let claimed = (*token, Hand::Claimed);
                let hand = member.hands.entry(tp.clone()).or_insert(claimed);
                // A claim that was lost before it was handed out left no trace but this.
                if !hand.1.is_handed_out() {
                    *hand = (*token, Hand::Claimed);
                }
                (tp, Some(Hand::Claimed))
            }
            Action::Stop { tp } => (tp, Some(Hand::Started)),
            Action::Commit { tp } => (tp, Some(Hand::Stopped)),
            Action::Release { tp, .. } => {
                let hand = member.hands.remove(tp).map(|(_, hand)| hand);
                assert!(
                    !matches!(hand, Some(Hand::Started | Hand::Stopped)),
                    "{tp} is released before it is committed"
                );
                (tp, None)
            }
            Action::Lost { tp } => {
                assert!(member.hands.remove(tp).is_some(), "{tp} is lost twice");
                member.robbed.remove(tp);
                return;
            }
            _ => return,
        };
        let hand = member.hands.get(tp).map(|(_, hand)| hand);
        match expected {
            None => assert!(hand.is_none_or(|hand| !hand.is_handed_out()), "{action:?}"),
            expected => assert_eq!(hand, expected.as_ref(), "{action:?}"),
        }
        let first = member.outstanding.insert((incarnation, tp.clone()));
        assert!(first, "{tp} has an operation outstanding already");
    }

    /// A partition starts under a claim that is positioned, and while nobody else hands it out.
    fn check_exclusive(&mut self, n: usize, tp: &TopicPartition, token: Token) {
        for (other, member) in self.members.iter().enumerate() {
            let hand = member.hands.get(tp).map(|(_, hand)| hand);
            let busy = other != n && hand == Some(&Hand::Started);
            assert!(
                !busy || !member.alive || member.robbed.contains(tp),
                "{tp} is handed out by {n} and {other}"
            );
        }
        let positioned = self.members[n]
            .hands
            .insert(tp.clone(), (token, Hand::Started));
        assert_eq!(positioned, Some((token, Hand::Positioned)));
    }

    /// Takes down what a member learns of its partitions.
    pub(super) fn learned(&mut self, n: usize, event: &Event) {
        let Event::Session(incarnation, event) = event else {
            return;
        };
        let member = &mut self.members[n];
        let (tp, hand) = match event {
            SessionEvent::Positioned { tp } => (tp, Some(Hand::Positioned)),
            SessionEvent::Stopped { tp } => (tp, Some(Hand::Stopped)),
            SessionEvent::Committed { tp } => (tp, Some(Hand::Committed)),
            SessionEvent::Claimed { tp, .. }
            | SessionEvent::ClaimRefused { tp, .. }
            | SessionEvent::ClaimFailed { tp, .. }
            | SessionEvent::PositionFailed { tp, .. }
            | SessionEvent::CommitFailed { tp, .. }
            | SessionEvent::Released { tp }
            | SessionEvent::ReleaseFailed { tp, .. } => (tp, None),
            _ => return,
        };
        let answered = member.outstanding.remove(&(*incarnation, tp.clone()));
        let current = *incarnation == member.machine.incarnation();
        if let Some(known) = member.hands.get_mut(tp)
            && let Some(hand) = hand
            && answered
            && current
        {
            known.1 = hand;
        }
    }
}

impl Member {
    /// The application is told of assignments and their ends in turn, and at the right moments.
    fn check_told(&mut self, event: &GroupEvent) {
        match event {
            GroupEvent::Assigned { partitions } => {
                for tp in partitions {
                    assert!(self.told.insert(tp.clone()), "{tp} is assigned twice");
                    assert!(matches!(self.hands[tp], (_, Hand::Positioned)));
                }
            }
            GroupEvent::Revoking { partitions } => {
                for tp in partitions {
                    assert!(self.told.contains(tp));
                    assert!(matches!(self.hands[tp], (_, Hand::Started)));
                }
            }
            GroupEvent::ReleasedUncommitted { tp, .. } => {
                if let Some((_, hand)) = self.hands.get_mut(tp) {
                    *hand = Hand::Committed;
                }
            }
            GroupEvent::Revoked { partitions } => {
                for tp in partitions {
                    assert!(self.told.remove(tp), "{tp} is revoked but was not assigned");
                    assert!(matches!(self.hands[tp], (_, Hand::Committed)));
                }
            }
            GroupEvent::Lost { partitions } => {
                for tp in partitions {
                    assert!(self.told.remove(tp), "{tp} is lost but was not assigned");
                    assert!(!self.hands.contains_key(tp));
                }
            }
            _ => {}
        }
    }
}

/// How it ends.
impl World {
    /// Every partition is owned by the thread that the rule gives it to, and nothing is left of those who went.
    pub(in crate::machine::tests) fn check_converged(&self) {
        let live: Vec<usize> = (0..self.members.len())
            .filter(|n| self.members[*n].alive && !self.members[*n].leaving)
            .collect();
        assert!(self.registrations.keys().copied().eq(live.iter().copied()));
        let group = live
            .iter()
            .map(|n| (self.members[*n].id.as_str(), self.subscription(*n)));
        let partitions = TopicPartitions::from([("t".into(), (0..self.partitions).collect())]);
        let expected = Range.assign(&group.collect(), &partitions).unwrap();

        let owners = self
            .owners
            .iter()
            .map(|(tp, owner)| (tp.clone(), owner.text.clone()));
        let texts = expected
            .iter()
            .map(|(tp, thread)| (tp.clone(), thread.to_string()));
        assert_eq!(owners.collect::<Vec<_>>(), texts.collect::<Vec<_>>());

        for (n, member) in self.members.iter().enumerate() {
            if live.contains(&n) {
                let owned = member.machine.owned().map(|(tp, thread, token)| {
                    assert_eq!(self.owners[tp].token, token);
                    (tp.clone(), thread.clone())
                });
                let share = expected
                    .iter()
                    .filter(|(_, thread)| *thread.consumer_id == *member.id);
                let share: Assignment = share
                    .map(|(tp, thread)| (tp.clone(), thread.clone()))
                    .collect();
                assert_eq!(owned.collect::<Assignment>(), share);
                assert!(member.told.iter().eq(share.keys()));
            } else if member.alive {
                assert!(member.machine.is_closed());
                assert!(member.told.is_empty());
            }
        }
    }
}
