//! What is known of the group at a moment, from what its processes say.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::account::Account;
use super::heard::{Heard, Who};
use super::names;

/// Over how long rates are counted.
const RATES_OVER: Duration = Duration::from_secs(2);

/// The state of the demo. Times are since its beginning.
#[derive(Debug)]
pub(super) struct Show {
    pub(super) members: Vec<Member>,
    pub(super) partitions: Vec<Partition>,
    pub(super) account: Account,
    pub(super) events: Vec<Event>,
    /// Who owned each partition, at each tick and after each change.
    pub(super) history: Vec<(Duration, Vec<Option<usize>>)>,
    pub(super) produced: Meter,
    pub(super) printed: Meter,
    /// Whether the producer has ended, and told of everything that it wrote.
    pub(super) producer_has_ended: bool,
    /// What should not have happened.
    pub(super) troubles: Vec<String>,
}

/// A member of the group.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) pid: u32,
    pub(super) state: State,
    pub(super) owns: BTreeSet<i32>,
    pub(super) printed: Meter,
    started: Duration,
    /// Whether its process has ended, and everything that it wrote was heard.
    has_ended: bool,
}

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Joining,
    Joined,
    Killed(Duration),
    /// It was asked to leave.
    Leaving,
    /// Its process has ended without having been killed.
    Ended,
}

/// A partition of the topic.
#[derive(Clone, Debug, Default)]
pub(super) struct Partition {
    pub(super) owner: Option<usize>,
    /// The offset behind the last one that was printed.
    pub(super) position: i64,
    /// The offset that the next message gets.
    pub(super) end: i64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) at: Duration,
    pub(super) text: String,
    pub(super) weight: Weight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// A part of something larger, such as a rebalance.
    Detail,
    Step,
    Alarm,
}

/// Counts, and how fast they grow.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) count: u64,
    marks: VecDeque<(Duration, u64)>,
}

impl Show {
    pub(super) fn new(partitions: usize, most: usize) -> Self {
        Self {
            members: Vec::new(),
            partitions: vec![Partition::default(); partitions],
            account: Account::new(most),
            events: Vec::new(),
            history: Vec::new(),
            produced: Meter::default(),
            printed: Meter::default(),
            producer_has_ended: false,
            troubles: Vec::new(),
        }
    }

    /// A process was started that will join the group. Its id is the count of those before it.
    pub(super) fn join(&mut self, pid: u32, now: Duration) {
        let name = names::member(self.members.len());
        self.members.push(Member {
            pid,
            state: State::Joining,
            owns: BTreeSet::new(),
            printed: Meter::default(),
            started: now,
            has_ended: false,
        });
        self.note(now, Weight::Step, format!("{name} is started, pid {pid}"));
    }

    /// The time begins anew. What is known of the group stays; what happened before was at the beginning.
    pub(super) fn restart(&mut self) {
        self.history.clear();
        for event in &mut self.events {
            event.at = Duration::ZERO;
        }
        for member in &mut self.members {
            member.printed = Meter::default();
        }
        (self.produced, self.printed) = (Meter::default(), Meter::default());
    }

    /// The member that was there for the longest, of those that own something.
    pub(super) fn victim(&self) -> Option<usize> {
        let is_fit = |member: &Member| member.state == State::Joined && !member.owns.is_empty();
        self.members.iter().position(is_fit)
    }

    /// A member was killed.
    pub(super) fn kill(&mut self, id: usize, now: Duration) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        member.state = State::Killed(now);
        let owned: Vec<i32> = std::mem::take(&mut member.owns).into_iter().collect();
        let name = names::member(id);
        let owns = names::partitions(&owned);
        self.disown(id, &owned, now);
        self.account.kill(id, owned, now);
        self.note(
            now,
            Weight::Alarm,
            format!("{name} is killed, which owned {owns}"),
        );
    }

    /// Every member that is left was asked to leave.
    pub(super) fn leave(&mut self, now: Duration) {
        for member in &mut self.members {
            if matches!(member.state, State::Joining | State::Joined) {
                member.state = State::Leaving;
            }
        }
        self.note(
            now,
            Weight::Step,
            "the members are asked to leave".to_owned(),
        );
    }

    /// Takes in what a process said.
    pub(super) fn hear(&mut self, who: Who, heard: Heard, now: Duration) {
        match (who, heard) {
            (_, Heard::Acknowledged(number)) => {
                self.produced.count += 1;
                self.account.acknowledge(number);
            }
            (
                Who::Member(id),
                Heard::Printed {
                    partition,
                    offset,
                    number,
                },
            ) => {
                self.print(id, partition, offset, number, now);
            }
            (Who::Member(id), Heard::Assigned(partitions)) => self.own(id, partitions, now),
            (Who::Member(id), Heard::Released(partitions)) => self.release(id, &partitions, now),
            (Who::Member(id), Heard::Remark(text)) => {
                let text = format!("{}: {text}", names::member(id));
                self.note(now, Weight::Step, text);
            }
            (who, Heard::Ended { success, how }) => self.end(who, success, &how, now),
            // Those are said by members alone.
            (Who::Producer, _) => {}
        }
    }

    /// Keeps the owners as they are now, for the picture of them over time, and counts rates.
    pub(super) fn tick(&mut self, now: Duration) {
        self.remember(now);
        let members = self.members.iter_mut().map(|member| &mut member.printed);
        for meter in members.chain([&mut self.produced, &mut self.printed]) {
            meter.mark(now);
        }
    }

    /// Whether each partition has an owner, and no member is on its way.
    pub(super) fn is_shared_out(&self) -> bool {
        let is_joining = |member: &Member| member.state == State::Joining;
        let some_own_nothing = self.partitions.len() < self.members.len();
        self.partitions
            .iter()
            .all(|partition| partition.owner.is_some())
            && (some_own_nothing || !self.members.iter().any(is_joining))
    }

    /// Whether everything that was written was printed.
    pub(super) fn is_drained(&self) -> bool {
        self.producer_has_ended && self.account.sums().lost == 0
    }

    /// Whether no process is left.
    pub(super) fn is_over(&self) -> bool {
        self.producer_has_ended && self.members.iter().all(|member| member.has_ended)
    }

    /// How many messages are in the topic that nobody has printed.
    pub(super) fn lag(&self) -> i64 {
        self.partitions.iter().map(Partition::lag).sum()
    }

    /// Why this demo did not show what it is to show.
    pub(super) fn complaint(&self) -> Option<String> {
        let trouble = self.troubles.first().cloned();
        self.account.complaint().or(trouble)
    }

    fn print(&mut self, id: usize, partition: i32, offset: i64, number: u64, now: Duration) {
        let over = self.account.print(id, partition, number, now);
        self.printed.count += 1;
        if let Some(member) = self.members.get_mut(id) {
            member.printed.count += 1;
        }
        if let Some(partition) = self.partition(partition) {
            partition.position = partition.position.max(offset.saturating_add(1));
        }
        for kill in over {
            self.note_takeover(kill, now);
        }
    }

    fn note_takeover(&mut self, kill: usize, now: Duration) {
        let Some(kill) = self.account.kills().get(kill) else {
            return;
        };
        let (name, owned) = (
            names::member(kill.member),
            names::partitions(kill.takeovers.keys()),
        );
        let times = names::range(&kill.times());
        let text = format!("{owned} of {name} are read by others, after {times}");
        self.note(now, Weight::Step, text);
    }

    fn own(&mut self, id: usize, partitions: Vec<i32>, now: Duration) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        if matches!(member.state, State::Killed(_) | State::Ended) {
            // It said so before it was killed.
            return;
        }
        let owned = names::partitions(&partitions);
        let name = names::member(id);
        let (weight, text) = match member.state {
            State::Joining => {
                member.state = State::Joined;
                let took = names::time(now.saturating_sub(member.started));
                (
                    Weight::Step,
                    format!("{name} has joined and owns {owned} after {took}"),
                )
            }
            _ => (Weight::Detail, format!("{name} takes {owned}")),
        };
        member.owns.extend(&partitions);
        for partition in partitions {
            if let Some(partition) = self.partition(partition) {
                partition.owner = Some(id);
            }
        }
        self.remember(now);
        self.note(now, weight, text);
    }

    fn release(&mut self, id: usize, partitions: &[i32], now: Duration) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        member
            .owns
            .retain(|partition| !partitions.contains(partition));
        self.disown(id, partitions, now);
        let text = format!(
            "{} gives up {}",
            names::member(id),
            names::partitions(partitions)
        );
        self.note(now, Weight::Detail, text);
    }

    fn end(&mut self, who: Who, success: bool, how: &str, now: Duration) {
        let trouble = match who {
            Who::Producer => {
                self.producer_has_ended = true;
                (!success).then(|| format!("the producer ended: {how}"))
            }
            Who::Member(id) => {
                let Some(member) = self.members.get_mut(id) else {
                    return;
                };
                let owned: Vec<i32> = std::mem::take(&mut member.owns).into_iter().collect();
                member.has_ended = true;
                let before = member.state;
                if !matches!(before, State::Killed(_)) {
                    member.state = State::Ended;
                }
                self.disown(id, &owned, now);
                let name = names::member(id);
                match before {
                    State::Killed(_) => None,
                    State::Leaving if success => None,
                    State::Leaving => Some(format!("{name} did not leave in order: {how}")),
                    _ => Some(format!("{name} ended unasked: {how}")),
                }
            }
        };
        if let Some(trouble) = trouble {
            self.note(now, Weight::Alarm, trouble.clone());
            self.troubles.push(trouble);
        }
    }

    /// Partitions that have another owner meanwhile keep it.
    fn disown(&mut self, id: usize, partitions: &[i32], now: Duration) {
        for partition in partitions {
            if let Some(partition) = self.partition(*partition)
                && partition.owner == Some(id)
            {
                partition.owner = None;
            }
        }
        self.remember(now);
    }

    fn partition(&mut self, id: i32) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(id).ok()?)
    }

    fn remember(&mut self, now: Duration) {
        let owners = self.partitions.iter().map(|partition| partition.owner);
        self.history.push((now, owners.collect()));
    }

    pub(super) fn note(&mut self, at: Duration, weight: Weight, text: String) {
        self.events.push(Event { at, text, weight });
    }
}

impl Partition {
    pub(super) fn lag(&self) -> i64 {
        self.end.saturating_sub(self.position).max(0)
    }
}

impl Meter {
    fn mark(&mut self, now: Duration) {
        self.marks.push_back((now, self.count));
        while self
            .marks
            .get(1)
            .is_some_and(|(at, _)| *at + RATES_OVER <= now)
        {
            self.marks.pop_front();
        }
    }

    /// How many a second, lately.
    pub(super) fn rate(&self) -> f64 {
        match (self.marks.front(), self.marks.back()) {
            (Some((began, first)), Some((at, last))) if at > began => {
                (last - first) as f64 / (*at - *began).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}
