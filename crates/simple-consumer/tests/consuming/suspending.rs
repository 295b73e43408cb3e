//! Holding partitions without handing them out, while it is not known whose they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use divvy_simple_consumer::{Assignment, Engine, Error, Gate, SimpleConsumer};

use crate::common::*;

#[derive(Debug)]
struct Door(AtomicBool);

impl Gate for Door {
    fn is_open(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A consumer whose only partition has a gate, which is open.
async fn gated(setup: &Setup) -> (Arc<Door>, Arc<Engine>, SimpleConsumer) {
    let (engine, consumer) = shared(setup).await;
    let door = Arc::new(Door(AtomicBool::new(true)));
    let assignment = Assignment {
        tp: tp(0),
        token: 77,
        stream: 0,
    };
    engine.remove(&tp(0));
    engine.assign(assignment, at(0), Arc::clone(&door) as Arc<dyn Gate>);
    (door, engine, consumer)
}

fn shut(door: &Door) {
    door.0.store(false, Ordering::SeqCst);
}

fn open(door: &Door) {
    door.0.store(true, Ordering::SeqCst);
}

#[tokio::test(start_paused = true)]
async fn a_shut_gate_stops_the_very_next_message() {
    let setup = Setup::new(1);
    setup.fill(0, 5);
    let (door, engine, mut consumer) = gated(&setup).await;
    let message = soon(consumer.recv()).await.unwrap();
    assert_eq!((message.offset(), message.token()), (0, 77));
    assert!(message.is_current());
    shut(&door);
    assert!(!message.is_current(), "nobody has to notice first");
    assert_nothing(&mut consumer).await;
    assert!(consumer.get_many(9, SECOND).await.unwrap().is_empty());
    open(&door);
    engine.wake();
    assert_eq!(next(&mut consumer).await, (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_waits_goes_on_when_it_is_resumed() {
    let setup = Setup::new(1);
    setup.fill(0, 2);
    let (door, engine, mut consumer) = gated(&setup).await;
    shut(&door);
    engine.suspend(&[tp(0)]);
    let waiting = tokio::spawn(async move { next(&mut consumer).await });
    pass(SECOND).await;
    assert!(!waiting.is_finished());
    open(&door);
    pass(SECOND).await;
    assert!(!waiting.is_finished(), "it is suspended still");
    engine.resume(&[tp(0)]);
    assert_eq!(soon(waiting).await.unwrap(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn offsets_are_withheld_while_the_gate_is_shut_and_stored_afterwards() {
    let setup = Setup::new(1);
    setup.fill(0, 5);
    let (door, engine, mut consumer) = gated(&setup).await;
    assert_eq!(next(&mut consumer).await, (0, 0));
    assert_eq!(next(&mut consumer).await, (0, 1));
    shut(&door);
    let error = consumer.commit().await.unwrap_err();
    assert!(error.is_retriable() && matches!(error, Error::Commit { .. }));
    engine.suspend(&[tp(0)]);
    open(&door);
    assert!(
        consumer.commit().await.is_err(),
        "suspended is shut as well"
    );
    assert_eq!(setup.stored(0), None);
    engine.resume(&[tp(0)]);
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(2), "what was in hand was finished");
    assert_eq!(
        next(&mut consumer).await,
        (0, 2),
        "nothing twice, nothing left out"
    );
}

#[tokio::test(start_paused = true)]
async fn a_batch_in_hand_is_finished_across_a_suspension() {
    let setup = Setup::new(1);
    setup.fill(0, 6);
    let (_door, engine, mut consumer) = gated(&setup).await;
    let mut batch = soon(consumer.next_batch()).await.unwrap();
    assert_eq!(yielded(&mut batch, 2), [0, 1]);
    engine.suspend(&[tp(0)]);
    assert!(!batch.is_current() && !batch.acker().is_fresh());
    engine.resume(&[tp(0)]);
    assert!(batch.is_current(), "the token is the same");
    assert!(!batch.acker().is_fresh(), "but something came between");
    assert_eq!(yielded(&mut batch, 1), [2]);
    assert_eq!(next(&mut consumer).await, (0, 3));
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(4));
}

#[tokio::test(start_paused = true)]
async fn what_receivers_took_before_is_not_handed_out_but_fetched_again() {
    let setup = Setup::new(1);
    setup.fill(0, 3);
    let (_door, engine, mut consumer) = gated(&setup).await;
    assert_eq!(next(&mut consumer).await, (0, 0));
    engine.suspend(&[tp(0)]);
    assert_nothing(&mut consumer).await;
    setup.fill(0, 1);
    engine.resume(&[tp(0)]);
    for offset in 1..4 {
        assert_eq!(next(&mut consumer).await, (0, offset));
    }
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_count_across_a_suspension() {
    let setup = Setup::explicit(1);
    setup.fill(0, 3);
    let (_door, engine, mut consumer) = gated(&setup).await;
    let first = soon(consumer.recv()).await.unwrap().into_owned();
    let second = soon(consumer.recv()).await.unwrap().into_owned();
    engine.suspend(&[tp(0)]);
    assert!(first.ack() && !first.is_current());
    engine.resume(&[tp(0)]);
    assert!(second.ack() && second.is_current());
    assert_eq!(next(&mut consumer).await, (0, 2));
    engine.commit_finished(None).await.unwrap();
    assert_eq!(setup.stored(0), Some(2));
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_comes_again_and_is_not_committed() {
    let setup = Setup::explicit(1);
    setup.fill(0, 5);
    let (_door, engine, mut consumer) = gated(&setup).await;
    let mut batch = soon(consumer.next_batch()).await.unwrap();
    let acker = batch.acker();
    assert_eq!(yielded(&mut batch, 4), [0, 1, 2, 3]);
    acker.ack_through(1);
    engine.suspend(&[tp(0)]);
    acker.give_up(2);
    engine.resume(&[tp(0)]);
    acker.ack_through(3);
    engine.commit_finished(None).await.unwrap();
    assert_eq!(
        setup.stored(0),
        Some(2),
        "stale acknowledgements count no more"
    );
    let again = soon(consumer.recv()).await.unwrap().into_owned();
    assert_eq!((again.offset, again.token()), (2, 77));
    assert!(again.ack());
}

#[tokio::test(start_paused = true)]
async fn a_suspended_partition_can_be_sought_and_stopped() {
    let setup = Setup::new(1);
    setup.fill(0, 5);
    let (_door, engine, mut consumer) = gated(&setup).await;
    assert_eq!(next(&mut consumer).await, (0, 0));
    engine.suspend(&[tp(0)]);
    consumer
        .seek(&tp(0), divvy_simple_consumer::SeekTo::Offset(3))
        .await
        .unwrap();
    assert_nothing(&mut consumer).await;
    engine.resume(&[tp(0)]);
    assert_eq!(next(&mut consumer).await, (0, 3));
    engine.suspend(&[tp(0)]);
    let stopping = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.stop(&tp(0)).await })
    };
    pass(Duration::ZERO).await;
    assert!(!stopping.is_finished(), "a message is in hand");
    assert_nothing(&mut consumer).await;
    assert!(stopping.await.unwrap());
    engine.resume(&[tp(0)]);
    assert_nothing(&mut consumer).await;
}
