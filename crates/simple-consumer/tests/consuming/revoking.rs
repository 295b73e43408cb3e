//! Giving partitions up, as a coordination does it.

use std::sync::Arc;
use std::time::Duration;

use divvy_simple_consumer::{AlwaysOpen, Assignment, Error};
use tokio::time::Instant;

use crate::common::*;

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_what_is_in_hand_and_no_longer_than_configured() {
    let setup = Setup::new(2);
    setup.fill(0, 3);
    let (engine, mut consumer) = shared(&setup).await;
    assert!(engine.stop(&tp(1)).await, "nothing is in hand");
    let message = soon(consumer.recv()).await.unwrap();
    assert_eq!(message.offset(), 0);
    let began = Instant::now();
    assert!(!engine.stop(&tp(0)).await);
    assert_eq!(began.elapsed(), setup.config.consumer.drain_timeout);
    assert_eq!(message.offset(), 0, "it was in hand all the while");

    let stopping = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.stop(&tp(0)).await })
    };
    assert_nothing(&mut consumer).await;
    assert!(stopping.await.unwrap(), "asking for more gave it back");
    engine.commit_finished(Some(&[tp(0)])).await.unwrap();
    assert_eq!((setup.stored(0), setup.stored(1)), (Some(1), None));
    assert!(engine.stop(&tp(7)).await, "what is not held is stopped");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_handed_out_once_a_partition_stops() {
    let setup = Setup::new(1);
    setup.fill(0, 3);
    let (engine, mut consumer) = shared(&setup).await;
    let mut batch = soon(consumer.next_batch()).await.unwrap();
    assert_eq!(yielded(&mut batch, 1), [0]);
    let stopping = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.stop(&tp(0)).await })
    };
    pass(Duration::ZERO).await;
    assert!(!stopping.is_finished());
    assert_nothing(&mut consumer).await;
    assert!(stopping.await.unwrap());
    setup.fill(0, 1);
    assert_nothing(&mut consumer).await;
    assert!(consumer.get_many(9, SECOND).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_very_next_message_is_not_handed_out_once_a_partition_is_gone() {
    let setup = Setup::new(1);
    setup.fill(0, 3);
    let (engine, mut consumer) = shared(&setup).await;
    assert_eq!(next(&mut consumer).await, (0, 0));
    engine.remove(&tp(0));
    assert_nothing(&mut consumer).await;

    let claim = |token| Assignment {
        tp: tp(0),
        token,
        stream: 0,
    };
    engine.assign(claim(1), at(1), Arc::new(AlwaysOpen));
    assert_eq!(next(&mut consumer).await, (0, 1));
    engine.assign(claim(2), at(0), Arc::new(AlwaysOpen));
    assert_eq!(next(&mut consumer).await, (0, 0), "it is another claim");
    engine.fail(Error::NoGroup);
    assert!(matches!(consumer.recv().await, Err(Error::NoGroup)));
}

#[tokio::test(start_paused = true)]
async fn the_very_next_message_is_not_handed_out_after_the_end() {
    let setup = Setup::new(1);
    setup.fill(0, 3);
    let (engine, mut consumer) = shared(&setup).await;
    assert_eq!(next(&mut consumer).await, (0, 0));
    engine.close().await;
    assert!(matches!(consumer.recv().await, Err(Error::Closed)));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handle_does_not_hold_a_revocation_up() {
    let setup = Setup::new(1);
    setup.fill(0, 3);
    let (engine, mut consumer) = shared(&setup).await;
    let mut handles = consumer.partition_handles().unwrap();
    let mut handle = handles.remove(&tp(0)).unwrap();
    assert_eq!(soon(handle.recv()).await.unwrap().offset(), 0);
    let began = Instant::now();
    let stopping = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.stop(&tp(0)).await })
    };
    pass(Duration::ZERO).await;
    assert!(!stopping.is_finished());
    drop(handle);
    assert!(stopping.await.unwrap());
    assert_eq!(began.elapsed(), Duration::ZERO);
    engine.commit_finished(None).await.unwrap();
    assert_eq!(setup.stored(0), Some(0), "dropped is not finished");
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_away_counts_no_more() {
    let setup = Setup::explicit(1);
    setup.fill(0, 3);
    let (engine, mut consumer) = shared(&setup).await;
    let owned = soon(consumer.recv()).await.unwrap().into_owned();
    let mut batch = soon(consumer.next_batch()).await.unwrap();
    let acker = batch.acker();
    assert!(acker.is_current() && acker.partition() == &tp(0));
    assert_eq!(yielded(&mut batch, 1), [1]);
    engine.remove(&tp(0));
    assert!(!acker.is_current());
    assert_nothing(&mut consumer).await;
    assert!(matches!(
        consumer.position(&tp(0)),
        Err(Error::NotAssigned { .. })
    ));

    // The same partition in the same hands again is another hold.
    engine.assign(Assignment::unfenced(tp(0)), at(2), Arc::new(AlwaysOpen));
    assert!(!owned.ack() && !acker.is_current());
    acker.ack_through(2);
    assert_eq!(next(&mut consumer).await, (0, 2));
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_closed_engine_takes_nothing_into_hand() {
    let setup = Setup::new(1);
    let (engine, consumer) = shared(&setup).await;
    consumer.close().await.unwrap();
    engine.assign(Assignment::unfenced(tp(0)), at(0), Arc::new(AlwaysOpen));
    assert!(engine.assignments().is_empty());
}
