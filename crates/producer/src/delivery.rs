use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use divvy_client::TopicPartition;

use crate::error::{Error, Result};
use crate::record::RecordMetadata;
use crate::sync::lock;

/// The delivery of one record: a future that ends when the record is stored, or has failed for good.
///
/// It ends exactly once, whatever happens to the producer. Dropping it changes nothing about the delivery.
pub struct Delivery {
    outcome: Arc<Outcome>,
    /// The record's place in its batch.
    index: usize,
    /// The record's own time.
    timestamp: i64,
    /// Where the waker lies among the outcome's.
    waiting: Option<usize>,
}

/// What became of a batch. Shared by the batch and the deliveries of its records.
#[derive(Debug)]
pub(crate) struct Outcome {
    tp: TopicPartition,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    result: Option<Result<Appended>>,
    wakers: Vec<Waker>,
}

/// Where a batch was stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Appended {
    /// The offset of its first record; `None` without acks.
    pub(crate) base_offset: Option<i64>,
    /// The broker's time, in milliseconds since 1970, where the topic takes it.
    pub(crate) log_append_time: Option<i64>,
}

impl Outcome {
    pub(crate) fn new(tp: TopicPartition) -> Arc<Self> {
        Arc::new(Self {
            tp,
            state: Mutex::default(),
        })
    }

    /// Says what became of the batch. Only the first word counts; `false` for later ones.
    pub(crate) fn complete(&self, result: Result<Appended>) -> bool {
        let wakers = {
            let mut state = lock(&self.state);
            if state.result.is_some() {
                return false;
            }
            state.result = Some(result);
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
        true
    }

    pub(crate) fn partition(&self) -> &TopicPartition {
        &self.tp
    }

    pub(crate) fn is_complete(&self) -> bool {
        lock(&self.state).result.is_some()
    }

    /// The delivery of the record at some place of the batch.
    pub(crate) fn delivery(self: &Arc<Self>, index: usize, timestamp: i64) -> Delivery {
        Delivery {
            outcome: Arc::clone(self),
            index,
            timestamp,
            waiting: None,
        }
    }
}

impl Delivery {
    /// The partition that the record was given to.
    pub fn partition(&self) -> &TopicPartition {
        &self.outcome.tp
    }

    fn metadata(&self, appended: Appended) -> RecordMetadata {
        let index = i64::try_from(self.index).unwrap_or(i64::MAX);
        RecordMetadata {
            tp: self.outcome.tp.clone(),
            offset: appended.base_offset.map(|base| base.saturating_add(index)),
            timestamp: appended.log_append_time.unwrap_or(self.timestamp),
        }
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = Arc::clone(&self.outcome);
        let mut state = lock(&outcome.state);
        if let Some(result) = &state.result {
            let result = result.clone();
            return Poll::Ready(result.map(|appended| self.metadata(appended)));
        }
        // One waker for each delivery, however often it is polled.
        match self.waiting.and_then(|place| state.wakers.get_mut(place)) {
            Some(waker) => waker.clone_from(context.waker()),
            None => {
                self.waiting = Some(state.wakers.len());
                state.wakers.push(context.waker().clone());
            }
        }
        Poll::Pending
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("partition", &self.outcome.tp)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}
