use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use divvy_client::TopicPartition;

use crate::accumulator::Queued;
use crate::error::{Error, Result};
use crate::outcome::{Appended, Outcome, Waiting};
use crate::record::RecordMetadata;

/// The delivery of one record: a future that ends when the record is stored, or has failed for good.
///
/// It ends exactly once, whatever happens to the producer. Dropping it changes nothing about the delivery.
pub struct Delivery {
    outcome: Arc<Outcome>,
    /// The record's number in its batch.
    record: u32,
    /// The record's own time.
    timestamp: i64,
    waiting: Waiting,
}

impl Delivery {
    pub(crate) fn new(outcome: Arc<Outcome>, record: u32, timestamp: i64) -> Self {
        Self {
            outcome,
            record,
            timestamp,
            waiting: Waiting::default(),
        }
    }

    /// Where the record was queued, and its own time.
    pub(crate) fn queued(&self) -> (Queued<'_>, i64) {
        let queued = Queued {
            outcome: &self.outcome,
            number: self.record,
            is_news: false,
        };
        (queued, self.timestamp)
    }

    /// The partition that the record was given to.
    pub fn partition(&self) -> &TopicPartition {
        self.outcome.partition()
    }
}

/// What is told of a stored record, which has this time of its own.
pub(crate) fn metadata(tp: &TopicPartition, appended: Appended, timestamp: i64) -> RecordMetadata {
    RecordMetadata {
        tp: tp.clone(),
        offset: appended.base_offset,
        timestamp: appended.log_append_time.unwrap_or(timestamp),
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self {
            outcome,
            record,
            timestamp,
            waiting,
        } = &mut *self;
        let appended = outcome.poll_record(*record, waiting, context);
        appended.map_ok(|appended| metadata(outcome.partition(), appended, *timestamp))
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("partition", self.outcome.partition())
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}
