use divvy_client::TopicPartition;
use tokio::sync::oneshot::{self, Receiver};

use crate::bare::{Record, Records, Rejected};
use crate::producer::failure::DeliveryFailure;
use crate::producer::flight::{Delivered, Flights, Stored, Waiting};

/// So many records of nothing.
#[derive(Debug, PartialEq, Eq)]
struct Count(usize);

impl Records for Count {
    fn records(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.0).map(|_| Record::default())
    }
}

fn tp() -> TopicPartition {
    TopicPartition {
        topic: "t".into(),
        partition: 3,
    }
}

/// A batch of so many records that begins at a number.
fn begin(flights: &mut Flights<Count>, first: usize, count: usize) -> Receiver<Delivered<Count>> {
    let (reply, delivered) = oneshot::channel();
    flights.begin(first, Waiting::new(tp(), Count(count), reply));
    delivered
}

fn store(flights: &mut Flights<Count>, number: usize, offset: i64) {
    flights.note(number, 0, |_| {
        Ok(Stored {
            base_offset: Some(offset),
            log_append_time: None,
        })
    });
}

fn reject(flights: &mut Flights<Count>, number: usize, code: i32) {
    flights.reject(&Rejected {
        number,
        code,
        why: "why".to_owned(),
    });
}

/// How many records each run has, and the offset of its first one or the failure's text.
fn runs(delivered: &mut Receiver<Delivered<Count>>) -> Vec<(u32, Result<i64, String>)> {
    let runs = delivered.try_recv().unwrap().runs.into_iter();
    let told = runs.map(|run| match run.result {
        Ok(stored) => (run.records, Ok(stored.base_offset.unwrap())),
        Err(failure) => (run.records, Err(failure.to_string())),
    });
    told.collect()
}

#[test]
fn what_lies_together_is_one_run() {
    let mut flights = Flights::new();
    let mut delivered = begin(&mut flights, 10, 3);
    for number in 10..13 {
        assert!(delivered.try_recv().is_err());
        store(&mut flights, number, 90 + number as i64);
    }
    assert_eq!(runs(&mut delivered), [(3, Ok(100))]);
}

#[test]
fn what_others_have_come_between_is_two_runs() {
    let mut flights = Flights::new();
    let mut delivered = begin(&mut flights, 0, 4);
    for (number, offset) in [(0, 5), (1, 6), (2, 8), (3, 9)] {
        store(&mut flights, number, offset);
    }
    assert_eq!(runs(&mut delivered), [(2, Ok(5)), (2, Ok(8))]);
}

#[test]
fn runs_are_in_the_order_of_the_records() {
    let mut flights = Flights::new();
    let mut delivered = begin(&mut flights, 0, 4);
    for (number, offset) in [(2, 5), (3, 6), (0, 8)] {
        store(&mut flights, number, offset);
    }
    reject(&mut flights, 1, -192);
    let why = "librdkafka has not delivered records for t-3: why".to_owned();
    assert_eq!(
        runs(&mut delivered),
        [(1, Ok(8)), (1, Err(why)), (2, Ok(5))]
    );
}

#[test]
fn what_fails_alike_is_one_run() {
    let mut flights = Flights::new();
    let mut delivered = begin(&mut flights, 0, 4);
    for (number, code) in [(0, 6), (1, 6), (2, 10), (3, 10)] {
        reject(&mut flights, number, code);
    }
    let counts: Vec<u32> = runs(&mut delivered)
        .iter()
        .map(|(count, _)| *count)
        .collect();
    assert_eq!(counts, [2, 2]);
}

#[test]
fn batches_are_told_apart() {
    let mut flights = Flights::new();
    let mut first = begin(&mut flights, 0, 2);
    let mut second = begin(&mut flights, 2, 1);
    store(&mut flights, 2, 7);
    assert_eq!(runs(&mut second), [(1, Ok(7))]);
    assert!(first.try_recv().is_err());
    // Of nobody's record.
    store(&mut flights, 2, 7);
    store(&mut flights, 99, 7);
    assert!(first.try_recv().is_err());
}

#[test]
fn a_batch_without_records_has_arrived() {
    let mut delivered = begin(&mut Flights::new(), 0, 0);
    assert_eq!(delivered.try_recv().unwrap().runs, []);
}

#[test]
fn what_may_pass_is_told_from_what_is_final() {
    let is_retriable = |code| DeliveryFailure::new(&tp(), 1, code, "why").is_retriable();
    // Leader moved, too few replicas; transport, time, a queue that was full.
    for code in [6, 5, 19, -195, -192, -185, -184] {
        assert!(is_retriable(code), "{code}");
    }
    // Too large, not allowed; no such argument, a codec that is missing.
    for code in [10, 29, -186, -198] {
        assert!(!is_retriable(code), "{code}");
    }
}
