//! Batches of which a part was stored and a part was not.

use super::*;

/// A batch of these one-letter values, taken out to be sent, and the deliveries of its records.
fn sent(rig: &mut Rig, letters: &[&str]) -> (Batch, Vec<Delivery>) {
    let deliveries = letters.iter().map(|letter| rig.send(0, letter)).collect();
    let mut batches = rig.drain_one();
    (batches.pop().unwrap(), deliveries)
}

/// The offset or failure of each record; `None` where it has none.
fn told(deliveries: &mut [Delivery]) -> Vec<Option<Result<i64, String>>> {
    let told = deliveries.iter_mut().map(|delivery| {
        let outcome = delivery.now_or_never()?;
        let offset = outcome.map(|metadata| metadata.offset.unwrap());
        Some(offset.map_err(|error| error.to_string()))
    });
    told.collect()
}

#[test]
fn what_was_stored_first_is_told_and_the_rest_is_sent_again_in_order() {
    let mut rig = Rig::eager(|config| config.retry_backoff = Duration::from_millis(100));
    let (batch, mut deliveries) = sent(&mut rig, &["a", "b", "c", "d"]);
    let parts = vec![
        (2, stored_at(40)),
        (1, Err(disconnected())),
        (1, Err(refused(ErrorCode::NOT_LEADER_OR_FOLLOWER))),
    ];
    rig.accumulator.settle_parts(batch, parts, rig.now);
    rig.accumulator.request_ended(1, 0, None);
    let known = told(&mut deliveries);
    assert_eq!(known, [Some(Ok(40)), Some(Ok(41)), None, None]);
    assert!(rig.drain().requests.is_empty(), "not before the pause");

    for (value, offset) in [("c", 50), ("d", 51)] {
        rig.pass(Duration::from_secs(1));
        let batches = rig.drain_one();
        assert_eq!(values(&batches[0]), [value]);
        rig.settle(batches, &stored_at(offset));
    }
    let known = told(&mut deliveries[2..]);
    assert_eq!(known, [Some(Ok(50)), Some(Ok(51))]);
}

#[test]
fn what_failed_before_something_that_is_stored_is_not_sent_again() {
    let mut rig = Rig::eager(|_| {});
    let (batch, mut deliveries) = sent(&mut rig, &["a", "b", "c"]);
    let parts = vec![
        (1, Err(disconnected())),
        (1, stored_at(7)),
        (1, Err(disconnected())),
    ];
    rig.accumulator.settle_parts(batch, parts, rig.now);
    rig.accumulator.request_ended(1, 0, None);
    let known = told(&mut deliveries);
    assert_eq!(known[0], Some(Err(disconnected().to_string())));
    assert_eq!(known[1..], [Some(Ok(7)), None]);
    rig.pass(Duration::from_secs(1));
    assert_eq!(values(&rig.drain_one()[0]), ["c"]);
}

#[test]
fn what_is_refused_for_good_fails_alone() {
    let mut rig = Rig::eager(|_| {});
    let (batch, mut deliveries) = sent(&mut rig, &["a", "b", "c"]);
    let parts = vec![
        (1, stored_at(1)),
        (1, Err(refused(ErrorCode::MESSAGE_TOO_LARGE))),
        (1, stored_at(2)),
    ];
    rig.accumulator.settle_parts(batch, parts, rig.now);
    let known = told(&mut deliveries);
    assert_eq!((&known[0], &known[2]), (&Some(Ok(1)), &Some(Ok(2))));
    let why = known[1].clone().unwrap().unwrap_err();
    assert!(why.contains("MESSAGE_TOO_LARGE"), "{why}");
}

#[test]
fn what_nothing_is_told_of_has_failed() {
    let mut rig = Rig::eager(|_| {});
    let (batch, mut deliveries) = sent(&mut rig, &["a", "b"]);
    rig.accumulator
        .settle_parts(batch, vec![(1, stored_at(1))], rig.now);
    let known = told(&mut deliveries);
    assert_eq!(known[0], Some(Ok(1)));
    assert_eq!(known[1], Some(Err(Error::Closed.to_string())));
}
