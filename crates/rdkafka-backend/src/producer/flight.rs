//! What is on its way, and what is known to have become of it.

use std::collections::BTreeMap;
use std::time::Instant;

use divvy_client::TopicPartition;
use tokio::sync::oneshot;

use super::failure::DeliveryFailure;
use crate::bare::{Records, Rejected, Report};

/// Records, and what became of them.
#[derive(Debug)]
pub struct Delivered<R> {
    /// The records that were to be delivered.
    pub records: R,
    /// What became of them, in their order. Together these are as many as the records.
    pub runs: Vec<Run>,
}

/// Records that follow each other and were stored one behind the other, or failed for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// How many they are.
    pub records: u32,
    /// Where they were stored, or why not.
    pub result: Result<Stored, DeliveryFailure>,
}

/// Where records were stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The offset of the first of them; `None` where the broker does not say.
    pub base_offset: Option<i64>,
    /// The broker's time, in milliseconds since 1970, where the topic takes it.
    pub log_append_time: Option<i64>,
}

/// A batch that was not handed over yet.
#[derive(Debug)]
pub(super) struct Waiting<R> {
    pub(super) tp: TopicPartition,
    pub(super) records: R,
    /// How many records it has.
    pub(super) len: usize,
    reply: oneshot::Sender<Delivered<R>>,
    pub(super) since: Instant,
}

/// A batch on its way.
#[derive(Debug)]
struct Flight<R> {
    batch: Waiting<R>,
    /// Of how many records the outcome is known.
    known: usize,
    /// What is known, each with librdkafka's code and the place of its first record, in the order in which it came to be known.
    parts: Vec<(i32, usize, Run)>,
}

/// What is on its way, by the number of each batch's first record.
#[derive(Debug)]
pub(super) struct Flights<R> {
    flights: BTreeMap<usize, Flight<R>>,
    next: Numbers,
}

/// Gives each record a number of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers(usize);

// librdkafka takes a pointer's size along with each record. Numbers of half that size would come back around while they are in use.
const _: () = assert!(usize::BITS >= 64, "records need numbers of 64 bits");

impl Numbers {
    /// The first of so many numbers.
    pub(super) fn take(&mut self, count: usize) -> usize {
        let first = self.0;
        self.0 = first.saturating_add(count);
        first
    }
}

impl<R: Records> Waiting<R> {
    pub(super) fn new(
        tp: TopicPartition,
        records: R,
        reply: oneshot::Sender<Delivered<R>>,
    ) -> Self {
        Self {
            tp,
            len: records.records().count(),
            records,
            reply,
            since: Instant::now(),
        }
    }

    /// Fails with librdkafka's code and a text.
    pub(super) fn fail(self, code: i32, why: &str) {
        let run = Run {
            records: u32::try_from(self.len).unwrap_or(u32::MAX),
            result: Err(DeliveryFailure::new(&self.tp, -1, code, why)),
        };
        self.reply(vec![run]);
    }
}

impl<R> Waiting<R> {
    fn reply(self, runs: Vec<Run>) {
        // Whoever wanted to know may be gone.
        let _ = self.reply.send(Delivered {
            records: self.records,
            runs,
        });
    }
}

impl<R> Flights<R> {
    pub(super) fn new() -> Self {
        Self {
            flights: BTreeMap::new(),
            next: Numbers(0),
        }
    }

    /// The numbers that no record has had.
    pub(super) fn numbers(&self) -> Numbers {
        self.next
    }

    /// Gives the numbers that were taken to no other record.
    pub(super) fn go_on_at(&mut self, numbers: Numbers) {
        self.next = numbers;
    }

    /// Takes note of a batch that is on its way, by the number of its first record. One that has no record has arrived.
    pub(super) fn begin(&mut self, first: usize, batch: Waiting<R>) {
        if batch.len == 0 {
            return batch.reply(Vec::new());
        }
        let flight = Flight {
            batch,
            known: 0,
            parts: Vec::new(),
        };
        self.flights.insert(first, flight);
    }

    /// Takes note of a record that was not taken.
    pub(super) fn reject(&mut self, rejected: &Rejected) {
        let (code, why) = (rejected.code, &rejected.why);
        self.note(rejected.number, code, |tp| {
            Err(DeliveryFailure::new(tp, -1, code, why))
        });
    }

    /// Takes note of what became of a record.
    pub(super) fn report(&mut self, report: Report<'_>) {
        let code = report.code();
        self.note(report.number(), code, |tp| match code {
            0 => Ok(Stored {
                base_offset: report.offset(),
                log_append_time: report.log_append_time(),
            }),
            _ => Err(DeliveryFailure::new(
                tp,
                report.broker(),
                code,
                &report.why(),
            )),
        });
    }

    /// Notes one more record. `result` is not asked for where the one before failed for the same reason.
    pub(super) fn note(
        &mut self,
        number: usize,
        code: i32,
        result: impl FnOnce(&TopicPartition) -> Result<Stored, DeliveryFailure>,
    ) {
        let Some((first, flight)) = self.flights.range_mut(..=number).next_back() else {
            return;
        };
        let (first, at) = (*first, number - first);
        flight.note(at, code, result);
        if flight.known >= flight.batch.len
            && let Some(flight) = self.flights.remove(&first)
        {
            flight.end();
        }
    }
}

impl<R> Flight<R> {
    fn note(
        &mut self,
        at: usize,
        code: i32,
        result: impl FnOnce(&TopicPartition) -> Result<Stored, DeliveryFailure>,
    ) {
        if at >= self.batch.len {
            return;
        }
        self.known += 1;
        let follows = self.parts.last_mut().filter(|(last, from, part)| {
            *last == code && from.checked_add(length(part.records)) == Some(at)
        });
        let Some((_, _, part)) = follows else {
            let result = result(&self.batch.tp);
            self.parts.push((code, at, Run { records: 1, result }));
            return;
        };
        if part.result.is_err() {
            part.records += 1;
            return;
        }
        let result = result(&self.batch.tp);
        match continues(&part.result, part.records, &result) {
            true => part.records += 1,
            false => self.parts.push((code, at, Run { records: 1, result })),
        }
    }

    fn end(mut self) {
        self.parts.sort_by_key(|(_, from, _)| *from);
        let runs = self.parts.into_iter().map(|(_, _, part)| part).collect();
        self.batch.reply(runs);
    }
}

/// Whether a record lies right behind so many others.
fn continues(
    before: &Result<Stored, DeliveryFailure>,
    records: u32,
    next: &Result<Stored, DeliveryFailure>,
) -> bool {
    let (Ok(before), Ok(next)) = (before, next) else {
        return false;
    };
    let expected = before
        .base_offset
        .map(|base| base.saturating_add(i64::from(records)));
    expected == next.base_offset && before.log_append_time == next.log_append_time
}

fn length(records: u32) -> usize {
    usize::try_from(records).unwrap_or(usize::MAX)
}
