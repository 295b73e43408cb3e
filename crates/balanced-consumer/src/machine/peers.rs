//! Looking at what the other members own: partitions that nobody reads, and members that share out by another rule.

use std::collections::BTreeMap;
use std::sync::Arc;

use divvy_protocol::TopicPartition;

use super::Membership;
use super::action::{Action, GroupEvent};
use super::event::Owners;
use super::session::Session;
use super::timer::{Time, Timer};
use crate::assignor::{Assignment, explain};
use crate::view::View;

/// What this member knows of the others.
#[derive(Debug, Default)]
pub(super) struct Peers {
    /// The last look that gave an assignment.
    view: Option<View>,
    pub(super) reading: bool,
    /// Partitions of living members that nobody owns.
    orphans: BTreeMap<TopicPartition, Oddity>,
    /// Partitions that are owned by a living member to whom this member's rule does not give them.
    strays: BTreeMap<TopicPartition, Oddity>,
    /// When somebody was last nudged by this member.
    nudged: Option<Time>,
}

/// Something that passes as a rule, and is reported if it does not.
#[derive(Clone, Debug)]
struct Oddity {
    member: Arc<str>,
    since: Time,
    reported: Option<Time>,
}

impl Membership {
    /// Notes what the group looks like. What the others make of it is looked at when they have had some time.
    pub(super) fn note_peers(&mut self, view: View) {
        if self.peers.view.as_ref() == Some(&view) {
            return;
        }
        self.peers.view = Some(view);
        self.survey_soon();
    }

    /// There is no assignment at present that the others could keep to.
    pub(super) fn forget_peers(&mut self) {
        let Peers {
            nudged, reading, ..
        } = self.peers;
        self.peers = Peers {
            nudged,
            reading,
            ..Peers::default()
        };
        self.timers.clear(Timer::Survey);
    }

    fn survey_soon(&mut self) {
        let pause = self.config.survey + self.jitter(self.config.survey);
        self.timers.set(Timer::Survey, self.now + pause);
    }

    pub(super) fn survey(&mut self) {
        let there = self.peers.view.is_some() && self.session == Session::Open && !self.closing;
        if there && !self.peers.reading {
            self.peers.reading = true;
            self.actions.push_back(Action::ReadOwners);
        }
    }

    /// What cannot be looked at is looked at the next time: nothing but reports depends on it.
    pub(super) fn owners_failed(&mut self) {
        if std::mem::take(&mut self.peers.reading) && self.peers.view.is_some() {
            self.survey_soon();
        }
    }

    pub(super) fn owners_read(&mut self, owners: &Owners) {
        if !std::mem::take(&mut self.peers.reading) {
            return;
        }
        let Some(view) = self.peers.view.take() else {
            return;
        };
        let current = view.ids_zxid == owners.ids_zxid;
        // Whoever is no member any more has a session that is about to end; what becomes of its partitions then is of interest.
        let stranger = |owner: &String| view.members.owner(owner).is_none();
        let strangers = owners.owners.values().any(stranger);
        if !current {
            // The watch should have told; whatever is the matter with it, the assignment is out of date.
            self.changed();
        } else if let Ok(expected) = self.config.assignor.assign(&view.members, &view.partitions) {
            self.compare_orphans(&view, owners, &expected);
            self.compare_strays(&view, owners, &expected);
        }
        self.peers.view = Some(view);
        let odd = !self.peers.orphans.is_empty() || !self.peers.strays.is_empty();
        if odd || strangers || !current {
            self.survey_soon();
        } else {
            let pause = self.config.resync / 2 + self.jitter(self.config.resync / 2);
            self.timers.set(Timer::Survey, self.now + pause);
        }
    }

    fn compare_orphans(&mut self, view: &View, owners: &Owners, expected: &Assignment) {
        let me = &self.config.consumer_id;
        let of_others = expected
            .iter()
            .filter(|(_, thread)| thread.consumer_id != *me);
        let found = of_others.filter(|(tp, _)| !owners.owners.contains_key(tp));
        let found = found.map(|(tp, thread)| (tp.clone(), Arc::clone(&thread.consumer_id)));
        let overdue = self.track(found.collect(), |peers| &mut peers.orphans);
        let any = !overdue.is_empty();
        for (tp, Oddity { member, since, .. }) in overdue {
            let orphaned = self.now.since(since);
            let member = member.to_string();
            self.emit(GroupEvent::Orphan {
                tp,
                member,
                orphaned,
            });
        }
        if any {
            self.nudge(view);
        }
    }

    /// Makes all members look at their group again, if it is on this one to do so: Kafka's own consumer and PyKafka's give a
    /// partition up for lost that was not released in time, and try again when the list of members changes.
    fn nudge(&mut self, view: &View) {
        let first = view
            .ours
            .first()
            .is_none_or(|id| *id >= self.config.consumer_id);
        let lately = |at: Time| self.now.since(at) < self.config.remind;
        if self.config.nudge && first && !self.peers.nudged.is_some_and(lately) {
            self.peers.nudged = Some(self.now);
            self.actions.push_back(Action::Nudge);
        }
    }

    fn compare_strays(&mut self, view: &View, owners: &Owners, expected: &Assignment) {
        let mut held: BTreeMap<Arc<str>, BTreeMap<TopicPartition, _>> = BTreeMap::new();
        let mut strays = BTreeMap::new();
        for (tp, owner) in &owners.owners {
            let Some((member, thread)) = view.members.owner(owner) else {
                continue;
            };
            let of_member = held.entry(Arc::clone(&member)).or_default();
            of_member.insert(tp.clone(), thread);
            let to = expected.get(tp).map(|thread| &thread.consumer_id);
            if member != self.config.consumer_id && to != Some(&member) {
                strays.insert(tp.clone(), member);
            }
        }
        let overdue = self.track(strays, |peers| &mut peers.strays);
        let mut by_member: BTreeMap<Arc<str>, Vec<TopicPartition>> = BTreeMap::new();
        for (tp, Oddity { member, .. }) in overdue {
            by_member.entry(member).or_default().push(tp);
        }
        for (member, partitions) in by_member {
            let holds = held.remove(&member).unwrap_or_default();
            let why = explain(
                &*self.config.assignor,
                &view.members,
                &view.partitions,
                &member,
                &holds,
            );
            let member = member.to_string();
            self.emit(GroupEvent::Disagreement {
                member,
                partitions,
                why,
            });
        }
    }

    /// Follows oddities from one look to the next, and gives those that are to be reported now.
    fn track(
        &mut self,
        found: BTreeMap<TopicPartition, Arc<str>>,
        of: impl Fn(&mut Peers) -> &mut BTreeMap<TopicPartition, Oddity>,
    ) -> Vec<(TopicPartition, Oddity)> {
        let now = self.now;
        let (patience, remind) = (self.config.patience, self.config.remind);
        let known = of(&mut self.peers);
        known.retain(|tp, oddity| found.get(tp) == Some(&oddity.member));
        let mut due = Vec::new();
        for (tp, member) in found {
            let oddity = known.entry(tp.clone()).or_insert_with(|| Oddity {
                member,
                since: now,
                reported: None,
            });
            let again = oddity.reported.is_none_or(|at| now.since(at) >= remind);
            if again && now.since(oddity.since) > patience {
                oddity.reported = Some(now);
                due.push((tp, oddity.clone()));
            }
        }
        due
    }
}
