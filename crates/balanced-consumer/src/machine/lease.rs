//! What the end of the lease and its renewal mean, and looking after the member's own nodes.

use divvy_protocol::TopicPartition;

use super::Membership;
use super::action::{Action, GroupEvent};
use super::partition::Partition;
use super::session::Session;
use super::state::PartitionState;
use super::timer::Timer;

impl Membership {
    /// The servers may end the session unseen from now on: nothing is handed out or committed, and nothing is given up either.
    pub(super) fn lease_ended(&mut self) {
        if self.session != Session::Open || !std::mem::take(&mut self.leased) {
            return;
        }
        let mut suspended = Vec::new();
        for (tp, partition) in &mut self.partitions {
            if partition.suspend() {
                self.actions.push_back(Action::Suspend { tp: tp.clone() });
                if partition.kind() == PartitionState::Owned {
                    suspended.push(tp.clone());
                }
            }
        }
        self.flush_resumed();
        if !suspended.is_empty() {
            let partitions = suspended;
            self.emit(GroupEvent::Suspended { partitions });
        }
    }

    /// The session lives. Whether its owner nodes do is looked at before anything goes on.
    pub(super) fn lease_renewed(&mut self) {
        if self.session == Session::Open && !std::mem::replace(&mut self.leased, true) {
            self.doubt_all();
        }
    }

    /// Goes on with a partition whose owner node was found to be as it was.
    pub(super) fn resume(&mut self, tp: &TopicPartition) {
        if !self.leased {
            return;
        }
        let commit_by = self.now + self.config.commit_deadline;
        let Some(partition) = self.partitions.get_mut(tp) else {
            return;
        };
        if partition.resume(commit_by) {
            if partition.kind() == PartitionState::Owned {
                self.resumed.push(tp.clone());
                let latest = self.now + self.config.gather;
                self.timers.bring_forward(Timer::Resumed, latest);
            }
            self.actions.push_back(Action::Resume { tp: tp.clone() });
        }
    }

    /// Reports what was resumed, together where possible.
    pub(super) fn report_resumed(&mut self) {
        let overdue = self.timers.take_due(Timer::Resumed, self.now);
        let more = self.leased && self.partitions.values().any(Partition::is_suspended);
        if overdue || !more {
            self.flush_resumed();
        }
    }

    pub(super) fn flush_resumed(&mut self) {
        self.timers.clear(Timer::Resumed);
        let mut partitions = std::mem::take(&mut self.resumed);
        if !partitions.is_empty() {
            partitions.sort();
            self.emit(GroupEvent::Resumed { partitions });
        }
    }

    /// Looks at every owner node of this member, in case a watch was lost or never fired.
    pub(super) fn audit(&mut self) {
        if self.leased {
            self.doubt_all();
        }
        self.audit_later();
    }

    pub(super) fn audit_later(&mut self) {
        let pause = self.config.audit / 2 + self.jitter(self.config.audit / 2);
        self.timers.set(Timer::Audit, self.now + pause);
    }

    fn doubt_all(&mut self) {
        for partition in self.partitions.values_mut() {
            partition.doubt(self.now, &self.config);
        }
    }
}
