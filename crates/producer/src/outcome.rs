//! What became of the records of a batch: told once for each, and waited for by many.

use std::future::poll_fn;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use divvy_client::TopicPartition;

use crate::error::{Error, Result};
use crate::sync::lock;

/// What became of a batch. Shared by the batch, or the parts that it was split into, and by those who wait for its records.
///
/// Records have numbers, in the order in which they were added. How many they are is open as long as some may be added: the last
/// part reaches to the highest number.
#[derive(Debug)]
pub(crate) struct Outcome {
    tp: TopicPartition,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order of their records, which no two have in common.
    parts: Vec<Part>,
    wakers: Vec<Waker>,
}

#[derive(Clone, Debug)]
struct Part {
    records: Range<u32>,
    result: Result<Appended>,
}

/// Where records were stored, one behind the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Appended {
    /// The offset of the first; `None` without acks.
    pub(crate) base_offset: Option<i64>,
    /// The broker's time, in milliseconds since 1970, where the topic takes it.
    pub(crate) log_append_time: Option<i64>,
}

/// Where the waker of somebody who waits lies among all.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Option<usize>);

/// Records that were not stored: how many, and why.
pub(crate) type Failures = Vec<(usize, Error)>;

impl Appended {
    /// The same, counted from a later record.
    pub(crate) fn skip(self, records: u32) -> Self {
        Self {
            base_offset: self
                .base_offset
                .map(|base| base.saturating_add(records.into())),
            ..self
        }
    }
}

impl Outcome {
    pub(crate) fn new(tp: TopicPartition) -> Arc<Self> {
        Arc::new(Self {
            tp,
            state: Mutex::default(),
        })
    }

    pub(crate) fn partition(&self) -> &TopicPartition {
        &self.tp
    }

    /// Says what became of some records. Of each only the first word counts; `false` where all had one.
    pub(crate) fn complete(&self, records: Range<u32>, result: &Result<Appended>) -> bool {
        let (is_news, wakers) = {
            let mut state = lock(&self.state);
            let is_news = state.add(records, result);
            let wakers = match state.is_complete() {
                true => std::mem::take(&mut state.wakers),
                // The places among them stay those of the ones who wait on.
                false => state.wakers.clone(),
            };
            (is_news, wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
        is_news
    }

    /// Whether every one of these records has its outcome.
    pub(crate) fn covers(&self, records: &Range<u32>) -> bool {
        lock(&self.state).covers(records)
    }

    /// What became of one record, as if it were the first of its part.
    pub(crate) fn poll_record(
        &self,
        record: u32,
        waiting: &mut Waiting,
        context: &Context<'_>,
    ) -> Poll<Result<Appended>> {
        let mut state = lock(&self.state);
        match state.part(record) {
            Some(part) => Poll::Ready(part.from(record)),
            None => {
                state.register(waiting, context);
                Poll::Pending
            }
        }
    }

    /// Waits for what became of one record.
    pub(crate) async fn of_record(&self, record: u32) -> Result<Appended> {
        let mut waiting = Waiting::default();
        poll_fn(|context| self.poll_record(record, &mut waiting, context)).await
    }

    /// Waits until all of these records have their outcome, and tells which have failed.
    pub(crate) async fn failures(&self, records: &Range<u32>) -> Failures {
        let mut waiting = Waiting::default();
        poll_fn(|context| self.poll_failures(records, &mut waiting, context)).await
    }

    fn poll_failures(
        &self,
        records: &Range<u32>,
        waiting: &mut Waiting,
        context: &Context<'_>,
    ) -> Poll<Failures> {
        let mut state = lock(&self.state);
        if !state.covers(records) {
            state.register(waiting, context);
            return Poll::Pending;
        }
        let failures = state.parts.iter().filter_map(|part| {
            let (from, to) = (
                part.records.start.max(records.start),
                part.records.end.min(records.end),
            );
            let error = part.result.as_ref().err()?;
            let count = usize::try_from(to.checked_sub(from)?).unwrap_or(usize::MAX);
            (count > 0).then(|| (count, error.clone()))
        });
        Poll::Ready(failures.collect())
    }
}

impl Part {
    fn from(&self, record: u32) -> Result<Appended> {
        let skipped = record.saturating_sub(self.records.start);
        self.result.clone().map(|appended| appended.skip(skipped))
    }
}

impl State {
    /// Adds the result for those of the records that have none.
    fn add(&mut self, records: Range<u32>, result: &Result<Appended>) -> bool {
        let mut gaps = Vec::new();
        let mut from = records.start;
        for part in &self.parts {
            let end = part.records.start.min(records.end);
            if from < end {
                gaps.push(from..end);
            }
            from = from.max(part.records.end);
        }
        if from < records.end {
            gaps.push(from..records.end);
        }
        let is_news = !gaps.is_empty();
        let whole = Part {
            records,
            result: result.clone(),
        };
        self.parts.extend(gaps.into_iter().map(|gap| Part {
            result: whole.from(gap.start),
            records: gap,
        }));
        self.parts.sort_unstable_by_key(|part| part.records.start);
        is_news
    }

    fn part(&self, record: u32) -> Option<&Part> {
        self.parts
            .iter()
            .find(|part| part.records.contains(&record))
    }

    fn covers(&self, records: &Range<u32>) -> bool {
        let mut from = records.start;
        for part in &self.parts {
            if part.records.contains(&from) {
                from = part.records.end;
            }
        }
        from >= records.end
    }

    fn is_complete(&self) -> bool {
        self.covers(&(0..u32::MAX))
    }

    /// One waker for each who waits, however often he is polled.
    fn register(&mut self, waiting: &mut Waiting, context: &Context<'_>) {
        match waiting.0.and_then(|place| self.wakers.get_mut(place)) {
            Some(waker) => waker.clone_from(context.waker()),
            None => {
                waiting.0 = Some(self.wakers.len());
                self.wakers.push(context.waker().clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
