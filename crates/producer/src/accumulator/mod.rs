//! What waits to be sent, and what may be sent now. Does no I/O and reads no clock.

mod batch;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use divvy_client::TopicPartition;
use divvy_protocol::ErrorCode;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

pub(crate) use self::batch::Batch;
use self::queue::Queue;
use crate::config::ProducerConfig;
use crate::delivery::{Appended, Delivery, Outcome};
use crate::error::{Error, Result};
use crate::record::Entry;

/// The records that are not delivered yet, in batches, by partition. Kafka: `RecordAccumulator`.
///
/// Of each partition at most one batch is on its way, and one that has to be sent again goes back to the first place, so that
/// records are stored in the order in which they came.
#[derive(Debug)]
pub(crate) struct Accumulator {
    limits: Limits,
    queues: BTreeMap<TopicPartition, Queue>,
    brokers: BTreeMap<i32, BrokerState>,
    turn: u64,
    is_closed: bool,
}

/// The settings that matter here; see [`ProducerConfig`].
#[derive(Clone, Debug)]
struct Limits {
    batch_size: usize,
    linger: Duration,
    max_request_size: usize,
    max_in_flight: usize,
    delivery_timeout: Duration,
    retry_backoff: Duration,
    retry_backoff_max: Duration,
}

#[derive(Debug, Default)]
struct BrokerState {
    /// How many requests are on their way.
    in_flight: usize,
    /// Until then the broker wants none.
    throttled_until: Option<Instant>,
}

/// One request, to be sent to one broker.
#[derive(Debug)]
pub(crate) struct Work {
    /// The leader of all its partitions, by `broker.id`.
    pub(crate) broker: i32,
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

/// A batch without an outcome.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) tp: TopicPartition,
    pub(crate) records: usize,
    pub(crate) outcome: Arc<Outcome>,
}

impl Pending {
    fn new(outcome: &Arc<Outcome>, records: usize) -> Self {
        Self {
            tp: outcome.partition().clone(),
            records,
            outcome: Arc::clone(outcome),
        }
    }
}

impl Plan {
    fn wake_by(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }
}

impl Accumulator {
    pub(crate) fn new(config: &ProducerConfig) -> Self {
        Self {
            limits: Limits {
                batch_size: config.batch_size,
                linger: config.linger,
                max_request_size: config.max_request_size,
                max_in_flight: config.max_in_flight,
                delivery_timeout: config.delivery_timeout,
                retry_backoff: config.retry_backoff,
                retry_backoff_max: config.retry_backoff_max,
            },
            queues: BTreeMap::new(),
            brokers: BTreeMap::new(),
            turn: 0,
            is_closed: false,
        }
    }

    /// Queues a record behind all others of its partition.
    ///
    /// Besides its delivery, tells whether the plan may have changed by it: a batch was begun or became full.
    pub(crate) fn append(
        &mut self,
        tp: &TopicPartition,
        entry: Entry,
        budget: Option<OwnedSemaphorePermit>,
        now: Instant,
    ) -> Result<(Delivery, bool)> {
        if self.is_closed {
            return Err(Error::Closed);
        }
        let limits = &self.limits;
        if !self.queues.contains_key(tp) {
            self.queues.insert(tp.clone(), Queue::new(limits));
        }
        let Some(queue) = self.queues.get_mut(tp) else {
            return Err(Error::Closed);
        };
        let is_open = queue
            .batches
            .back()
            .is_some_and(|batch| batch.takes(&entry, limits.batch_size));
        if !is_open {
            let deadline = now + limits.delivery_timeout;
            queue
                .batches
                .push_back(Batch::new(tp.clone(), now, deadline));
        }
        let Some(batch) = queue.batches.back_mut() else {
            return Err(Error::Closed);
        };
        let delivery = batch.push(entry, budget);
        let is_full = batch.wire_size >= limits.batch_size;
        Ok((delivery, !is_open || is_full))
    }

    /// Takes out what can be sent now, at most one batch of each partition, and fails what has waited too long.
    ///
    /// `pressure` says that somebody waits for room, so that no batch waits for more records.
    pub(crate) fn drain(
        &mut self,
        leader: impl Fn(&TopicPartition) -> Option<i32>,
        pressure: bool,
        now: Instant,
    ) -> Plan {
        let mut plan = Plan::default();
        let mut ready: BTreeMap<i32, Vec<(u64, TopicPartition)>> = BTreeMap::new();
        for (tp, queue) in &mut self.queues {
            queue.expire(&self.limits, now);
            if let Some(deadline) = queue.first_deadline() {
                plan.wake_by(deadline);
            }
            let Some(ready_at) = queue.ready_at(&self.limits, pressure) else {
                continue;
            };
            if ready_at > now {
                plan.wake_by(ready_at);
                continue;
            }
            match leader(tp) {
                Some(broker) => ready
                    .entry(broker)
                    .or_default()
                    .push((queue.turn, tp.clone())),
                None => plan.misses_a_leader = true,
            }
        }
        for (broker, mut partitions) in ready {
            partitions.sort_unstable();
            let partitions = partitions.into_iter().map(|(_, tp)| tp);
            self.fill_requests(broker, partitions, now, &mut plan);
        }
        plan
    }

    /// Makes as many requests to a broker as it may be sent, of as many of these partitions as they have room for.
    fn fill_requests(
        &mut self,
        broker: i32,
        partitions: impl Iterator<Item = TopicPartition>,
        now: Instant,
        plan: &mut Plan,
    ) {
        let state = self.brokers.entry(broker).or_default();
        if let Some(until) = state.throttled_until.filter(|until| *until > now) {
            plan.wake_by(until);
            return;
        }
        let mut room = 0;
        let mut request: Option<Work> = None;
        for tp in partitions {
            let Some(queue) = self.queues.get_mut(&tp) else {
                continue;
            };
            let Some(size) = queue.batches.front().map(|batch| batch.wire_size) else {
                continue;
            };
            if size > room {
                plan.requests.extend(request.take());
                if state.in_flight >= self.limits.max_in_flight {
                    return;
                }
                state.in_flight += 1;
                room = self.limits.max_request_size;
            }
            room = room.saturating_sub(size);
            self.turn += 1;
            queue.turn = self.turn;
            let batches = queue.take_first();
            let work = request.get_or_insert_with(|| Work {
                broker,
                batches: Vec::new(),
            });
            work.batches.extend(batches);
        }
        plan.requests.extend(request);
    }

    /// Takes note of what came of a batch that was sent: it has its outcome now, or goes back to the first place of its partition.
    ///
    /// Tells whether it will be sent again.
    pub(crate) fn settle(
        &mut self,
        mut batch: Batch,
        result: Result<Appended>,
        now: Instant,
    ) -> bool {
        let Some(queue) = self.queues.get_mut(&batch.tp) else {
            return false;
        };
        queue.in_flight = None;
        let error = match result {
            Err(error) if is_worth_another_try(&error, &batch) => error,
            settled => {
                if let Err(error) = &settled {
                    let records = batch.entries.len();
                    tracing::warn!(tp = %batch.tp, records, %error, "a batch was not delivered");
                }
                queue.backoff.succeed();
                queue.retry_at = None;
                batch.complete(settled);
                return false;
            }
        };
        let pause = queue.backoff.fail();
        tracing::debug!(tp = %batch.tp, %error, ?pause, "a batch will be sent again");
        queue.retry_at = Some(now + pause);
        batch.failures = batch.failures.saturating_add(1);
        batch.last_error = Some(error);
        queue.batches.push_front(batch);
        true
    }

    /// Whether something waits for a partition whose leader is not known.
    pub(crate) fn misses_a_leader(&self, leader: impl Fn(&TopicPartition) -> Option<i32>) -> bool {
        let mut queues = self.queues.iter();
        queues.any(|(tp, queue)| !queue.batches.is_empty() && leader(tp).is_none())
    }

    /// Takes note that a request to a broker has ended, and until when the broker wants no other.
    pub(crate) fn request_ended(&mut self, broker: i32, throttled_until: Option<Instant>) {
        let state = self.brokers.entry(broker).or_default();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.throttled_until = state.throttled_until.max(throttled_until);
    }

    /// Lets nothing that is queued wait for more records, and lists it.
    pub(crate) fn flush(&mut self) -> Vec<Pending> {
        for batch in self
            .queues
            .values_mut()
            .flat_map(|queue| &mut queue.batches)
        {
            batch.sealed = true;
        }
        self.queues.values().flat_map(Queue::pending).collect()
    }

    /// Takes no more records.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Fails everything that has no outcome yet, takes no more, and lists what it was.
    pub(crate) fn abandon(&mut self) -> Vec<Pending> {
        self.close();
        let pending: Vec<Pending> = self.queues.values().flat_map(Queue::pending).collect();
        for batch in &pending {
            batch.outcome.complete(Err(Error::Closed));
        }
        self.queues.clear();
        pending
    }
}

/// A batch that has its outcome by the clock is not sent again, and one that a broker found corrupt only once: it may have been
/// damaged on its way.
fn is_worth_another_try(error: &Error, batch: &Batch) -> bool {
    let is_corrupt = matches!(
        error,
        Error::Client(error) if error.code() == Some(ErrorCode::CORRUPT_MESSAGE)
    );
    error.is_retriable() && !batch.outcome.is_complete() && !(is_corrupt && batch.failures > 0)
}
