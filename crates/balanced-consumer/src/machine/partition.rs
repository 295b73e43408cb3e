use std::collections::VecDeque;
use std::time::Duration;

use divvy_protocol::TopicPartition;
use rand::rngs::StdRng;

use super::action::{Action, Token};
use super::config::MembershipConfig;
use super::state::{Claim, Op, PartitionState, State};
use super::timer::{Backoff, Time};
use crate::assignor::ConsumerThreadId;

/// A claim that was refused and is not granted yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) since: Time,
    pub(super) recheck: Backoff,
}

/// A doubt about the owner node.
#[derive(Debug)]
struct Check {
    token: Token,
    /// The node changed once more while it was being looked at.
    again: bool,
    /// When to look, if nobody is looking.
    due: Option<Time>,
    backoff: Backoff,
}

/// What surrounds a partition when it takes its next step.
pub(super) struct Step<'a> {
    pub(super) now: Time,
    /// The thread of this member that the assignment gives the partition to.
    pub(super) wanted: Option<&'a ConsumerThreadId>,
    pub(super) may_claim: bool,
    pub(super) actions: &'a mut VecDeque<Action>,
}

/// One partition on its way round the states.
#[derive(Debug)]
pub(super) struct Partition {
    state: State,
    /// Outlives the state when the claim is lost in between: the next claim waits for the answer.
    op: Option<Op>,
    /// When to try again what failed or was refused.
    retry_at: Option<Time>,
    backoff: Backoff,
    /// Since when a `Positioning` or `Committing` partition waits for nothing but to be reported together with others.
    pub(super) ready_since: Option<Time>,
    /// Whether the application holds it for assigned.
    pub(super) announced: bool,
    /// The owner node changed while a claim was outstanding, so that its answer may be out of date.
    pub(super) owner_changed: bool,
    pub(super) waiting: Option<Waiting>,
    check: Option<Check>,
    /// The lease ran out since the claim was last known to stand.
    suspended: bool,
}

impl Partition {
    pub(super) fn new(config: &MembershipConfig) -> Self {
        Self {
            state: State::Free,
            op: None,
            retry_at: None,
            backoff: Backoff::new(config.retry_backoff, config.retry_backoff_max),
            ready_since: None,
            announced: false,
            owner_changed: false,
            waiting: None,
            check: None,
            suspended: false,
        }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn kind(&self) -> PartitionState {
        self.state.kind()
    }

    /// What the partition is to the outside.
    pub(super) fn shown(&self) -> PartitionState {
        match self.kind() {
            PartitionState::Owned if self.suspended => PartitionState::Suspended,
            kind => kind,
        }
    }

    /// The thread that the partition is or will be handed out by, until it is on its way out.
    pub(super) fn thread(&self) -> Option<&ConsumerThreadId> {
        match &self.state {
            State::Claiming { thread } => Some(thread),
            State::Positioning(claim) | State::Owned(claim) => Some(&claim.thread),
            _ => None,
        }
    }

    /// The claim, from the moment it stands until its release begins.
    pub(super) fn claim(&self) -> Option<&Claim> {
        match &self.state {
            State::Positioning(claim)
            | State::Owned(claim)
            | State::Stopping(claim)
            | State::Committing { claim, .. } => Some(claim),
            State::Free | State::Claiming { .. } | State::Releasing { .. } => None,
        }
    }

    /// Whether a claim or a position is on its way that may soon be reported together with others.
    pub(super) fn is_arriving(&self) -> bool {
        matches!(self.op, Some(Op::Claim | Op::Position))
    }

    /// Whether a stop or a commit is on its way that may soon be reported together with others.
    pub(super) fn is_leaving(&self) -> bool {
        match self.kind() {
            PartitionState::Stopping => true,
            PartitionState::Committing => self.ready_since.is_none() && self.retry_at.is_none(),
            _ => false,
        }
    }

    /// Whether nothing is lost when the partition is forgotten.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Free) && self.op.is_none()
    }

    /// Takes the one answer of an operation; `false` if there was nothing to answer.
    pub(super) fn answer(&mut self, op: Op) -> bool {
        self.op.take_if(|outstanding| *outstanding == op).is_some()
    }

    /// Whether an operation belongs to the present state, and not to a claim that was lost since.
    pub(super) fn is_at(&self, op: Op) -> bool {
        matches!(
            (op, self.kind()),
            (Op::Claim, PartitionState::Claiming)
                | (Op::Position, PartitionState::Positioning)
                | (Op::Stop, PartitionState::Stopping)
                | (Op::Commit, PartitionState::Committing)
                | (Op::Release, PartitionState::Releasing)
        )
    }

    pub(super) fn enter(&mut self, next: State) {
        debug_assert!(
            self.kind().leads_to(next.kind()),
            "no arrow from {:?} to {:?}",
            self.kind(),
            next.kind()
        );
        self.state = next;
        self.retry_at = None;
        self.ready_since = None;
        self.backoff.succeed();
        if self.claim().is_none() {
            self.check = None;
            self.suspended = false;
        }
    }

    /// Puts the next try off after a failure.
    pub(super) fn fail(&mut self, now: Time, rng: &mut StdRng) -> Duration {
        let pause = self.backoff.fail(rng);
        self.retry_at = Some(now + pause);
        pause
    }

    pub(super) fn retry_at(&mut self, at: Time) {
        self.retry_at = Some(at);
    }

    pub(super) fn retry_now(&mut self) {
        self.retry_at = None;
    }

    /// Drops the claim without ceremony. Returns whether the application has to be told.
    pub(super) fn lose(&mut self, tp: &TopicPartition, actions: &mut VecDeque<Action>) -> bool {
        if self.is_started() {
            actions.push_back(Action::Lost { tp: tp.clone() });
        }
        self.enter(State::Free);
        std::mem::take(&mut self.announced)
    }

    /// Does what can be done now: at most one operation, when none is outstanding.
    pub(super) fn step(&mut self, tp: &TopicPartition, step: &mut Step<'_>) {
        self.step_check(tp, step);
        if self.op.is_some() {
            return;
        }
        self.drop_unwanted(step.wanted);
        if self.retry_at.is_some_and(|at| step.now < at) || self.ready_since.is_some() {
            return;
        }
        self.retry_at = None;
        if let (State::Free, Some(thread), true) = (&self.state, step.wanted, step.may_claim) {
            let thread = thread.clone();
            self.enter(State::Claiming { thread });
        }
        if let Some((op, action)) = self.next_op(tp, step.may_claim) {
            self.op = Some(op);
            step.actions.push_back(action);
        }
    }

    /// A claim that is not handed out yet goes without a commit, even if its outcome is unknown.
    fn drop_unwanted(&mut self, wanted: Option<&ConsumerThreadId>) {
        match &self.state {
            State::Free if wanted.is_none() => {
                self.waiting = None;
                self.retry_at = None;
            }
            State::Claiming { thread } if wanted != Some(thread) => {
                self.enter(State::Releasing { token: None });
            }
            State::Positioning(claim) if wanted != Some(&claim.thread) => {
                let token = Some(claim.token);
                self.enter(State::Releasing { token });
            }
            _ => {}
        }
    }

    fn next_op(&mut self, tp: &TopicPartition, may_claim: bool) -> Option<(Op, Action)> {
        let tp = tp.clone();
        Some(match &self.state {
            State::Free | State::Owned(_) => return None,
            State::Claiming { .. } if !may_claim => return None,
            State::Claiming { thread } => {
                self.owner_changed = false;
                let thread = thread.clone();
                (Op::Claim, Action::Claim { tp, thread })
            }
            State::Positioning(claim) => {
                let token = claim.token;
                (Op::Position, Action::Position { tp, token })
            }
            State::Stopping(_) => (Op::Stop, Action::Stop { tp }),
            // Until the claim is known to stand nothing is committed, and nothing is released without that.
            State::Committing { .. } if self.suspended => return None,
            State::Committing { .. } => (Op::Commit, Action::Commit { tp }),
            State::Releasing { token } => {
                let token = *token;
                (Op::Release, Action::Release { tp, token })
            }
        })
    }

    /// When `step` has something to do that no event announces.
    pub(super) fn deadline(&self, gather: Duration) -> Option<Time> {
        let retry = self.retry_at.filter(|_| self.op.is_none());
        // What is suspended or in doubt waits for an event.
        let ready = self.ready_since.filter(|_| self.is_certain());
        let ready = ready.map(|since| since + gather);
        let check = self.check.as_ref().and_then(|check| check.due);
        [retry, ready, check].into_iter().flatten().min()
    }
}

/// The lease.
impl Partition {
    /// Puts off the start, hand-out and commits, whatever comes next. Gives whether something was going on that has to stop.
    pub(super) fn suspend(&mut self) -> bool {
        let claimed = self.claim().is_some();
        let news = claimed && !std::mem::replace(&mut self.suspended, true);
        news && self.is_started()
    }

    /// Whether the application has the partition, or had it and is not done with it.
    fn is_started(&self) -> bool {
        matches!(
            self.state,
            State::Owned(_) | State::Stopping(_) | State::Committing { .. }
        )
    }

    /// Goes on, unless the owner node is still in doubt. A commit begins its time anew. Gives whether something was stopped that goes on now.
    pub(super) fn resume(&mut self, commit_by: Time) -> bool {
        if self.check.is_some() || !std::mem::take(&mut self.suspended) {
            return false;
        }
        if let State::Committing { deadline, .. } = &mut self.state {
            *deadline = commit_by;
            self.retry_at = None;
        }
        self.is_started()
    }

    /// Whether the claim is known to stand.
    pub(super) fn is_certain(&self) -> bool {
        !self.suspended && self.check.is_none()
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.suspended
    }
}

/// Looking after the owner node.
impl Partition {
    /// The owner node is no longer sure to be what it was.
    pub(super) fn doubt(&mut self, now: Time, config: &MembershipConfig) {
        let Some(token) = self.claim().map(|claim| claim.token) else {
            return;
        };
        match &mut self.check {
            Some(check) => check.again = true,
            None => {
                self.check = Some(Check {
                    token,
                    again: false,
                    due: Some(now),
                    backoff: Backoff::new(config.retry_backoff, config.retry_backoff_max),
                });
            }
        }
    }

    /// Takes the answer to a look at the owner node; `false` if it speaks of another claim.
    pub(super) fn checked(&mut self, token: Token, now: Time) -> bool {
        let is_answer = |check: &mut Check| check.token == token && check.due.is_none();
        match self.check.take_if(is_answer) {
            None => false,
            Some(check) => {
                if check.again {
                    let (again, due) = (false, Some(now));
                    self.check = Some(Check {
                        again,
                        due,
                        ..check
                    });
                }
                true
            }
        }
    }

    /// Puts the next look off after a failure; `None` if the answer speaks of another claim.
    pub(super) fn check_failed(
        &mut self,
        token: Token,
        now: Time,
        rng: &mut StdRng,
    ) -> Option<Duration> {
        let check = self.check.as_mut()?;
        if check.token != token || check.due.is_some() {
            return None;
        }
        let pause = check.backoff.fail(rng);
        check.due = Some(now + pause);
        Some(pause)
    }

    fn step_check(&mut self, tp: &TopicPartition, step: &mut Step<'_>) {
        let Some(check) = &mut self.check else {
            return;
        };
        if check.due.take_if(|due| *due <= step.now).is_some() {
            let (tp, token) = (tp.clone(), check.token);
            step.actions.push_back(Action::CheckOwner { tp, token });
        }
    }
}
