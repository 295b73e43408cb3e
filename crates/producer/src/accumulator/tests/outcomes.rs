//! What becomes of records.

use super::*;

#[test]
fn every_record_learns_its_own_offset_and_time() {
    let mut rig = Rig::eager(|_| {});
    let mut deliveries = [rig.send(0, "a"), rig.send(0, "b"), rig.send(0, "c")];
    assert!(
        deliveries
            .iter_mut()
            .all(|delivery| outcome(delivery).is_none())
    );
    assert_eq!(deliveries[0].partition(), &tp(0));
    let batches = rig.drain_one();
    rig.settle(batches, &stored_at(40));
    let offsets = deliveries.each_mut().map(offset);
    assert_eq!(offsets, [Some(40), Some(41), Some(42)]);
    let metadata = outcome(&mut deliveries[1]).unwrap().unwrap();
    assert_eq!(
        (metadata.tp, metadata.timestamp),
        (tp(0), 1000),
        "its own time"
    );

    let mut delivery = rig.send(0, "d");
    let batches = rig.drain_one();
    let brokers_time = Appended {
        base_offset: None,
        log_append_time: Some(77),
    };
    rig.settle(batches, &Ok(brokers_time));
    let metadata = outcome(&mut delivery).unwrap().unwrap();
    assert_eq!((metadata.offset, metadata.timestamp), (None, 77));
}

#[test]
fn a_fatal_error_fails_exactly_its_batch() {
    let mut rig = Rig::eager(|config| config.batch_size = size_of_batch(&["a", "b"]));
    let mut failing = [rig.send(0, "a"), rig.send(0, "b")];
    let mut next = rig.send(0, "c");
    let mut other = rig.send(1, "d");
    let batches = rig.drain_one();
    for batch in batches {
        let result = match batch.tp.partition {
            0 => Err(refused(ErrorCode::MESSAGE_TOO_LARGE)),
            _ => stored_at(7),
        };
        assert!(!rig.accumulator.settle(batch, result, rig.now));
    }
    rig.accumulator.request_ended(1, None);
    for delivery in &mut failing {
        let error = outcome(delivery).unwrap().unwrap_err();
        assert!(error.to_string().contains("MESSAGE_TOO_LARGE"), "{error}");
        assert!(!error.is_retriable());
    }
    assert_eq!(offset(&mut other), Some(7));
    assert!(outcome(&mut next).is_none());
    let batches = rig.drain_one();
    assert_eq!(
        values(&batches[0]),
        ["c"],
        "what follows goes on without a pause"
    );
    rig.settle(batches, &stored_at(0));
    assert_eq!(offset(&mut next), Some(0));
}

#[test]
fn room_in_the_buffer_comes_back_with_the_outcome_and_not_before() {
    let mut rig = Rig::eager(|_| {});
    let mut delivery = rig.send(0, "a");
    let size = entry("a").memory_size();
    assert_eq!(rig.budget.available_permits(), BUDGET - size);
    let batches = rig.drain_one();
    rig.settle(batches, &Err(disconnected()));
    assert_eq!(rig.budget.available_permits(), BUDGET - size);
    rig.pass(TIMEOUT);
    rig.drain();
    assert!(outcome(&mut delivery).is_some());
    assert_eq!(rig.budget.available_permits(), BUDGET);
}

#[test]
fn what_waits_too_long_has_failed_and_says_why() {
    let mut rig = Rig::eager(|_| {});
    let mut tried = rig.send(0, "tried");
    let batches = rig.drain_one();
    rig.settle(batches, &Err(disconnected()));
    rig.pass(TIMEOUT / 2);
    let mut later = rig.send(0, "later");
    let plan = rig.accumulator.drain(|_| None, false, rig.now);
    assert_eq!(
        plan.wake_at,
        Some(rig.now + TIMEOUT / 2),
        "woken in time to say so"
    );

    rig.pass(TIMEOUT / 2);
    rig.accumulator.drain(|_| None, false, rig.now);
    let error = outcome(&mut tried).unwrap().unwrap_err();
    assert!(
        matches!(&error, Error::Expired { last: Some(_), .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("b:9092 closed the connection"),
        "{error}"
    );
    assert!(outcome(&mut later).is_none());

    rig.pass(TIMEOUT / 2);
    rig.accumulator.drain(|_| None, false, rig.now);
    let error = outcome(&mut later).unwrap().unwrap_err();
    assert!(
        matches!(&error, Error::Expired { last: None, .. }),
        "{error}"
    );
}

#[test]
fn what_expires_on_its_way_keeps_its_partition_busy_and_is_not_sent_again() {
    for answer in [Err(disconnected()), stored_at(5)] {
        let mut rig = Rig::eager(|_| {});
        let mut first = rig.send(0, "first");
        let batches = rig.drain_one();
        assert_eq!(rig.drain().wake_at, Some(rig.now + TIMEOUT));
        rig.pass(TIMEOUT);
        let plan = rig.drain();
        assert_eq!(plan.wake_at, None, "nothing left to say");
        let reported = outcome(&mut first).unwrap().unwrap_err();
        assert!(matches!(reported, Error::Expired { .. }));

        // Its request may still be carried out, and nothing must overtake it.
        let _second = rig.send(0, "second");
        assert!(rig.drain().requests.is_empty());
        rig.settle(batches, &answer);
        let said = outcome(&mut first).unwrap().unwrap_err();
        assert_eq!(
            said.to_string(),
            reported.to_string(),
            "the first word counts"
        );
        assert_eq!(values(&rig.drain_one()[0]), ["second"]);
    }
}

#[test]
fn a_batch_that_arrived_corrupt_is_sent_once_more() {
    let mut rig = Rig::eager(|_| {});
    let mut delivery = rig.send(0, "a");
    for attempt in 0..2 {
        assert!(outcome(&mut delivery).is_none(), "attempt {attempt}");
        let batches = rig.drain_one();
        rig.settle(batches, &Err(refused(ErrorCode::CORRUPT_MESSAGE)));
        rig.pass(Duration::from_secs(1));
    }
    assert!(outcome(&mut delivery).unwrap().is_err());
    assert!(rig.drain().requests.is_empty());
}

#[test]
fn a_closed_accumulator_takes_nothing_and_sends_what_it_has() {
    let mut rig = Rig::eager(|_| {});
    let mut delivery = rig.send(0, "a");
    rig.accumulator.close();
    let refused = rig.accumulator.append(&tp(0), entry("b"), None, rig.now);
    assert!(matches!(refused, Err(Error::Closed)));
    let batches = rig.drain_one();
    rig.settle(batches, &stored_at(3));
    assert_eq!(offset(&mut delivery), Some(3));
}

#[test]
fn abandoning_fails_all_and_lists_it() {
    let mut rig = Rig::eager(|_| {});
    let mut done = rig.send(2, "done");
    let batches = rig.drain_one();
    rig.settle(batches, &stored_at(0));
    let mut sent = [rig.send(0, "a"), rig.send(0, "b")];
    let on_their_way = rig.drain_one();
    let mut waiting = rig.send(1, "c");

    let pending = rig.accumulator.abandon();
    let listed: Vec<(i32, usize)> = pending
        .iter()
        .map(|one| (one.tp.partition, one.records))
        .collect();
    assert_eq!(listed, [(0, 2), (1, 1)]);
    for delivery in sent.iter_mut().chain([&mut waiting]) {
        assert!(matches!(outcome(delivery), Some(Err(Error::Closed))));
    }
    assert_eq!(offset(&mut done), Some(0), "what was stored stays so");
    rig.settle(on_their_way, &stored_at(9));
    assert!(matches!(outcome(&mut sent[0]), Some(Err(Error::Closed))));
    assert!(rig.drain().requests.is_empty());
}

#[test]
fn a_batch_that_gets_lost_has_failed() {
    let mut rig = Rig::eager(|_| {});
    let mut delivery = rig.send(0, "a");
    drop(rig.drain_one());
    assert!(matches!(outcome(&mut delivery), Some(Err(Error::Closed))));
    assert_eq!(rig.budget.available_permits(), BUDGET);
}

#[test]
fn whoever_waits_is_woken_once_polled_by_whichever_task() {
    let outcome = Outcome::new(tp(0));
    let mut delivery = outcome.delivery(0, 0);
    let (old, old_count) = counting_waker();
    let (new, new_count) = counting_waker();
    for waker in [&old, &new] {
        let mut context = std::task::Context::from_waker(waker);
        assert!(delivery.poll_unpin(&mut context).is_pending());
    }
    assert!(outcome.complete(stored_at(0)));
    assert!(
        !outcome.complete(Err(Error::Closed)),
        "only the first word counts"
    );
    let woken =
        [old_count, new_count].map(|count| count.0.load(std::sync::atomic::Ordering::Relaxed));
    assert_eq!(woken, [0, 1], "only the task that polled last");
}

#[derive(Default)]
struct Count(std::sync::atomic::AtomicUsize);

impl std::task::Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

fn counting_waker() -> (std::task::Waker, Arc<Count>) {
    let count = Arc::new(Count::default());
    (Arc::clone(&count).into(), count)
}
