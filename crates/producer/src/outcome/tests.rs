use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;

fn outcome() -> Arc<Outcome> {
    Outcome::new(TopicPartition::new("t", 0))
}

fn stored_at(base_offset: i64) -> Result<Appended> {
    Ok(Appended {
        base_offset: Some(base_offset),
        log_append_time: None,
    })
}

/// The offset of a record that has its outcome; `Some(None)` where it has failed.
fn offset(outcome: &Outcome, record: u32) -> Option<Option<i64>> {
    let context = Context::from_waker(Waker::noop());
    match outcome.poll_record(record, &mut Waiting::default(), &context) {
        Poll::Ready(result) => Some(result.ok().and_then(|appended| appended.base_offset)),
        Poll::Pending => None,
    }
}

#[test]
fn each_part_tells_of_its_own_records() {
    let outcome = outcome();
    assert!(outcome.complete(2..5, &stored_at(100)));
    assert!(!outcome.covers(&(0..3)) && outcome.covers(&(2..5)));
    assert_eq!(
        [1, 2, 4, 5].map(|n| offset(&outcome, n)),
        [None, Some(Some(100)), Some(Some(102)), None]
    );
    assert!(outcome.complete(5..u32::MAX, &stored_at(200)));
    assert!(!outcome.covers(&(0..u32::MAX)));
    assert!(outcome.complete(0..2, &Err(Error::Closed)));
    assert!(outcome.covers(&(0..u32::MAX)));
    assert_eq!(
        [0, 5, 9].map(|n| offset(&outcome, n)),
        [Some(None), Some(Some(200)), Some(Some(204))]
    );
}

#[test]
fn the_first_word_counts_record_by_record() {
    let outcome = outcome();
    assert!(outcome.complete(3..4, &stored_at(7)));
    assert!(outcome.complete(1..6, &stored_at(50)), "the others");
    assert!(!outcome.complete(1..6, &Err(Error::Closed)));
    assert_eq!(
        [1, 2, 3, 4, 5].map(|n| offset(&outcome, n)),
        [
            Some(Some(50)),
            Some(Some(51)),
            Some(Some(7)),
            Some(Some(53)),
            Some(Some(54))
        ]
    );
}

#[test]
fn failures_are_counted_within_the_records_that_are_asked_for() {
    let outcome = outcome();
    let context = Context::from_waker(Waker::noop());
    let failures = |records: Range<u32>| {
        let failures = outcome.poll_failures(&records, &mut Waiting::default(), &context);
        failures.map(|failures| failures.iter().map(|(count, _)| *count).sum::<usize>())
    };
    outcome.complete(0..4, &Err(Error::Closed));
    assert_eq!(failures(2..6), Poll::Pending);
    outcome.complete(4..u32::MAX, &stored_at(0));
    assert_eq!(failures(2..6), Poll::Ready(2));
    assert_eq!(failures(4..6), Poll::Ready(0));
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn whoever_waits_for_a_later_part_keeps_his_place() {
    let outcome = outcome();
    let counts = [Arc::new(Count::default()), Arc::new(Count::default())];
    let mut waiting = [Waiting::default(), Waiting::default()];
    let mut poll = |who: usize, record| {
        let waker = Waker::from(Arc::clone(&counts[who]));
        let context = Context::from_waker(&waker);
        outcome
            .poll_record(record, &mut waiting[who], &context)
            .is_ready()
    };
    assert!(!poll(0, 0) && !poll(1, 9));
    outcome.complete(0..5, &stored_at(0));
    assert!(poll(0, 0) && !poll(1, 9));
    outcome.complete(5..u32::MAX, &stored_at(5));
    assert!(poll(1, 9));
    let woken = counts.map(|count| count.0.load(Ordering::Relaxed));
    assert_eq!(woken[1], 2, "at each part");
}
