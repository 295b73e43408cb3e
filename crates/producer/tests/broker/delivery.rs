//! What a producer does while all is well, and what it refuses.

use divvy_producer::{Acks, Error, Partitioner, Partitions};
use std::sync::Arc;

use super::*;

#[tokio::test]
async fn records_are_stored_in_order_and_told_where() {
    for (acks, code) in [(Acks::Leader, 1), (Acks::All, -1)] {
        let cluster = Cluster::start(2, 4).await;
        let producer = producer(&cluster, |config| config.acks = acks).await;
        let mut deliveries = Vec::new();
        for n in 0..400 {
            let record = record(n % 4, n.to_string());
            deliveries.push((n, producer.send(record).await.unwrap()));
        }
        for (n, delivery) in deliveries {
            let metadata = soon(delivery).await.unwrap();
            assert_eq!(
                (metadata.tp.partition, metadata.offset),
                (n % 4, Some(i64::from(n / 4)))
            );
        }
        for partition in 0..4 {
            let expected: Vec<String> = (0..100).map(|n| (n * 4 + partition).to_string()).collect();
            assert_eq!(cluster.log(partition), expected);
        }
        assert_eq!(cluster.state().acks, code);
    }
}

#[tokio::test]
async fn without_acks_records_are_delivered_when_they_are_written() {
    let cluster = Cluster::start(1, 1).await;
    let producer = producer(&cluster, |config| config.acks = Acks::None).await;
    cluster.hold(true);
    let delivery = producer.send(record(0, "a")).await.unwrap();
    assert_eq!(soon(delivery).await.unwrap().offset, None);
    // The end waits until they were read all the same.
    let mut closing = Box::pin(producer.close(PATIENCE));
    let early = timeout(Duration::from_millis(100), &mut closing).await;
    assert!(early.is_err(), "{early:?}");
    cluster.hold(false);
    soon(closing).await.unwrap();
    assert_eq!(cluster.log(0), ["a"]);
}

#[tokio::test]
async fn without_acks_closing_ends_by_its_deadline_too() {
    let cluster = Cluster::start(1, 1).await;
    let producer = producer(&cluster, |config| config.acks = Acks::None).await;
    cluster.hold(true);
    let delivery = producer.send(record(0, "a")).await.unwrap();
    soon(delivery).await.unwrap();
    soon(producer.close(Duration::from_millis(50)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_send_waits_for_room_and_try_send_fails() {
    let cluster = Cluster::start(1, 1).await;
    let producer = producer(&cluster, |config| {
        config.max_request_size = 4 << 10;
        config.batch_size = 4 << 10;
        config.buffer_memory = 4 << 10;
        // Whoever waits for room ends the wait for more records.
        config.linger = PATIENCE * 2;
    })
    .await;
    cluster.hold(true);
    let unknown = producer.try_send(record(0, "early")).unwrap_err();
    assert!(matches!(unknown, Error::NotLookedUp { .. }), "{unknown}");
    assert_eq!(producer.partitions_for("t").await.unwrap(), [0]);

    let mut deliveries = Vec::new();
    let full = loop {
        match producer.try_send(record(0, "x".repeat(700))) {
            Ok(delivery) => deliveries.push(delivery),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(
            full,
            Error::BufferFull {
                buffer_memory: 4096,
                ..
            }
        ),
        "{full}"
    );
    assert!(full.is_retriable());
    assert!(deliveries.len() > 3, "room for {} only", deliveries.len());

    let mut waiting = Box::pin(producer.send(record(0, "y".repeat(700))));
    let early = timeout(Duration::from_millis(100), &mut waiting).await;
    assert!(early.is_err(), "there was room after all");
    cluster.hold(false);
    let delivery = soon(waiting).await.unwrap();
    soon(producer.flush()).await.unwrap();
    let before = i64::try_from(deliveries.len()).unwrap();
    assert_eq!(soon(delivery).await.unwrap().offset, Some(before));
}

#[tokio::test]
async fn a_send_that_is_given_up_queues_nothing() {
    let cluster = Cluster::start(1, 1).await;
    let producer = producer(&cluster, |config| {
        config.max_request_size = 1500;
        config.batch_size = 1500;
        config.buffer_memory = 1500;
    })
    .await;
    cluster.hold(true);
    let first = producer.send(record(0, "x".repeat(800))).await.unwrap();
    let given_up = producer.send(record(0, "y".repeat(800)));
    assert!(timeout(Duration::from_millis(50), given_up).await.is_err());
    cluster.hold(false);
    soon(first).await.unwrap();
    soon(producer.send(record(0, "z".repeat(800))))
        .await
        .unwrap();
    soon(producer.close(PATIENCE)).await.unwrap();
    assert_eq!(cluster.log(0), ["x".repeat(800), "z".repeat(800)]);
}

#[tokio::test]
async fn what_cannot_be_delivered_is_refused_before_it_is_queued() {
    let cluster = Cluster::start(1, 2).await;
    let producer = producer(&cluster, |config| config.max_request_size = 100_000).await;
    let nowhere = ProducerRecord::new("nowhere", "a");
    let refused = [
        (nowhere, "`nowhere` does not exist"),
        (record(2, "a"), "partition t-2 does not exist"),
        (record(-1, "a"), "partition t--1 does not exist"),
        (
            record(0, "x".repeat(100_000)),
            "more than 100000 (max_request_size)",
        ),
        (
            ProducerRecord {
                timestamp: Some(-1),
                ..record(0, "a")
            },
            "lies before 1970",
        ),
    ];
    for (record, why) in refused {
        let error = producer.send(record).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(cluster.state().requests, 0);

    // Neither does it cost any room.
    let largest = 100_000 - 97;
    let delivery = producer.send(record(0, "x".repeat(largest))).await.unwrap();
    soon(delivery).await.unwrap();
}

/// Puts everything where there is nothing.
#[derive(Debug)]
struct Astray;

impl Partitioner for Astray {
    fn partition(&self, _: &str, _: Option<&[u8]>, partitions: Partitions<'_>) -> i32 {
        partitions.all().iter().max().map_or(0, |last| last + 1)
    }
}

#[tokio::test]
async fn a_partitioner_of_ones_own_is_asked_and_not_trusted() {
    let cluster = Cluster::start(1, 2).await;
    let producer = producer(&cluster, |config| config.partitioner = Arc::new(Astray)).await;
    let error = producer
        .send(ProducerRecord::new("t", "a"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Partitioner { .. }), "{error}");
}

#[tokio::test]
async fn headers_fail_at_a_broker_that_has_no_place_for_them_and_nothing_else_does() {
    let cluster = Cluster::start(1, 1).await;
    let producer = producer(&cluster, |config| config.linger = PATIENCE).await;
    let plain = producer.send(record(0, "plain")).await.unwrap();
    let dressed = ProducerRecord {
        headers: vec![("hat".to_owned(), None)],
        ..record(0, "dressed")
    };
    let dressed = producer.send(dressed).await.unwrap();
    let error = soon(producer.flush()).await.unwrap_err();
    let Error::Undelivered { partitions, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(partitions.len(), 1);
    assert_eq!(partitions[0].1, 1);
    assert_eq!(soon(plain).await.unwrap().offset, Some(0));
    assert!(matches!(soon(dressed).await, Err(Error::Build { .. })));
    assert_eq!(cluster.log(0), ["plain"]);
}

#[tokio::test]
async fn a_flush_waits_for_what_came_before_it() {
    let cluster = Cluster::start(2, 3).await;
    let producer = producer(&cluster, |config| config.linger = PATIENCE * 2).await;
    for n in 0..30 {
        producer.send(record(n % 3, n.to_string())).await.unwrap();
    }
    assert_eq!(cluster.state().requests, 0, "everything lingers");
    soon(producer.flush()).await.unwrap();
    assert_eq!((0..3).map(|n| cluster.log(n).len()).sum::<usize>(), 30);
    soon(producer.flush()).await.unwrap();
}
