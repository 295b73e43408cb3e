use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Hold;

/// What a spout has of one partition.
#[derive(Debug)]
pub(super) struct Partition<M> {
    pub(super) hold: Hold,
    /// What was taken and is not finished, by offset.
    pub(super) entries: BTreeMap<i64, Entry<M>>,
    /// Behind the last message that was taken.
    pub(super) next: i64,
    /// What waits to be handed out, by when it is due.
    pub(super) queue: BTreeSet<(Duration, i64)>,
    /// What the application has, by since when.
    pub(super) flying: BTreeSet<(Duration, i64)>,
    /// How many messages are being taken as dead letters.
    parting: usize,
    /// The messages of each lane, in order; all but the first are behind it.
    lanes: BTreeMap<u64, VecDeque<i64>>,
    /// How many messages are behind others of their lane.
    pub(super) behind: usize,
    pub(super) halted: usize,
    /// Its span was reported as too wide.
    pub(super) is_stuck: bool,
    /// It is being fetched again.
    pub(super) refetch: Option<Refetch>,
}

/// Messages that were not kept are fetched again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refetch {
    /// The last of them.
    pub(super) to: i64,
    /// Until when they are waited for.
    pub(super) until: Duration,
}

/// A message that is not finished.
#[derive(Debug)]
pub(super) struct Entry<M> {
    pub(super) state: State,
    /// How often it was handed out.
    pub(super) attempts: u32,
    pub(super) lane: Option<u64>,
    /// What it takes to keep.
    pub(super) size: usize,
    /// `None` where there was no room to keep it.
    pub(super) message: Option<M>,
    /// It has failed too often, and is a dead letter when it is due.
    pub(super) is_spent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Others of its lane are before it.
    Behind,
    /// It is handed out when it is due.
    Queued(Duration),
    /// It is in flight, since then.
    Flying(Duration),
    /// It is being taken as a dead letter.
    Parting,
    /// It has failed too often, and its partition stands still.
    Halted,
}

impl<M> Entry<M> {
    /// Whether it waits and has to be fetched again first.
    fn is_lacking(&self) -> bool {
        self.message.is_none() && matches!(self.state, State::Queued(_))
    }
}

impl<M> Partition<M> {
    pub(super) fn new(hold: Hold) -> Self {
        Self {
            hold,
            entries: BTreeMap::new(),
            next: 0,
            queue: BTreeSet::new(),
            flying: BTreeSet::new(),
            parting: 0,
            lanes: BTreeMap::new(),
            behind: 0,
            halted: 0,
            is_stuck: false,
            refetch: None,
        }
    }

    /// The offset of the oldest message that is not finished.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.entries.keys().next().copied()
    }

    /// How many offsets lie between the oldest message that is not finished and the next to take.
    pub(super) fn span(&self) -> u64 {
        self.oldest().map_or(0, |oldest| self.next.abs_diff(oldest))
    }

    /// How many messages are handed out, or being taken as dead letters.
    pub(super) fn in_flight(&self) -> usize {
        self.flying.len() + self.parting
    }

    /// The messages of a range that wait and were not kept, in order.
    pub(super) fn lacking(&self, from: i64, to: i64) -> Vec<i64> {
        self.entries
            .range(from..to)
            .filter(|(_, entry)| entry.is_lacking())
            .map(|(offset, _)| *offset)
            .collect()
    }

    /// Whether a message was asked for again and may still come.
    pub(super) fn is_awaited(&self, offset: i64, now: Duration) -> bool {
        let entry = self.entries.get(&offset);
        entry.is_some_and(Entry::is_lacking)
            && self.refetch.is_some_and(|refetch| now < refetch.until)
    }

    /// Adds a message that is handed out as soon as its lane allows.
    pub(super) fn insert(&mut self, offset: i64, mut entry: Entry<M>, now: Duration) {
        let lane = entry.lane.map(|lane| self.lanes.entry(lane).or_default());
        let is_first = lane.is_none_or(|lane| {
            lane.push_back(offset);
            lane.len() == 1
        });
        entry.state = if is_first {
            State::Queued(now)
        } else {
            State::Behind
        };
        self.enter(offset, entry.state);
        self.entries.insert(offset, entry);
    }

    /// Moves a message on. Gives whether it was in flight before.
    pub(super) fn turn(&mut self, offset: i64, state: State) -> bool {
        let Some(entry) = self.entries.get_mut(&offset) else {
            return false;
        };
        let before = std::mem::replace(&mut entry.state, state);
        let flew = self.leave(offset, before);
        self.enter(offset, state);
        flew
    }

    fn enter(&mut self, offset: i64, state: State) {
        match state {
            State::Behind => self.behind += 1,
            State::Queued(due) => {
                self.queue.insert((due, offset));
            }
            State::Flying(since) => {
                self.flying.insert((since, offset));
            }
            State::Parting => self.parting += 1,
            State::Halted => self.halted += 1,
        }
    }

    /// Removes a message, and lets the next of its lane go on. Gives it, and whether it was in flight.
    pub(super) fn remove(&mut self, offset: i64) -> Option<(Entry<M>, bool)> {
        let entry = self.entries.remove(&offset)?;
        let flew = self.leave(offset, entry.state);
        if let Some(lane) = entry.lane {
            self.advance(lane, offset);
        }
        Some((entry, flew))
    }

    /// Takes a message out of where its state has put it. Gives whether it was in flight.
    fn leave(&mut self, offset: i64, state: State) -> bool {
        match state {
            State::Flying(since) => self.flying.remove(&(since, offset)),
            State::Parting => {
                self.parting -= 1;
                true
            }
            State::Queued(due) => {
                self.queue.remove(&(due, offset));
                false
            }
            State::Behind => {
                self.behind -= 1;
                false
            }
            State::Halted => {
                self.halted -= 1;
                false
            }
        }
    }

    fn advance(&mut self, lane: u64, finished: i64) {
        let Some(offsets) = self.lanes.get_mut(&lane) else {
            return;
        };
        offsets.retain(|offset| *offset != finished);
        let Some(first) = offsets.front().copied() else {
            self.lanes.remove(&lane);
            return;
        };
        let entry = self.entries.get(&first);
        if entry.is_some_and(|entry| entry.state == State::Behind) {
            // Due since ever: it comes before what was taken later.
            self.turn(first, State::Queued(Duration::ZERO));
        }
    }

    /// Forgets what is not in flight. Gives how many bytes of messages that frees.
    pub(super) fn forget_waiting(&mut self) -> usize {
        let before = self.retained();
        self.entries
            .retain(|_, entry| matches!(entry.state, State::Flying(_) | State::Parting));
        self.queue.clear();
        self.lanes.clear();
        (self.behind, self.halted, self.refetch) = (0, 0, None);
        before - self.retained()
    }

    /// How many bytes of messages it keeps.
    pub(super) fn retained(&self) -> usize {
        let kept = self.entries.values();
        let kept = kept.filter(|entry| entry.message.is_some());
        kept.map(|entry| entry.size).sum()
    }
}
