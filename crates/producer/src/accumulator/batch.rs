use std::sync::Arc;

use divvy_client::TopicPartition;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::delivery::{Appended, Delivery, Outcome};
use crate::error::{Error, Result};
use crate::record::{BATCH_OVERHEAD, Entry};

/// Records of one partition that are sent, stored and failed together.
///
/// One that is dropped has failed: no delivery is left without an outcome.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) tp: TopicPartition,
    pub(crate) entries: Vec<Entry>,
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
    /// Its part of the budget.
    budget: Option<OwnedSemaphorePermit>,
}

impl Batch {
    pub(super) fn new(tp: TopicPartition, created: Instant, deadline: Instant) -> Self {
        Self {
            outcome: Outcome::new(tp.clone()),
            tp,
            entries: Vec::new(),
            wire_size: BATCH_OVERHEAD,
            failures: 0,
            created,
            deadline,
            sealed: false,
            last_error: None,
            budget: None,
        }
    }

    /// Whether a record may share the batch. Records with headers keep to themselves, because they fail at old brokers.
    pub(super) fn takes(&self, entry: &Entry, batch_size: usize) -> bool {
        let same_kind = |first: &Entry| first.headers.is_empty() == entry.headers.is_empty();
        !self.sealed
            && self.wire_size.saturating_add(entry.wire_size()) <= batch_size
            && self.entries.first().is_none_or(same_kind)
    }

    pub(super) fn push(&mut self, entry: Entry, budget: Option<OwnedSemaphorePermit>) -> Delivery {
        let delivery = self.outcome.delivery(self.entries.len(), entry.timestamp);
        self.wire_size = self.wire_size.saturating_add(entry.wire_size());
        self.entries.push(entry);
        match (&mut self.budget, budget) {
            (Some(whole), Some(part)) => whole.merge(part),
            (whole, part) => *whole = whole.take().or(part),
        }
        delivery
    }

    /// Says what became of it, unless that was said before.
    pub(super) fn complete(self, result: Result<Appended>) -> bool {
        self.outcome.complete(result)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.outcome.complete(Err(Error::Closed));
    }
}
