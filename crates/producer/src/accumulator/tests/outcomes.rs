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
            0 => Err(refused(ErrorCode::INVALID_REQUIRED_ACKS)),
            _ => stored_at(7),
        };
        assert!(!rig.accumulator.settle(batch, result, rig.now));
    }
    rig.accumulator.request_ended(1, 0, None);
    for delivery in &mut failing {
        let error = outcome(delivery).unwrap().unwrap_err();
        assert!(
            error.to_string().contains("INVALID_REQUIRED_ACKS"),
            "{error}"
        );
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
    let left = rig.budget.free();
    assert!(left < BUDGET);
    let batches = rig.drain_one();
    rig.settle(batches, &Err(disconnected()));
    assert_eq!(rig.budget.free(), left);
    rig.pass(TIMEOUT);
    rig.drain();
    assert!(outcome(&mut delivery).is_some());
    assert_eq!(rig.budget.free(), BUDGET);
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
    let refused = rig.try_send(0, &record("b"));
    assert_eq!(refused.unwrap_err(), Refused::Closed);
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
        .map(|one| (one.outcome.partition().partition, one.numbers.len()))
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
    assert_eq!(rig.budget.free(), BUDGET);
}

#[test]
fn a_batch_that_is_too_large_is_halved_until_only_the_record_fails_that_is() {
    let mut rig = Rig::eager(|config| config.max_retries = Some(0));
    let mut deliveries: Vec<Delivery> = ["a", "b", "large", "c", "d"]
        .map(|value| rig.send(0, value))
        .into();
    let mut behind = rig.send(0, "behind");
    let mut log: Vec<String> = Vec::new();
    while let Some(work) = rig.drain().requests.pop() {
        let sent = values(&work.batches[0]);
        let base = i64::try_from(log.len()).unwrap();
        let result = match sent.iter().any(|value| value == "large") {
            true => Err(refused(ErrorCode::MESSAGE_TOO_LARGE)),
            false => {
                log.extend(sent);
                stored_at(base)
            }
        };
        rig.settle(work.batches, &result);
    }
    assert_eq!(log, ["a", "b", "c", "d", "behind"], "in their order");
    let error = outcome(&mut deliveries[2]).unwrap().unwrap_err();
    assert!(error.to_string().contains("MESSAGE_TOO_LARGE"), "{error}");
    deliveries.remove(2);
    let offsets: Vec<_> = deliveries.iter_mut().map(offset).collect();
    assert_eq!(offsets, [Some(0), Some(1), Some(2), Some(3)]);
    assert_eq!(offset(&mut behind), Some(4));
    assert_eq!(rig.budget.free(), BUDGET);
}

#[test]
fn a_batch_is_sent_again_as_often_as_it_may_be() {
    let mut rig = Rig::eager(|config| config.max_retries = Some(2));
    let mut delivery = rig.send(0, "a");
    for attempt in 0..3 {
        assert!(outcome(&mut delivery).is_none(), "attempt {attempt}");
        let batches = rig.drain_one();
        rig.settle(batches, &Err(disconnected()));
        rig.pass(Duration::from_secs(1));
    }
    let error = outcome(&mut delivery).unwrap().unwrap_err();
    assert!(error.to_string().contains("b:9092"), "{error}");
    assert!(rig.drain().requests.is_empty());
}

#[test]
fn without_room_nothing_is_queued_until_there_is_some() {
    let mut rig = Rig::eager(|config| config.batch_size = 100_000);
    let large = record(&"x".repeat(90_000));
    let mut taken = 0;
    while rig.try_send(taken, &large).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 11, "of 90 kB in 1 MiB");
    assert_eq!(rig.try_send(0, &large).unwrap_err(), Refused::NoRoom);
    let small = rig.try_send(0, &record("small"));
    assert!(small.is_ok(), "what is reserved can be used");
    let batches = rig.drain_one();
    assert_eq!(rig.try_send(99, &large).unwrap_err(), Refused::NoRoom);
    rig.settle(batches, &stored_at(0));
    assert!(rig.try_send(99, &large).is_ok());
}
