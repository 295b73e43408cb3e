//! What waits to be sent, and what may be sent now. Does no I/O and reads no clock.

mod batch;
mod broker;
mod buffer;
mod limits;
mod pending;
mod queue;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use divvy_client::TopicPartition;
use tokio::time::Instant;

pub(crate) use self::batch::{Batch, KEPT_OVERHEAD};
use self::broker::BrokerState;
#[cfg(feature = "rdkafka")]
pub(crate) use self::buffer::Entry;
use self::limits::Limits;
pub(crate) use self::pending::{Pending, Undelivered, outcome_of};
use self::queue::{InFlight, Queue};
use crate::budget::Budget;
use crate::config::ProducerConfig;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::record::Fields;

/// The records that are not delivered yet, in batches, by partition. Kafka: `RecordAccumulator`.
///
/// Of each partition at most one batch is on its way, and one that has to be sent again goes back to the first place, so that
/// records are stored in the order in which they came.
#[derive(Debug)]
pub(crate) struct Accumulator {
    limits: Limits,
    budget: Arc<Budget>,
    /// By their slots.
    queues: Vec<Queue>,
    slots: BTreeMap<TopicPartition, Slot>,
    brokers: BTreeMap<i32, BrokerState>,
    turn: u64,
    is_closed: bool,
}

/// The place of a partition in the accumulator, which it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(usize);

impl Slot {
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// What may be sent to which broker, each with when its partition was last served.
type Turns = BTreeMap<i32, Vec<(u64, Slot)>>;

/// Where a record was queued.
#[derive(Debug)]
pub(crate) struct Queued<'a> {
    pub(crate) outcome: &'a Arc<Outcome>,
    /// Its number in the outcome.
    pub(crate) number: u32,
    /// The plan may have changed by it: a batch was begun or became full.
    pub(crate) is_news: bool,
}

/// Why a record was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No more are taken.
    Closed,
    /// The budget is used up for now.
    NoRoom,
}

/// One request, to be sent to one broker.
#[derive(Debug)]
pub(crate) struct Work {
    /// The leader of all its partitions, by `broker.id`.
    pub(crate) broker: i32,
    /// Over which of the connections to it.
    pub(crate) connection: usize,
    /// At most one of each partition.
    pub(crate) batches: Vec<Batch>,
}

/// What is to be done now.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) requests: Vec<Work>,
    /// When to look again, if nothing happens before.
    pub(crate) wake_at: Option<Instant>,
    /// Something could be sent if its leader were known.
    pub(crate) misses_a_leader: bool,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            // Whoever can wait for room does, and whoever cannot says what it is about.
            Refused::Closed | Refused::NoRoom => Self::Closed,
        }
    }
}

impl Plan {
    fn wake_by(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }
}

impl Accumulator {
    pub(crate) fn new(config: &ProducerConfig, budget: &Arc<Budget>) -> Self {
        Self {
            limits: Limits::new(config),
            budget: Arc::clone(budget),
            queues: Vec::new(),
            slots: BTreeMap::new(),
            brokers: BTreeMap::new(),
            turn: 0,
            is_closed: false,
        }
    }

    /// The slot of a partition.
    pub(crate) fn slot(&mut self, tp: &TopicPartition) -> Slot {
        if let Some(slot) = self.slots.get(tp) {
            return *slot;
        }
        let slot = Slot(self.queues.len());
        self.queues.push(Queue::new(tp.clone(), &self.limits));
        self.slots.insert(tp.clone(), slot);
        slot
    }

    /// Queues a record behind all others of its partition. The clock is read only where a batch begins.
    #[inline]
    pub(crate) fn append(
        &mut self,
        slot: Slot,
        record: &Fields<'_>,
        now: impl FnOnce() -> Instant,
    ) -> Result<Queued<'_>, Refused> {
        let limits = &self.limits;
        if self.is_closed {
            return Err(Refused::Closed);
        }
        let queue = self.queues.get_mut(slot.0).ok_or(Refused::Closed)?;
        let is_open = |batch: &Batch| batch.takes(record, limits);
        let begins = !queue.batches.back().is_some_and(is_open);
        if begins {
            let now = now();
            let room = (record.kept_size(), queue.room(limits));
            let times = (now, now + limits.delivery_timeout);
            let batch = Batch::begin(&queue.tp, slot, &queue.meter, room, &self.budget, times);
            queue.batches.push_back(batch.ok_or(Refused::NoRoom)?);
        }
        let Queue {
            batches, in_flight, ..
        } = queue;
        let batch = batches.back_mut().ok_or(Refused::Closed)?;
        let number = batch.push(record, limits).ok_or(Refused::NoRoom)?;
        // While a batch is on its way its end, or its deadline, comes before anything is to be done about those behind it.
        let is_busy = || in_flight.as_ref().is_some_and(InFlight::is_pending);
        Ok(Queued {
            number,
            is_news: (begins || batch.is_full(limits)) && !is_busy(),
            outcome: &batch.outcome,
        })
    }

    /// Takes out what can be sent now, at most one batch of each partition, and fails what has waited too long.
    ///
    /// `pressure` says that somebody waits for room. Brokers that have nothing to do, and so nothing to give room back for, are
    /// sent batches then that would wait for more records; of others room will come, and small batches would make them slower.
    pub(crate) fn drain(
        &mut self,
        leader: impl Fn(&TopicPartition) -> Option<i32>,
        pressure: bool,
        now: Instant,
    ) -> Plan {
        let mut plan = Plan::default();
        let (mut ready, mut early) = (Turns::new(), Turns::new());
        for (at, queue) in self.queues.iter_mut().enumerate() {
            queue.expire(&self.limits, now);
            if let Some(deadline) = queue.first_deadline() {
                plan.wake_by(deadline);
            }
            let Some(ready_at) = queue.ready_at(&self.limits, false) else {
                continue;
            };
            let is_ready = ready_at <= now;
            if !is_ready {
                plan.wake_by(ready_at);
                let in_haste = queue.ready_at(&self.limits, pressure);
                if in_haste.is_none_or(|at| at > now) {
                    continue;
                }
            }
            let turns = if is_ready { &mut ready } else { &mut early };
            match leader(&queue.tp) {
                Some(broker) => turns
                    .entry(broker)
                    .or_default()
                    .push((queue.turn, Slot(at))),
                None => plan.misses_a_leader = true,
            }
        }
        for (broker, turns) in ready {
            self.fill_requests(broker, turns, now, &mut plan);
        }
        for (broker, turns) in early {
            if self.is_idle(broker) {
                self.fill_requests(broker, turns, now, &mut plan);
            }
        }
        plan
    }

    /// Whether something waits for a partition whose leader is not known.
    pub(crate) fn misses_a_leader(&self, leader: impl Fn(&TopicPartition) -> Option<i32>) -> bool {
        let mut queues = self.queues.iter();
        queues.any(|queue| !queue.batches.is_empty() && leader(&queue.tp).is_none())
    }

    /// Lets nothing that is queued wait for more records, and lists it.
    pub(crate) fn flush(&mut self) -> Vec<Pending> {
        let queues = self.queues.iter_mut();
        for batch in queues.flat_map(|queue| &mut queue.batches) {
            batch.sealed = true;
        }
        self.queues.iter().flat_map(Queue::pending).collect()
    }

    /// Takes no more records.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Fails everything that has no outcome yet, takes no more, and lists what it was.
    pub(crate) fn abandon(&mut self) -> Vec<Pending> {
        self.close();
        let mut pending = Vec::new();
        for queue in &self.queues {
            for Pending { outcome, numbers } in queue.pending() {
                queue.meter.failed(numbers.len());
                outcome.complete(numbers.clone(), &Err(Error::Closed));
                pending.push(Pending { outcome, numbers });
            }
        }
        self.queues.clear();
        self.slots.clear();
        pending
    }
}
