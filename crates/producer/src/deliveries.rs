use std::ops::Range;
use std::sync::Arc;

use crate::accumulator::{Queued, Slot, Undelivered};
use crate::delivery::{Delivery, metadata};
use crate::error::{Error, Result};
use crate::outcome::{Failures, Outcome};
use crate::record::RecordMetadata;

/// The deliveries of the records that [`Producer::send_all`](crate::Producer::send_all) was given, in their order.
///
/// Dropping it changes nothing about the deliveries.
#[derive(Debug, Default)]
#[must_use = "it says which records were not stored"]
pub struct Deliveries {
    places: Vec<Place>,
    batches: Vec<Share>,
    /// The last batch of each slot, one more than where it is among the batches.
    latest: Vec<u32>,
    refused: Vec<Error>,
}

/// Where to find what became of a record.
#[derive(Clone, Copy, Debug)]
enum Place {
    Queued {
        /// Among the batches.
        batch: u32,
        number: u32,
        timestamp: i64,
    },
    /// Among those that were refused.
    Refused(u32),
}

/// A batch, and between which of its numbers the records lie.
#[derive(Debug)]
struct Share {
    outcome: Arc<Outcome>,
    numbers: Range<u32>,
}

impl Deliveries {
    #[inline]
    pub(crate) fn queued(&mut self, slot: Slot, queued: &Queued<'_>, timestamp: i64) {
        let batch = self.batch(slot, queued);
        self.places.push(Place::Queued {
            batch,
            number: queued.number,
            timestamp,
        });
    }

    pub(crate) fn add(&mut self, slot: Slot, delivery: &Delivery) {
        let (queued, timestamp) = delivery.queued();
        self.queued(slot, &queued, timestamp);
    }

    #[inline]
    fn batch(&mut self, slot: Slot, queued: &Queued<'_>) -> u32 {
        let slot = slot.index();
        if self.latest.len() <= slot {
            self.latest.resize(slot + 1, 0);
        }
        let end = queued.number.saturating_add(1);
        let latest = self
            .latest
            .get(slot)
            .and_then(|latest| latest.checked_sub(1));
        if let Some(latest) = latest
            && let Some(share) = at_mut(&mut self.batches, latest)
            && Arc::ptr_eq(&share.outcome, queued.outcome)
        {
            share.numbers.end = end;
            return latest;
        }
        let new = index(self.batches.len());
        self.batches.push(Share {
            outcome: Arc::clone(queued.outcome),
            numbers: queued.number..end,
        });
        if let Some(latest) = self.latest.get_mut(slot) {
            *latest = new.saturating_add(1);
        }
        new
    }

    pub(crate) fn refused(&mut self, error: Error) {
        self.places.push(Place::Refused(index(self.refused.len())));
        self.refused.push(error);
    }

    /// How many records there were.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Waits until every record is stored or has failed for good, and gives what became of each, in their order: where it was
    /// stored, or what [`Delivery`](crate::Delivery) or [`Producer::send`](crate::Producer::send) would have said.
    pub async fn each(self) -> Vec<Result<RecordMetadata>> {
        let mut results = Vec::with_capacity(self.places.len());
        for place in &self.places {
            results.push(self.result(*place).await);
        }
        results
    }

    /// Waits until every record is stored or has failed for good. Costs next to nothing for each record.
    ///
    /// # Errors
    ///
    /// Why the first record that was refused was, if any was; else [`Error::Undelivered`] if any was not stored.
    pub async fn all(mut self) -> Result<()> {
        if !self.refused.is_empty() {
            let error = self.refused.swap_remove(0);
            for share in &self.batches {
                share.failures().await;
            }
            return Err(error);
        }
        let mut is_stored = true;
        for share in &self.batches {
            is_stored &= share.failures().await.is_empty();
        }
        if is_stored {
            Ok(())
        } else {
            self.count_failures().await
        }
    }

    /// Others' records may lie between these, so the failures of the batches are not all of these.
    async fn count_failures(&self) -> Result<()> {
        let mut failures = Undelivered::default();
        for place in &self.places {
            if let Place::Queued { batch, .. } = place
                && let Some(share) = at(&self.batches, *batch)
                && let Err(error) = self.result(*place).await
            {
                failures.add(share.outcome.partition(), 1, error);
            }
        }
        failures.into_result()
    }

    async fn result(&self, place: Place) -> Result<RecordMetadata> {
        match place {
            Place::Queued {
                batch,
                number,
                timestamp,
            } => {
                let share = at(&self.batches, batch).ok_or(Error::Closed)?;
                let appended = share.outcome.of_record(number).await?;
                Ok(metadata(share.outcome.partition(), appended, timestamp))
            }
            Place::Refused(error) => {
                Err(at(&self.refused, error).cloned().unwrap_or(Error::Closed))
            }
        }
    }
}

impl Share {
    /// Waits until all of it has its outcome.
    async fn failures(&self) -> Failures {
        self.outcome.failures(&self.numbers).await
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn at<T>(all: &[T], at: u32) -> Option<&T> {
    all.get(usize::try_from(at).ok()?)
}

fn at_mut<T>(all: &mut [T], at: u32) -> Option<&mut T> {
    all.get_mut(usize::try_from(at).ok()?)
}
