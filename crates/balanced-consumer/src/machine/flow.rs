//! Partitions on their way in and out.

use divvy_protocol::TopicPartition;

use super::Membership;
use super::action::{Action, GroupEvent, Operation, Token};
use super::event::{Ownership, SessionEvent};
use super::partition::{Partition, Step, Waiting};
use super::session::{Registration, Session};
use super::state::{Claim, Op, PartitionState, State};
use super::timer::{Backoff, Time};

impl Membership {
    pub(super) fn handle_partition_event(&mut self, event: SessionEvent) {
        use Operation as Failed;
        match event {
            SessionEvent::Claimed { tp, token } => self.claimed(&tp, token),
            SessionEvent::ClaimRefused { tp, owner } => self.claim_refused(tp, owner),
            SessionEvent::ClaimFailed { tp, error } => {
                self.failed(Op::Claim, Failed::Claim, tp, error);
            }
            SessionEvent::Positioned { tp } => self.positioned(&tp),
            SessionEvent::PositionFailed { tp, error } => {
                self.failed(Op::Position, Failed::Position, tp, error);
            }
            SessionEvent::Stopped { tp } => self.stopped(&tp),
            SessionEvent::Committed { tp } => self.committed(&tp),
            SessionEvent::CommitFailed { tp, error } => self.commit_failed(tp, error),
            SessionEvent::CommitFenced { tp, error } => self.commit_fenced(tp, error),
            SessionEvent::Released { tp } => self.released(&tp),
            SessionEvent::ReleaseFailed { tp, error } => {
                self.failed(Op::Release, Failed::Release, tp, error);
            }
            SessionEvent::OwnerNodeChanged { tp } => self.owner_node_changed(&tp),
            SessionEvent::OwnerChecked {
                tp,
                token,
                ownership,
            } => self.owner_checked(&tp, token, ownership),
            SessionEvent::Fenced { tp, token } => self.fenced(&tp, token),
            SessionEvent::OwnerCheckFailed { tp, token, error } => {
                self.owner_check_failed(tp, token, error);
            }
            _ => {}
        }
    }

    /// The partition whose outstanding operation is answered.
    fn answered(&mut self, tp: &TopicPartition, op: Op) -> Option<&mut Partition> {
        let partition = self.partitions.get_mut(tp)?;
        partition.answer(op).then_some(partition)
    }

    /// An operation failed whose outcome does not matter as long as it is tried again.
    fn failed(&mut self, op: Op, operation: Operation, tp: TopicPartition, error: String) {
        let Some(partition) = self.partitions.get_mut(&tp) else {
            return;
        };
        if partition.answer(op) && partition.is_at(op) {
            let pause = partition.fail(self.now, &mut self.rng);
            self.report(operation, Some(tp), error, Some(pause));
        }
    }

    fn claimed(&mut self, tp: &TopicPartition, token: Token) {
        let Some(partition) = self.partitions.get_mut(tp) else {
            return;
        };
        if !partition.answer(Op::Claim) {
            return;
        }
        if let State::Claiming { thread } = partition.state() {
            let thread = thread.clone();
            partition.waiting = None;
            partition.enter(State::Positioning(Claim { thread, token }));
            if !self.leased {
                partition.suspend();
            }
            if std::mem::take(&mut partition.owner_changed) {
                partition.doubt(self.now, &self.config);
            }
        }
    }

    /// Someone else holds the partition. Its owner node is watched, so the wait ends when it goes; the slow tries beside that are for
    /// watches that never fire.
    fn claim_refused(&mut self, tp: TopicPartition, owner: String) {
        let now = self.now;
        let Some(partition) = self.partitions.get_mut(&tp) else {
            return;
        };
        if !partition.answer(Op::Claim) {
            return;
        }
        partition.enter(State::Free);
        let waiting = partition.waiting.get_or_insert_with(|| Waiting {
            since: now,
            recheck: Backoff::new(self.config.recheck, self.config.recheck_max),
        });
        let pause = waiting.recheck.fail(&mut self.rng);
        let waited = now.since(waiting.since);
        if !std::mem::take(&mut partition.owner_changed) {
            partition.retry_at(now + pause);
        }
        if waited >= self.config.report_waiting_after {
            self.emit(GroupEvent::Waiting { tp, owner, waited });
        }
    }

    fn positioned(&mut self, tp: &TopicPartition) {
        let now = self.now;
        if let Some(partition) = self.answered(tp, Op::Position)
            && partition.kind() == PartitionState::Positioning
        {
            partition.ready_since = Some(now);
        }
    }

    fn stopped(&mut self, tp: &TopicPartition) {
        let deadline = self.now + self.config.commit_deadline;
        let Some(partition) = self.answered(tp, Op::Stop) else {
            return;
        };
        if let State::Stopping(claim) = partition.state() {
            let claim = claim.clone();
            partition.enter(State::Committing { claim, deadline });
        }
    }

    fn committed(&mut self, tp: &TopicPartition) {
        let now = self.now;
        if let Some(partition) = self.answered(tp, Op::Commit)
            && partition.kind() == PartitionState::Committing
        {
            partition.ready_since = Some(now);
        }
    }

    /// Tried again only if that is before the deadline: whoever waits for the partition may give up.
    fn commit_failed(&mut self, tp: TopicPartition, error: String) {
        let now = self.now;
        let Some(partition) = self.partitions.get_mut(&tp) else {
            return;
        };
        if !partition.answer(Op::Commit) {
            return;
        }
        let State::Committing { deadline, .. } = *partition.state() else {
            return;
        };
        let pause = partition.fail(now, &mut self.rng);
        if now + pause < deadline || partition.is_suspended() {
            self.report(Operation::Commit, Some(tp), error, Some(pause));
        } else {
            partition.retry_now();
            partition.ready_since = Some(now);
            self.emit(GroupEvent::ReleasedUncommitted { tp, error });
        }
    }

    fn commit_fenced(&mut self, tp: TopicPartition, error: String) {
        let now = self.now;
        if let Some(partition) = self.answered(&tp, Op::Commit)
            && partition.kind() == PartitionState::Committing
        {
            partition.ready_since = Some(now);
            self.emit(GroupEvent::ReleasedUncommitted { tp, error });
        }
    }

    fn released(&mut self, tp: &TopicPartition) {
        if let Some(partition) = self.answered(tp, Op::Release) {
            partition.enter(State::Free);
        }
    }
}

/// Owner nodes.
impl Membership {
    fn owner_node_changed(&mut self, tp: &TopicPartition) {
        let Some(partition) = self.partitions.get_mut(tp) else {
            return;
        };
        match partition.kind() {
            PartitionState::Free => partition.retry_now(),
            PartitionState::Claiming => {
                partition.owner_changed = true;
                partition.retry_now();
            }
            PartitionState::Releasing => {}
            _ => partition.doubt(self.now, &self.config),
        }
    }

    fn owner_checked(&mut self, tp: &TopicPartition, token: Token, ownership: Ownership) {
        let Some(partition) = self.partitions.get_mut(tp) else {
            return;
        };
        if !partition.checked(token, self.now) {
            return;
        }
        if ownership == Ownership::Ours {
            return self.resume(tp);
        }
        self.lose(tp);
    }

    /// The claim is of no use any more: the partition is lost, and its owner node removed if it is still there, before it is claimed
    /// anew. What is on its way out goes on: it is released without its commit.
    fn fenced(&mut self, tp: &TopicPartition, token: Token) {
        let at = self.partitions.get(tp).map(Partition::state);
        if let Some(State::Positioning(claim) | State::Owned(claim)) = at
            && claim.token == token
        {
            self.lose(tp);
            if let Some(partition) = self.partitions.get_mut(tp) {
                let token = Some(token);
                partition.enter(State::Releasing { token });
            }
        }
    }

    fn lose(&mut self, tp: &TopicPartition) {
        let Some(partition) = self.partitions.get_mut(tp) else {
            return;
        };
        if partition.lose(tp, &mut self.actions) {
            self.flush_resumed();
            let partitions = vec![tp.clone()];
            self.emit(GroupEvent::Lost { partitions });
        }
        self.changed();
    }

    fn owner_check_failed(&mut self, tp: TopicPartition, token: Token, error: String) {
        let Some(partition) = self.partitions.get_mut(&tp) else {
            return;
        };
        if let Some(pause) = partition.check_failed(token, self.now, &mut self.rng) {
            self.report(Operation::CheckOwner, Some(tp), error, Some(pause));
        }
    }
}

/// The steps of `settle`.
impl Membership {
    /// Begins to stop what is owned and not assigned, all in one event.
    pub(super) fn stop_unassigned(&mut self) {
        let target = &self.target;
        let leaving: Vec<_> = self
            .partitions
            .iter_mut()
            .filter_map(|(tp, partition)| match partition.state() {
                State::Owned(claim) if target.get(tp) != Some(&claim.thread) => {
                    let claim = claim.clone();
                    partition.enter(State::Stopping(claim));
                    Some(tp.clone())
                }
                _ => None,
            })
            .collect();
        if !leaving.is_empty() {
            self.flush_resumed();
            self.emit(GroupEvent::Revoking {
                partitions: leaving,
            });
        }
    }

    /// Reports what is committed, together where possible, and lets it be released.
    pub(super) fn release_committed(&mut self) {
        let wait = self.partitions.values().any(Partition::is_leaving);
        let mut revoked = Vec::new();
        for tp in self.ready(PartitionState::Committing, wait) {
            if let Some(partition) = self.partitions.get_mut(&tp)
                && let Some(Claim { token, .. }) = partition.claim()
            {
                let token = Some(*token);
                partition.announced = false;
                partition.enter(State::Releasing { token });
                revoked.push(tp);
            }
        }
        if !revoked.is_empty() {
            let partitions = revoked;
            self.emit(GroupEvent::Revoked { partitions });
        }
    }

    /// Lets every partition take its next step, those that leave before those that come.
    pub(super) fn step_partitions(&mut self) {
        let may_claim = self.session == Session::Open && self.registration == Registration::Done;
        for coming in [false, true] {
            for (tp, partition) in &mut self.partitions {
                if coming == (partition.kind() == PartitionState::Free) {
                    let mut step = Step {
                        now: self.now,
                        wanted: self.target.get(tp),
                        may_claim,
                        actions: &mut self.actions,
                    };
                    partition.step(tp, &mut step);
                }
            }
        }
    }

    /// Reports what is positioned, together where possible, and starts it.
    pub(super) fn start_positioned(&mut self) {
        let wait = self.partitions.values().any(Partition::is_arriving);
        let (mut partitions, mut starts) = (Vec::new(), Vec::new());
        for tp in self.ready(PartitionState::Positioning, wait) {
            if let Some(partition) = self.partitions.get_mut(&tp)
                && let Some(claim) = partition.claim().cloned()
            {
                partition.announced = true;
                partition.enter(State::Owned(claim.clone()));
                partitions.push(tp.clone());
                let Claim { thread, token } = claim;
                starts.push(Action::Start { tp, token, thread });
            }
        }
        if !partitions.is_empty() {
            self.emit(GroupEvent::Assigned { partitions });
            self.actions.extend(starts);
        }
    }

    /// The partitions of one state that are ready to be reported: none yet while it pays to wait for more.
    fn ready(&self, state: PartitionState, wait: bool) -> Vec<TopicPartition> {
        let ready = || {
            self.partitions
                .iter()
                .filter(|(_, partition)| partition.kind() == state && partition.is_certain())
                .filter_map(|(tp, partition)| Some((partition.ready_since?, tp)))
        };
        let overdue = |since: Time| since + self.config.gather <= self.now;
        match ready().map(|(since, _)| since).min() {
            Some(oldest) if !wait || overdue(oldest) => ready().map(|(_, tp)| tp.clone()).collect(),
            _ => Vec::new(),
        }
    }
}
