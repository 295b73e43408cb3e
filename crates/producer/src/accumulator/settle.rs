use divvy_protocol::ErrorCode;
use tokio::time::Instant;

use super::{Accumulator, Batch};
use crate::error::{Error, Result};
use crate::outcome::Appended;

impl Accumulator {
    /// Takes note of what came of a batch that was sent: it has its outcome now, or goes back to the first place of its partition.
    ///
    /// One that is too large as a whole goes back in two halves, so that in the end only the records fail that are too large by
    /// themselves. Tells whether it will be sent again.
    pub(crate) fn settle(&mut self, batch: Batch, result: Result<Appended>, now: Instant) -> bool {
        let Some(queue) = self.queues.get_mut(batch.slot.0) else {
            return false;
        };
        queue.in_flight = None;
        let error = match result {
            Err(error) if self.limits.allow_another_try(&error, &batch) => error,
            Err(error) if is_too_large(&error) && batch.len() > 1 && !batch.is_complete() => {
                tracing::debug!(tp = %batch.tp, records = batch.len(), %error, "a batch will be sent in two halves");
                queue.meter.put_back();
                self.put_back_halved(batch);
                return true;
            }
            settled => {
                if let Err(error) = &settled {
                    let records = batch.len();
                    tracing::warn!(tp = %batch.tp, records, %error, "a batch was not delivered");
                }
                queue.backoff.succeed();
                queue.retry_at = None;
                batch.complete(&settled, now);
                return false;
            }
        };
        queue.meter.put_back();
        let pause = queue.backoff.fail();
        tracing::debug!(tp = %batch.tp, %error, ?pause, "a batch will be sent again");
        queue.retry_at = Some(now + pause);
        let mut batch = batch;
        batch.failures = batch.failures.saturating_add(1);
        batch.last_error = Some(error);
        queue.batches.push_front(batch);
        true
    }

    /// Takes note of what came of a batch whose parts, in their order and of so many records each, were stored or have failed one
    /// by one.
    ///
    /// A part that failed before one that is stored is not sent again: it would be stored behind it.
    #[cfg_attr(not(any(feature = "rdkafka", test)), expect(dead_code))]
    pub(crate) fn settle_parts(
        &mut self,
        batch: Batch,
        parts: Vec<(u32, Result<Appended>)>,
        now: Instant,
    ) {
        let stored = parts.iter().rposition(|(_, result)| result.is_ok());
        let mut failed = Vec::new();
        let mut rest = Some(batch);
        for (at, (records, result)) in parts.into_iter().enumerate() {
            let Some(mut part) = rest.take() else { break };
            if records < part.len() {
                rest = Some(part.split_off(records));
            }
            match result {
                Err(error) if stored.is_none_or(|stored| stored < at) => failed.push((part, error)),
                Err(error) => {
                    tracing::warn!(tp = %part.tp, records, %error, "a part of a batch was not delivered");
                    part.complete(&Err(error), now);
                }
                stored => {
                    self.settle(part, stored, now);
                }
            }
        }
        // The last first, because each goes back to the first place.
        for (part, error) in failed.into_iter().rev() {
            self.settle(part, Err(error), now);
        }
    }

    fn put_back_halved(&mut self, mut batch: Batch) {
        let Some(queue) = self.queues.get_mut(batch.slot.0) else {
            return;
        };
        let second = batch.split_off(batch.len() / 2);
        queue.batches.push_front(second);
        queue.batches.push_front(batch);
    }
}

impl super::Limits {
    /// A batch that has its outcome by the clock is not sent again, and one that a broker found corrupt only once: it may have
    /// been damaged on its way.
    fn allow_another_try(&self, error: &Error, batch: &Batch) -> bool {
        let may_fail = match code(error) {
            Some(ErrorCode::CORRUPT_MESSAGE) => Some(1),
            _ => self.max_retries,
        };
        error.is_retriable()
            && !batch.is_complete()
            && may_fail.is_none_or(|most| batch.failures < most)
    }
}

fn is_too_large(error: &Error) -> bool {
    matches!(
        code(error),
        Some(ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE)
    )
}

fn code(error: &Error) -> Option<ErrorCode> {
    match error {
        Error::Client(error) => error.code(),
        _ => None,
    }
}
