use std::ops::Range;
use std::sync::Arc;

use divvy_client::TopicPartition;
use tokio::time::Instant;

use super::buffer::{Buffer, Entry};
use super::{Limits, Slot};
use crate::budget::{Budget, Reservation};
use crate::error::{Error, Result};
use crate::metrics::TopicMeter;
use crate::outcome::{Appended, Outcome};
use crate::record::{BATCH_OVERHEAD, Fields};

/// What a batch takes beside its records, rounded up: itself, its outcome, and its place in a queue.
pub(crate) const KEPT_OVERHEAD: usize = 512;

/// The least room that a batch begins with.
const SMALLEST: usize = 1 << 10;

/// Records of one partition that are sent, stored and failed together.
///
/// One that is dropped has failed: no delivery is left without an outcome.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) tp: TopicPartition,
    pub(super) slot: Slot,
    records: Buffer,
    /// The numbers of its records in the outcome. The end is open as long as it is the last part.
    numbers: Range<u32>,
    /// The most bytes that it takes on the wire, uncompressed.
    pub(crate) wire_size: usize,
    /// How often sending it has failed.
    pub(crate) failures: u32,
    pub(super) created: Instant,
    pub(super) deadline: Instant,
    /// Takes no more records.
    pub(super) sealed: bool,
    pub(super) last_error: Option<Error>,
    pub(super) outcome: Arc<Outcome>,
    meter: Arc<TopicMeter>,
    /// Its part of the budget: its capacity and what it takes beside.
    reservation: Reservation,
}

impl Batch {
    /// A batch with room for as many bytes of records as are wanted, or for `least` where the budget has no more; `None` where not
    /// even that.
    pub(super) fn begin(
        tp: &TopicPartition,
        slot: Slot,
        meter: &Arc<TopicMeter>,
        (least, wanted): (usize, usize),
        budget: &Arc<Budget>,
        (created, deadline): (Instant, Instant),
    ) -> Option<Self> {
        let small = least.max(SMALLEST);
        let mut reservation = Reservation::new(budget);
        let capacity = [wanted.max(small), small, least]
            .into_iter()
            .find(|capacity| reservation.grow(capacity.saturating_add(KEPT_OVERHEAD)))?;
        let mut records = Buffer::default();
        records.reserve(capacity);
        Some(Self {
            outcome: Outcome::new(tp.clone()),
            tp: tp.clone(),
            slot,
            records,
            numbers: 0..u32::MAX,
            wire_size: BATCH_OVERHEAD,
            failures: 0,
            created,
            deadline,
            sealed: false,
            last_error: None,
            meter: Arc::clone(meter),
            reservation,
        })
    }

    /// How many records it has.
    pub(crate) fn len(&self) -> u32 {
        self.records.len()
    }

    /// How many bytes of records it holds.
    pub(super) fn used(&self) -> usize {
        self.records.used()
    }

    /// The records in their order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.records.iter()
    }

    /// The numbers of its records in their outcome.
    pub(super) fn numbers(&self) -> Range<u32> {
        self.numbers.start..self.numbers.start.saturating_add(self.len())
    }

    /// Whether a record may share the batch. Records with headers keep to themselves, because they fail at old brokers.
    #[inline]
    pub(super) fn takes(&self, record: &Fields<'_>, limits: &Limits) -> bool {
        !self.sealed
            && self.wire_size.saturating_add(record.wire_size()) <= limits.batch_size
            && self.len() < limits.batch_messages
            && self.records.has_headers() != record.headers.is_empty()
    }

    /// Whether there is nothing to wait for.
    pub(super) fn is_full(&self, limits: &Limits) -> bool {
        self.sealed || self.wire_size >= limits.batch_size || self.len() >= limits.batch_messages
    }

    /// Adds a record, and gives its number; `None` where the budget has no room for it.
    #[inline]
    pub(super) fn push(&mut self, record: &Fields<'_>, limits: &Limits) -> Option<u32> {
        let needed = self.records.used().saturating_add(record.kept_size());
        if needed > self.records.capacity() && !self.grow(needed, limits) {
            return None;
        }
        self.wire_size = self.wire_size.saturating_add(record.wire_size());
        Some(self.records.push(record))
    }

    /// Takes twice the room, or what is needed where the budget has no more.
    fn grow(&mut self, needed: usize, limits: &Limits) -> bool {
        let capacity = self.records.capacity();
        let doubled = capacity.saturating_mul(2).min(limits.batch_size);
        let grown = [doubled.max(needed), needed]
            .into_iter()
            .find(|wanted| self.reservation.grow(wanted.saturating_sub(capacity)));
        if let Some(wanted) = grown {
            self.records.reserve(wanted);
        }
        grown.is_some()
    }

    /// Takes the records apart from this one on: they have their own outcomes from now on, and all that was said of the whole.
    pub(super) fn split_off(&mut self, at: u32) -> Self {
        let records = self.records.split_off(at);
        let moved: usize = records.iter().map(|entry| entry.wire_size()).sum();
        let from = self.numbers.start.saturating_add(at);
        let rest = Self {
            tp: self.tp.clone(),
            slot: self.slot,
            numbers: from..self.numbers.end,
            wire_size: moved.saturating_add(BATCH_OVERHEAD),
            failures: self.failures,
            created: self.created,
            deadline: self.deadline,
            sealed: true,
            last_error: self.last_error.clone(),
            outcome: Arc::clone(&self.outcome),
            meter: Arc::clone(&self.meter),
            reservation: self.reservation.split_off(records.capacity()),
            records,
        };
        self.numbers.end = from;
        self.wire_size = self.wire_size.saturating_sub(moved);
        self.sealed = true;
        rest
    }

    /// Whether every record has its outcome.
    pub(super) fn is_complete(&self) -> bool {
        self.outcome.covers(&self.numbers())
    }

    /// Says what became of it, as far as that was not said before.
    pub(super) fn complete(self, result: &Result<Appended>, now: Instant) -> bool {
        match result {
            _ if self.is_complete() => {}
            Ok(_) => {
                let after = now.saturating_duration_since(self.created);
                self.meter.delivered(self.len(), self.wire_size, after);
            }
            Err(_) => self.meter.failed(self.numbers().len()),
        }
        self.outcome.complete(self.numbers.clone(), result)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if !self.is_complete() {
            self.meter.failed(self.numbers().len());
        }
        let closed = Err(Error::Closed);
        self.outcome.complete(self.numbers.clone(), &closed);
    }
}
