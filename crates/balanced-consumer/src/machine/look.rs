//! Looking at the group, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use divvy_protocol::TopicPartition;

use super::Membership;
use super::action::{Action, GroupEvent, Operation};
use super::partition::Partition;
use super::session::{Registration, Session};
use super::timer::{Time, Timer};
use crate::assignor::ConsumerThreadId;
use crate::decide::{Decision, Wait, decide};
use crate::view::{OwnRegistration, PoisonMember, View};

/// The nodes that block the group, and when they were reported last.
#[derive(Debug)]
pub(super) struct Blocked {
    poison: Vec<PoisonMember>,
    reported: Time,
}

impl Blocked {
    pub(super) fn nodes(&self) -> &[PoisonMember] {
        &self.poison
    }
}

impl Membership {
    pub(super) fn changed(&mut self) {
        if self.session == Session::Open && !self.closing {
            let debounce = self.jitter(self.config.debounce);
            self.look_in(debounce);
        }
    }

    fn look_in(&mut self, pause: Duration) {
        self.timers.bring_forward(Timer::Look, self.now + pause);
    }

    /// Reads the group's nodes. What a read in progress may have missed is read after it.
    pub(super) fn look(&mut self) {
        let registered = self.registration == Registration::Done;
        if self.session != Session::Open || !registered || self.closing {
            return;
        }
        if self.reading {
            self.look_again = true;
        } else {
            self.reading = true;
            self.actions.push_back(Action::ReadView);
        }
    }

    pub(super) fn view_failed(&mut self, error: String) {
        if std::mem::take(&mut self.reading) && !self.closing {
            self.look_again = false;
            let pause = self.view_backoff.fail(&mut self.rng);
            self.timers.set(Timer::Look, self.now + pause);
            self.report(Operation::ReadView, None, error, Some(pause));
        }
    }

    pub(super) fn view_read(&mut self, view: View) {
        if !std::mem::take(&mut self.reading) || self.closing || self.standing_down {
            return;
        }
        let resync = self.config.resync / 2 + self.jitter(self.config.resync / 2);
        self.look_in(resync);
        if std::mem::take(&mut self.look_again) {
            self.changed();
        }
        self.report_gone_topics(&view);
        self.report_misplaced(&view);
        if view.registration != OwnRegistration::Ours && self.registration == Registration::Done {
            self.registration = Registration::Absent;
            self.register();
        }
        let held = self.held();
        match decide(
            &self.config.consumer_id,
            &view,
            &held,
            &*self.config.assignor,
        ) {
            Ok(decision) => {
                if decision.wait.is_none() {
                    self.note_peers(view.clone());
                } else {
                    self.forget_peers();
                }
                self.apply(decision, view.poison);
            }
            Err(error) => {
                self.forget_peers();
                // The last assignment stands: nobody in the group can compute another one.
                self.view_backoff.succeed();
                self.blocked = None;
                self.report(Operation::Assign, None, error.to_string(), None);
            }
        }
    }

    /// What the member has or is about to have.
    fn held(&self) -> BTreeMap<TopicPartition, ConsumerThreadId> {
        self.partitions
            .iter()
            .filter_map(|(tp, partition)| Some((tp.clone(), partition.thread()?.clone())))
            .collect()
    }

    fn apply(&mut self, decision: Decision, poison: Vec<PoisonMember>) {
        match decision.wait {
            Some(Wait::Blocked) => {
                self.view_backoff.succeed();
                self.idle = false;
                self.target.clear();
                self.report_blocked(poison);
                return;
            }
            Some(Wait::Registering { node }) => {
                let pause = self.view_backoff.fail(&mut self.rng);
                self.look_in(pause);
                let error = format!("the registration `{node}` has no data yet");
                self.report(Operation::Assign, None, error, Some(pause));
                return;
            }
            Some(Wait::Unregistered) => return,
            None => {}
        }
        self.view_backoff.succeed();
        self.blocked = None;
        // `release` needs no mention: `settle` stops whatever is not in the target, also what is still to come out of a claim.
        self.target = decision.keep;
        self.target.extend(decision.claim);
        for tp in self.target.keys() {
            self.partitions
                .entry(tp.clone())
                .or_insert_with(|| Partition::new(&self.config));
        }
        let was_idle = std::mem::replace(&mut self.idle, self.target.is_empty());
        if self.idle && !was_idle {
            self.emit(GroupEvent::Idle);
        }
    }

    /// Reports the nodes that block the group when they change, and now and then.
    fn report_blocked(&mut self, poison: Vec<PoisonMember>) {
        if let Some(blocked) = &self.blocked
            && blocked.poison == poison
            && self.now.since(blocked.reported) < self.config.remind
        {
            return;
        }
        for PoisonMember { node, data, kind } in poison.clone() {
            self.emit(GroupEvent::Blocked { node, data, kind });
        }
        let reported = self.now;
        self.blocked = Some(Blocked { poison, reported });
    }

    /// Reports each member of another dialect once.
    fn report_misplaced(&mut self, view: &View) {
        let misplaced: BTreeSet<String> = view.misplaced.iter().cloned().collect();
        let known = std::mem::replace(&mut self.misplaced, misplaced);
        for node in &view.misplaced {
            if !known.contains(node) {
                let node = node.clone();
                self.emit(GroupEvent::Misplaced { node });
            }
        }
    }

    /// Reports each topic that this member subscribes, or had, when it turns out not to exist.
    fn report_gone_topics(&mut self, view: &View) {
        let subscribed = view.members.get(&self.config.consumer_id);
        let subscribed = subscribed.into_iter().flat_map(BTreeMap::keys).cloned();
        let mut known = std::mem::take(&mut self.known_topics);
        known.extend(subscribed);
        let exists = |topic: &_| view.partitions.contains_key(topic);
        let (known, gone) = known.into_iter().partition(exists);
        self.known_topics = known;
        let reported = std::mem::replace(&mut self.gone_topics, gone);
        let news: Vec<_> = self.gone_topics.difference(&reported).cloned().collect();
        for topic in news {
            let topic = topic.to_string();
            self.emit(GroupEvent::TopicGone { topic });
        }
    }
}
