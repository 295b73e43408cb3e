use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use divvy_client::{Backoff, TopicPartition};
use tokio::time::Instant;

use super::batch::Batch;
use super::{Limits, Pending};
use crate::error::Error;
use crate::metrics::TopicMeter;
use crate::outcome::Outcome;

/// The batches of one partition, oldest first. Only the first is ever sent, and one at a time.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) tp: TopicPartition,
    pub(super) batches: VecDeque<Batch>,
    pub(super) in_flight: Option<InFlight>,
    pub(super) backoff: Backoff,
    /// Before then nothing is sent.
    pub(super) retry_at: Option<Instant>,
    /// When the partition was last served, so that all take turns.
    pub(super) turn: u64,
    /// How many bytes of records the last batch had: about what the next one will have.
    usual: usize,
    pub(super) meter: Arc<TopicMeter>,
}

/// What is remembered of a batch that is on its way.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) outcome: Arc<Outcome>,
    pub(super) numbers: Range<u32>,
    pub(super) deadline: Instant,
}

impl InFlight {
    /// Whether there is still something to say of it: what was reported as expired is waited for all the same.
    pub(super) fn is_pending(&self) -> bool {
        !self.outcome.covers(&self.numbers)
    }
}

impl Queue {
    pub(super) fn new(tp: TopicPartition, limits: &Limits) -> Self {
        Self {
            meter: Arc::new(TopicMeter::new(&tp.topic)),
            tp,
            batches: VecDeque::new(),
            in_flight: None,
            backoff: Backoff::new(limits.retry_backoff, limits.retry_backoff_max),
            retry_at: None,
            turn: 0,
            usual: 0,
        }
    }

    /// The room for records that a new batch should begin with, so that few have to grow: as they double then, twice too much for
    /// some costs no more than that.
    pub(super) fn room(&self, limits: &Limits) -> usize {
        let doubled = self.usual.checked_next_power_of_two();
        doubled.unwrap_or(self.usual).min(limits.batch_size)
    }

    /// From when on the first batch may be sent; `None` while there is none, or one is on its way.
    pub(super) fn ready_at(&self, limits: &Limits, pressure: bool) -> Option<Instant> {
        let first = self.batches.front().filter(|_| self.in_flight.is_none())?;
        let gathered = if first.is_full(limits) || self.batches.len() > 1 || pressure {
            first.created
        } else {
            first.created + limits.linger
        };
        Some(
            self.retry_at
                .map_or(gathered, |retry_at| gathered.max(retry_at)),
        )
    }

    /// When the next batch will have failed by the clock.
    pub(super) fn first_deadline(&self) -> Option<Instant> {
        let waiting = self.batches.front().map(|batch| batch.deadline);
        let in_flight = self.in_flight.as_ref().filter(|sent| sent.is_pending());
        let in_flight = in_flight.map(|sent| sent.deadline);
        [waiting, in_flight].into_iter().flatten().min()
    }

    /// Fails whatever has waited too long.
    ///
    /// A batch that is on its way keeps its partition busy, because its request may still be carried out and what follows must
    /// not overtake it.
    pub(super) fn expire(&mut self, limits: &Limits, now: Instant) {
        let expired = |tp: &TopicPartition, last: Option<Error>| {
            Err(Error::Expired {
                tp: tp.clone(),
                after: limits.delivery_timeout,
                last: last.map(Box::new),
            })
        };
        let is_due = |sent: &&InFlight| sent.deadline <= now && sent.is_pending();
        if let Some(sent) = self.in_flight.as_ref().filter(is_due) {
            let error = expired(&self.tp, None);
            self.meter.failed(sent.numbers.len());
            sent.outcome.complete(sent.numbers.clone(), &error);
        }
        let is_late = |batch: &Batch| batch.deadline <= now;
        while self.batches.front().is_some_and(is_late) {
            let Some(batch) = self.batches.pop_front() else {
                return;
            };
            let error = expired(&self.tp, batch.last_error.clone());
            batch.complete(&error, now);
        }
    }

    /// Takes out the first batch, to be sent.
    pub(super) fn take_first(&mut self) -> Option<Batch> {
        let mut batch = self.batches.pop_front()?;
        batch.sealed = true;
        self.usual = batch.used();
        self.in_flight = Some(InFlight {
            outcome: Arc::clone(&batch.outcome),
            numbers: batch.numbers(),
            deadline: batch.deadline,
        });
        Some(batch)
    }

    /// Everything that has no outcome yet.
    pub(super) fn pending(&self) -> impl Iterator<Item = Pending> + '_ {
        let in_flight = self.in_flight.iter();
        let in_flight = in_flight.map(|sent| (&sent.outcome, sent.numbers.clone()));
        let waiting = self.batches.iter();
        let waiting = waiting.map(|batch| (&batch.outcome, batch.numbers()));
        in_flight
            .chain(waiting)
            .filter(|(outcome, numbers)| !outcome.covers(numbers))
            .map(|(outcome, numbers)| Pending {
                outcome: Arc::clone(outcome),
                numbers,
            })
    }
}
