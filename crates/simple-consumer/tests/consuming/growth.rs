//! Partitions that are added later.

use divvy_simple_consumer::{Event, OffsetReset};

use crate::common::*;

#[tokio::test(start_paused = true)]
async fn added_partitions_are_read_from_their_first_message_whatever_the_policy() {
    let mut setup = Setup::new(1);
    setup.config.consumer.auto_offset_reset = OffsetReset::Latest;
    setup.fill(0, 3);
    let mut consumer = setup.started().await;
    let mut events = consumer.events();
    setup.backend.create_topic(TOPIC, 3);
    setup.fill(1, 2);
    setup.fill(2, 1);
    let mut read = Vec::new();
    for _ in 0..3 {
        read.push(next(&mut consumer).await);
    }
    read.sort_unstable();
    assert_eq!(read, [(1, 0), (1, 1), (2, 0)]);
    let assigned = all(&mut events).into_iter().find_map(|event| match event {
        Event::Assigned { partitions } => Some(partitions),
        _ => None,
    });
    let assigned: Vec<_> = assigned.unwrap().into_iter().map(|a| a.tp).collect();
    assert_eq!(assigned, [tp(1), tp(2)]);
    assert_eq!(consumer.assignments().len(), 3);
    consumer.close().await.unwrap();
    assert_eq!((setup.stored(1), setup.stored(2)), (Some(2), Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_stored_offset_counts_for_added_partitions_too() {
    let setup = Setup::new(1);
    let mut consumer = setup.started().await;
    setup.commit(1, 2).await;
    setup.backend.create_topic(TOPIC, 2);
    setup.fill(1, 4);
    assert_eq!(next(&mut consumer).await, (1, 2));
}

#[tokio::test(start_paused = true)]
async fn who_names_his_partitions_gets_no_others() {
    let mut setup = Setup::new(1);
    setup.config.partitions = Some(vec![0]);
    let mut consumer = setup.started().await;
    setup.backend.create_topic(TOPIC, 2);
    setup.fill(1, 1);
    assert_nothing(&mut consumer).await;
    assert_eq!(consumer.assignments().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_looked_up_for_them_is_reported_and_tried_again() {
    let setup = Setup::new(1);
    let mut consumer = setup.started().await;
    let mut events = consumer.events();
    setup.store.set_broken([1]);
    setup.backend.create_topic(TOPIC, 2);
    setup.fill(1, 1);
    assert_nothing(&mut consumer).await;
    let failures = all(&mut events);
    assert!(failures.len() > 2);
    assert!(
        failures
            .iter()
            .all(|event| matches!(event, Event::Error { .. }))
    );
    setup.store.set_broken([]);
    assert_eq!(next(&mut consumer).await, (1, 0));
}
