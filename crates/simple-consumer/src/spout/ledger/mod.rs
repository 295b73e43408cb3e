//! What a spout has taken and not finished, and what is to be done about it. Does no I/O and reads no clock: every step is told
//! the time, which is counted from the spout's beginning.

mod partition;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use divvy_client::TopicPartition;

use self::partition::{Entry, Partition, Refetch, State};
use super::config::{After, Ordering, SpoutConfig};
use super::id::{MessageId, fnv};
use super::stats::{SpoutPartitionStats, SpoutStats};
use crate::engine::Standing;
use crate::event::{Event, Fate};

/// How long a message that is fetched again is waited for before it is asked for again.
const REFETCH_PATIENCE: Duration = Duration::from_secs(10);

/// A partition as it was handed to the spout: which claim of it, and which hold by the engine's count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) tp: TopicPartition,
    pub(super) epoch: u64,
    pub(super) token: i64,
}

/// A message that was taken from the consumer.
pub(super) struct Incoming<'a, M> {
    /// The partition's name within ids.
    pub(super) place: &'a TopicPartition,
    pub(super) offset: i64,
    /// Where the piece of the log begins that is known to hold nothing else up to this message.
    pub(super) covers_from: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) message: M,
    pub(super) size: usize,
}

/// Which messages of a partition may be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Any,
    /// Only such as were taken before and are fetched again.
    Known,
    None,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<M> {
    /// Hand this message out.
    Deliver { message: M, attempt: u32 },
    /// Have this message taken as a dead letter.
    Bury { message: M, attempt: u32 },
    /// Fetch the log again from this offset on.
    Refetch { hold: Hold, offset: i64 },
}

/// What follows from a step, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// A message is finished.
    Finished { hold: Hold, offset: i64 },
    /// Nothing more of this hold will be finished, although messages are outstanding.
    Forsaken { hold: Hold },
    /// Something to report.
    Report(Event),
}

/// A partition that stands still before a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Halt {
    pub(super) tp: TopicPartition,
    pub(super) attempts: u32,
    pub(super) id: MessageId,
}

#[derive(Debug)]
pub(super) struct Ledger<M> {
    config: Arc<SpoutConfig>,
    /// By the names that ids have for them.
    partitions: BTreeMap<TopicPartition, Partition<M>>,
    /// How many messages are in flight, in all partitions.
    flying: usize,
    retained: usize,
    /// The counters only; the rest is made when it is asked for.
    counts: SpoutStats,
    outputs: Vec<Output>,
    halts: VecDeque<Halt>,
    /// Nothing more is handed out at all.
    closed: bool,
}

/// Taking in.
impl<M: Clone> Ledger<M> {
    pub(super) fn new(config: Arc<SpoutConfig>) -> Self {
        Self {
            config,
            partitions: BTreeMap::new(),
            flying: 0,
            retained: 0,
            counts: SpoutStats::default(),
            outputs: Vec::new(),
            halts: VecDeque::new(),
            closed: false,
        }
    }

    /// Whether a message of any partition may be taken.
    pub(super) fn has_room(&self) -> bool {
        self.flying < self.config.max_in_flight
            || self.partitions.values().any(|at| at.refetch.is_some())
    }

    /// Which messages of a partition may be taken, now or later.
    pub(super) fn room(&self, place: &TopicPartition) -> Room {
        let any = self.flying < self.config.max_in_flight;
        let Some(partition) = self.partitions.get(place) else {
            return if any { Room::Any } else { Room::None };
        };
        if any && self.is_open_to_new(partition) {
            Room::Any
        } else if partition.refetch.is_some() {
            Room::Known
        } else {
            Room::None
        }
    }

    fn is_open_to_new(&self, partition: &Partition<M>) -> bool {
        let config = &self.config;
        let limit = config.max_in_flight_per_partition;
        let ordered = match config.ordering {
            Ordering::Unordered => true,
            Ordering::PerPartition => partition.entries.is_empty(),
            Ordering::PerKey { .. } => {
                partition.behind < limit
                    && (self.retained < config.max_retained_bytes || partition.entries.is_empty())
            }
        };
        ordered
            && partition.in_flight() < limit
            && partition.halted == 0
            && partition.span() < config.max_uncommitted_span
    }

    /// Whether messages of every partition may be taken.
    pub(super) fn is_open(&self) -> bool {
        self.flying < self.config.max_in_flight
            && self.partitions.values().all(|at| self.is_open_to_new(at))
    }

    /// Begins with a partition, unless it is the one that is known.
    pub(super) fn open(&mut self, place: &TopicPartition, hold: Hold, is_known: bool) {
        if is_known && self.partitions.contains_key(place) {
            return;
        }
        self.forget(place);
        self.partitions.insert(place.clone(), Partition::new(hold));
    }

    /// The hold under which a partition is known.
    pub(super) fn hold(&self, place: &TopicPartition) -> Option<&Hold> {
        self.partitions.get(place).map(|partition| &partition.hold)
    }

    /// Whether a message was taken before.
    pub(super) fn is_known(&self, place: &TopicPartition, offset: i64) -> bool {
        let partition = self.partitions.get(place);
        partition.is_some_and(|partition| offset < partition.next)
    }

    /// Takes a message of an open partition in; what to do with it says [`Ledger::next_step`]. One that was taken before only
    /// fills the gap that it may have left.
    pub(super) fn take(&mut self, incoming: Incoming<'_, M>, now: Duration) {
        let Some(partition) = self.partitions.get_mut(incoming.place) else {
            return;
        };
        if incoming.offset < partition.next {
            self.take_again(incoming, now);
            return;
        }
        // Whatever was fetched again lies behind.
        partition.refetch = None;
        partition.next = incoming.offset.saturating_add(1);
        let lane = match (self.config.ordering, incoming.key) {
            (Ordering::PerKey { lanes }, Some(key)) => Some(fnv(key) % u64::from(lanes.max(1))),
            _ => None,
        };
        self.retained += incoming.size;
        partition.insert(
            incoming.offset,
            Entry {
                state: State::Behind,
                attempts: 0,
                lane,
                size: incoming.size,
                message: Some(incoming.message),
                is_spent: false,
            },
            now,
        );
        if partition.span() >= self.config.max_uncommitted_span && !partition.is_stuck {
            partition.is_stuck = true;
            self.outputs.push(Output::Report(Event::Stuck {
                tp: partition.hold.tp.clone(),
                offset: partition.oldest().unwrap_or(incoming.offset),
                span: partition.span(),
            }));
        }
    }

    /// A message comes a second time, because it was fetched again.
    fn take_again(&mut self, incoming: Incoming<'_, M>, now: Duration) {
        let (place, offset) = (incoming.place, incoming.offset);
        self.passed(place, incoming.covers_from, offset);
        let Some(partition) = self.partitions.get_mut(place) else {
            return;
        };
        if let Some(refetch) = &mut partition.refetch {
            refetch.until = now.saturating_add(REFETCH_PATIENCE);
        }
        if let Some(entry) = partition.entries.get_mut(&offset)
            && let State::Queued(due) = entry.state
            && entry.message.is_none()
            && (due <= now || self.retained < self.config.max_retained_bytes)
        {
            entry.message = Some(incoming.message);
            entry.size = incoming.size;
            self.retained += incoming.size;
        }
        partition.refetch.take_if(|refetch| refetch.to <= offset);
    }

    /// A piece of the log was read again, and what was not in it is not in the log any more: compaction has removed it.
    pub(super) fn passed(&mut self, place: &TopicPartition, from: i64, to: i64) {
        let Some(partition) = self.partitions.get_mut(place) else {
            return;
        };
        if from >= to {
            return;
        }
        partition.refetch.take_if(|refetch| refetch.to < to);
        let lacking = partition.lacking(from, to);
        for offset in lacking {
            self.give_up(place, offset, Fate::NotInLog);
        }
    }
}

/// Handing out.
impl<M: Clone> Ledger<M> {
    /// What is to be done now, if anything: of what is due, that which is due longest, in partitions that may be handed out.
    pub(super) fn next_step(
        &mut self,
        now: Duration,
        standing: impl Fn(&Hold) -> Standing,
    ) -> Option<Step<M>> {
        if self.closed || self.flying >= self.config.max_in_flight {
            return None;
        }
        let limit = self.config.max_in_flight_per_partition;
        let due = self.partitions.iter().filter_map(|(place, partition)| {
            let mut queue = partition.queue.iter().take_while(|(due, _)| *due <= now);
            let (due, offset) = queue.find(|(_, offset)| !partition.is_awaited(*offset, now))?;
            (partition.in_flight() < limit).then(|| (*due, place.clone(), *offset))
        });
        let mut due: Vec<_> = due.collect();
        due.sort();
        let (_, place, offset) = due.into_iter().find(|(_, place, _)| {
            let hold = self.hold(place);
            hold.is_some_and(|hold| standing(hold) == Standing::Open)
        })?;
        self.step(&place, offset, now)
    }

    fn step(&mut self, place: &TopicPartition, offset: i64, now: Duration) -> Option<Step<M>> {
        let partition = self.partitions.get_mut(place)?;
        let entry = partition.entries.get(&offset)?;
        let Some(message) = entry.message.clone() else {
            let lacking = partition.lacking(0, i64::MAX);
            let from = lacking.first().copied().unwrap_or(offset);
            partition.refetch = Some(Refetch {
                to: lacking.last().copied().unwrap_or(offset),
                until: now.saturating_add(REFETCH_PATIENCE),
            });
            let hold = partition.hold.clone();
            return Some(Step::Refetch { hold, offset: from });
        };
        let is_spent = entry.is_spent;
        self.flying += 1;
        if is_spent {
            let attempt = entry.attempts;
            partition.turn(offset, State::Parting);
            return Some(Step::Bury { message, attempt });
        }
        partition.turn(offset, State::Flying(now));
        let entry = partition.entries.get_mut(&offset)?;
        entry.attempts = entry.attempts.saturating_add(1);
        let attempt = entry.attempts;
        if self.retained > self.config.max_retained_bytes {
            entry.message = None;
            self.retained -= entry.size;
        }
        self.counts.delivered += 1;
        self.counts.replayed += u64::from(attempt > 1);
        Some(Step::Deliver { message, attempt })
    }

    /// When something is to be done that nobody calls for: a retry is due, a message too old, or one that was asked for again has
    /// not come.
    pub(super) fn wake_at(&self, now: Duration) -> Option<Duration> {
        let age = self.config.in_flight_timeout;
        let times = self.partitions.values().flat_map(|partition| {
            let due = partition.queue.range((now, i64::MAX)..).next();
            let old = partition.flying.first().zip(age);
            [
                due.map(|(due, _)| *due),
                old.map(|((since, _), age)| since.saturating_add(age)),
                partition.refetch.map(|refetch| refetch.until),
            ]
        });
        times.flatten().filter(|time| *time > now).min()
    }

    /// Whether messages are due that could not be handed out.
    pub(super) fn is_held_up(&self, now: Duration) -> bool {
        let mut queues = self.partitions.values().map(|partition| &partition.queue);
        queues.any(|queue| queue.first().is_some_and(|(due, _)| *due <= now))
    }

    /// A partition that has come to stand still, once.
    pub(super) fn next_halt(&mut self) -> Option<Halt> {
        self.halts.pop_front()
    }

    /// What follows from the steps since this was called last.
    pub(super) fn outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }
}

/// Finishing.
impl<M: Clone> Ledger<M> {
    /// An acknowledgement. Gives whether it had an effect.
    pub(super) fn ack(&mut self, id: &MessageId) -> bool {
        let handed_out = self.entry(id).is_some_and(|entry| entry.attempts > 0);
        if handed_out {
            self.counts.acked += 1;
            self.finish(id.place(), id.offset());
        } else {
            self.counts.stale += 1;
        }
        handed_out
    }

    /// A failure. Gives whether it had an effect.
    pub(super) fn fail(&mut self, id: &MessageId, now: Duration) -> bool {
        let flies = self
            .entry(id)
            .is_some_and(|entry| matches!(entry.state, State::Flying(_)));
        if flies {
            self.fall(id.place(), id.offset(), now);
        } else {
            self.counts.stale += 1;
        }
        flies
    }

    /// A message was taken as a dead letter. Gives whether that had an effect.
    pub(super) fn buried(&mut self, id: &MessageId) -> bool {
        let parting = self.is_parting(id);
        if parting {
            self.give_up(id.place(), id.offset(), Fate::DeadLettered);
        }
        parting
    }

    /// Whether a message is still to be taken as a dead letter.
    pub(super) fn is_parting(&self, id: &MessageId) -> bool {
        let entry = self.entry(id);
        entry.is_some_and(|entry| entry.state == State::Parting)
    }

    /// Counts messages that are in flight for too long as failed.
    pub(super) fn expire(&mut self, now: Duration) {
        let Some(age) = self.config.in_flight_timeout else {
            return;
        };
        let mut old = Vec::new();
        for (place, partition) in &self.partitions {
            let flying = partition.flying.iter();
            let expired = flying.take_while(|(since, _)| since.saturating_add(age) <= now);
            old.extend(expired.map(|(since, offset)| (*since, place.clone(), *offset)));
        }
        for (since, place, offset) in old {
            if let Some(hold) = self.hold(&place) {
                self.outputs.push(Output::Report(Event::AckTimeout {
                    tp: hold.tp.clone(),
                    offset,
                    age: now.saturating_sub(since),
                }));
            }
            self.counts.timed_out += 1;
            self.fall(&place, offset, now);
        }
    }

    /// Keeps in step with the engine: forgets what cannot be finished any more, and what will not be handed out any more.
    pub(super) fn sweep(&mut self, standing: impl Fn(&Hold) -> Standing) {
        let places: Vec<TopicPartition> = self.partitions.keys().cloned().collect();
        for place in places {
            self.sweep_one(&place, &standing);
        }
    }

    /// The same for one partition.
    pub(super) fn sweep_one(
        &mut self,
        place: &TopicPartition,
        standing: impl Fn(&Hold) -> Standing,
    ) {
        let Some(partition) = self.partitions.get_mut(place) else {
            return;
        };
        match standing(&partition.hold) {
            Standing::Gone => self.forget(place),
            Standing::Ending => self.wind_up(place),
            Standing::Open | Standing::Shut if self.closed => self.wind_up(place),
            Standing::Open | Standing::Shut => {}
        }
    }

    /// Hands nothing out any more, of any partition. What is in flight can still be finished.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Forgets what waits, because it will not be handed out here. What is in flight can still be finished; when there is none
    /// left, nobody needs to wait for the rest.
    fn wind_up(&mut self, place: &TopicPartition) {
        let Some(partition) = self.partitions.get_mut(place) else {
            return;
        };
        self.retained -= partition.forget_waiting();
        if partition.in_flight() == 0 {
            let hold = partition.hold.clone();
            self.partitions.remove(place);
            self.outputs.push(Output::Forsaken { hold });
        }
    }

    fn forget(&mut self, place: &TopicPartition) {
        if let Some(partition) = self.partitions.remove(place) {
            self.flying -= partition.in_flight();
            self.retained -= partition.retained();
        }
    }

    fn entry(&self, id: &MessageId) -> Option<&Entry<M>> {
        let partition = self.partitions.get(id.place())?;
        if partition.hold.token != id.epoch() {
            return None;
        }
        partition.entries.get(&id.offset())
    }

    /// A message in flight has failed: it waits for its next time, or meets its fate.
    fn fall(&mut self, place: &TopicPartition, offset: i64, now: Duration) {
        self.counts.failed += 1;
        let Some(partition) = self.partitions.get_mut(place) else {
            return;
        };
        let Some(attempts) = partition.entries.get(&offset).map(|entry| entry.attempts) else {
            return;
        };
        let retry = &self.config.retry;
        if !retry.is_exhausted(attempts) {
            let salt = fnv(&offset.to_le_bytes()) ^ u64::from(place.partition.unsigned_abs());
            let due = now.saturating_add(retry.pause(attempts, salt));
            self.flying -= usize::from(partition.turn(offset, State::Queued(due)));
            return;
        }
        match retry.after {
            After::Drop => self.give_up(place, offset, Fate::Dropped),
            After::DeadLetter(_) => {
                self.flying -= usize::from(partition.turn(offset, State::Queued(now)));
                if let Some(entry) = partition.entries.get_mut(&offset) {
                    entry.is_spent = true;
                }
            }
            After::Halt => {
                self.flying -= usize::from(partition.turn(offset, State::Halted));
                let tp = partition.hold.tp.clone();
                self.halts.push_back(Halt {
                    tp: tp.clone(),
                    attempts,
                    id: MessageId::at(place, offset, partition.hold.token),
                });
                self.outputs.push(Output::Report(Event::GivenUp {
                    tp,
                    offset,
                    attempts,
                    fate: Fate::Halted,
                }));
            }
        }
    }

    /// A message counts as finished although nobody has acknowledged it.
    fn give_up(&mut self, place: &TopicPartition, offset: i64, fate: Fate) {
        let Some(partition) = self.partitions.get(place) else {
            return;
        };
        let attempts = partition.entries.get(&offset).map(|entry| entry.attempts);
        self.outputs.push(Output::Report(Event::GivenUp {
            tp: partition.hold.tp.clone(),
            offset,
            attempts: attempts.unwrap_or_default(),
            fate,
        }));
        if fate == Fate::DeadLettered {
            self.counts.dead_lettered += 1;
        } else {
            self.counts.dropped += 1;
        }
        self.finish(place, offset);
    }

    fn finish(&mut self, place: &TopicPartition, offset: i64) {
        let Some(partition) = self.partitions.get_mut(place) else {
            return;
        };
        let Some((entry, flew)) = partition.remove(offset) else {
            return;
        };
        self.flying -= usize::from(flew);
        if entry.message.is_some() {
            self.retained -= entry.size;
        }
        partition.is_stuck &= partition.span() >= self.config.max_uncommitted_span;
        let hold = partition.hold.clone();
        self.outputs.push(Output::Finished { hold, offset });
    }

    /// What was done, to be added to.
    pub(super) fn counts(&mut self) -> &mut SpoutStats {
        &mut self.counts
    }

    /// The figures at this time.
    pub(super) fn stats(&self, now: Duration) -> SpoutStats {
        let mut stats = self.counts.clone();
        stats.in_flight = self.flying;
        stats.retained_bytes = self.retained;
        for partition in self.partitions.values() {
            let in_flight = partition.in_flight();
            let waiting = partition.entries.len() - in_flight;
            stats.waiting += waiting;
            let oldest = partition.flying.first();
            let oldest = oldest.map(|(since, _)| now.saturating_sub(*since));
            stats.oldest = stats.oldest.max(oldest);
            stats.partitions.insert(
                partition.hold.tp.clone(),
                SpoutPartitionStats {
                    in_flight,
                    waiting,
                    span: partition.span(),
                    halted: partition.halted > 0,
                },
            );
        }
        stats
    }
}
