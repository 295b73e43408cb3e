//! An application that does not go on.

use std::time::Duration;

use divvy_simple_consumer::{Event, StallPolicy};

use crate::common::*;

fn watched(mut setup: Setup) -> Setup {
    setup.config.consumer.max_processing_interval = Some(8 * SECOND);
    setup
}

fn ages(events: &mut tokio::sync::broadcast::Receiver<Event>) -> Vec<u64> {
    let age = |event| match event {
        Event::Stalled { assignment, age_ms } => {
            assert_eq!(assignment.tp, tp(0));
            Some(age_ms)
        }
        _ => None,
    };
    all(events).into_iter().filter_map(age).collect()
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_given_back_is_reported_in_each_interval() {
    let setup = watched(Setup::new(1));
    setup.fill(0, 3);
    let mut consumer = setup.started().await;
    let mut events = consumer.events();
    assert_eq!(next(&mut consumer).await, (0, 0));
    pass(Duration::from_millis(7_900)).await;
    assert!(ages(&mut events).is_empty(), "not yet");
    for round in 1..4_u64 {
        pass(9 * SECOND).await;
        let ages = ages(&mut events);
        assert!(
            matches!(ages[..], [age] if age >= round * 8_000),
            "{round}: {ages:?}"
        );
    }
    // Going on ends it.
    assert_eq!(next(&mut consumer).await, (0, 1));
    pass(7 * SECOND).await;
    assert_eq!(next(&mut consumer).await, (0, 2));
    pass(7 * SECOND).await;
    assert!(ages(&mut events).is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_messages_is_not_stalled() {
    let setup = watched(Setup::new(1));
    setup.fill(0, 1);
    let mut consumer = setup.started().await;
    let mut events = consumer.events();
    assert_eq!(next(&mut consumer).await, (0, 0));
    let waited = consumer.recv_timeout(100 * SECOND).await.unwrap();
    assert!(waited.is_none());
    assert!(ages(&mut events).is_empty());
}

#[tokio::test(start_paused = true)]
async fn acknowledging_some_message_is_going_on() {
    let setup = watched(Setup::explicit(1));
    setup.fill(0, 3);
    let mut consumer = setup.started().await;
    let mut events = consumer.events();
    let first = soon(consumer.recv()).await.unwrap().into_owned();
    let second = soon(consumer.recv()).await.unwrap().into_owned();
    pass(7 * SECOND).await;
    assert!(second.ack());
    pass(7 * SECOND).await;
    assert!(ages(&mut events).is_empty());
    pass(3 * SECOND).await;
    assert_eq!(ages(&mut events).len(), 1);
    assert!(first.ack());
    let waited = consumer.recv_timeout(SECOND).await.unwrap();
    let last = waited.unwrap().into_owned();
    assert!(last.ack());
    let waited = consumer.recv_timeout(100 * SECOND).await.unwrap();
    assert!(waited.is_none());
    assert!(ages(&mut events).is_empty());
}

#[tokio::test(start_paused = true)]
async fn whoever_coordinates_is_told_only_where_that_is_asked_for() {
    for policy in [StallPolicy::Report, StallPolicy::Release] {
        let mut setup = watched(Setup::new(1));
        setup.config.consumer.on_stall = policy;
        setup.fill(0, 2);
        let (engine, mut consumer) = shared(&setup).await;
        assert_eq!(next(&mut consumer).await, (0, 0));
        let calls = engine.calls();
        let told = tokio::time::timeout(60 * SECOND, engine.stalled()).await;
        assert_eq!(told.is_ok(), policy == StallPolicy::Release);
        assert!(!engine.goes_on_since(calls));
        assert_eq!(next(&mut consumer).await, (0, 1));
        assert!(engine.goes_on_since(calls));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stall_that_is_over_is_not_told_of() {
    let mut setup = watched(Setup::new(2));
    setup.config.consumer.on_stall = StallPolicy::Release;
    setup.fill(0, 2);
    let (engine, mut consumer) = shared(&setup).await;
    assert_eq!(next(&mut consumer).await, (0, 0));
    pass(9 * SECOND).await;
    engine.remove(&tp(0));
    let told = tokio::time::timeout(60 * SECOND, engine.stalled()).await;
    assert!(told.is_err(), "it was given up");
    let calls = engine.calls();
    assert!(!engine.goes_on_since(calls));
    let waiting = tokio::spawn(async move { consumer.recv_timeout(5 * SECOND).await.is_ok() });
    pass(Duration::ZERO).await;
    assert!(
        engine.goes_on_since(engine.calls()),
        "it waits for messages"
    );
    pass(6 * SECOND).await;
    assert!(waiting.await.unwrap());
    assert!(!engine.goes_on_since(engine.calls()));
}
