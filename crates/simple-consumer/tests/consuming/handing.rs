//! Handing out: batches, single messages, several at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use divvy_protocol::compression::Compression;
use divvy_simple_consumer::{Error, SimpleConsumerConfig};
use futures_util::FutureExt;

use crate::common::*;
use crate::unpacking::push_large;

#[tokio::test(start_paused = true)]
async fn a_batch_holds_what_came_together_in_order() {
    let setup = Setup::new(1);
    setup.fill(0, 5);
    let mut consumer = setup.started().await;
    let mut batch = soon(consumer.next_batch()).await.unwrap();
    assert_eq!((batch.partition(), batch.high_watermark()), (&tp(0), 5));
    assert_eq!((batch.len(), batch.is_empty()), (5, false));
    let record = batch.next_record().unwrap();
    assert_eq!((record.offset, record.value), (0, Some(&b"0:0"[..])));
    assert_eq!(batch.records().size_hint(), (4, Some(4)));
    assert_eq!(yielded(&mut batch, 10), [1, 2, 3, 4]);
    assert!(batch.is_empty() && batch.next_record().is_none());
}

#[tokio::test(start_paused = true)]
async fn none_of_eight_full_partitions_gets_a_second_turn_before_all_had_one() {
    // Two messages of half a kilobyte are half a share.
    let setup = Setup::with_budget(8, 8 * 2200);
    for partition in 0..8 {
        setup.fill_padded(partition, 30, 500);
    }
    let mut consumer = setup.started().await;
    let mut turns = Vec::new();
    for _ in 0..8 * 15 {
        let mut batch = soon(consumer.next_batch()).await.unwrap();
        assert_eq!(yielded(&mut batch, 10).len(), 2);
        turns.push(batch.partition().partition);
    }
    for round in turns.chunks(8) {
        let mut round = round.to_vec();
        round.sort_unstable();
        assert_eq!(round, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hot_partition_does_not_starve_the_others() {
    let setup = Setup::with_budget(2, 4 << 10);
    setup.fill_padded(0, 100, 500);
    let mut consumer = setup.started().await;
    for _ in 0..10 {
        next(&mut consumer).await;
    }
    setup.fill(1, 1);
    let mut until_cold = 0;
    while next(&mut consumer).await.0 == 0 {
        until_cold += 1;
    }
    assert!(until_cold <= 6, "{until_cold} messages later");
}

#[tokio::test(start_paused = true)]
async fn waits_for_messages_that_are_not_there_yet() {
    let setup = Setup::new(2);
    let mut consumer = setup.started().await;
    assert_nothing(&mut consumer).await;
    let waiting = tokio::spawn(async move { next(&mut consumer).await });
    tokio::task::yield_now().await;
    setup.fill(1, 1);
    assert_eq!(soon(waiting).await.unwrap(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn receives_from_some_partitions_while_the_others_keep_theirs() {
    let setup = Setup::new(3);
    for partition in 0..3 {
        setup.fill(partition, 3);
    }
    let mut consumer = setup.started().await;
    assert_eq!(next(&mut consumer).await, (0, 0));
    for offset in 0..3 {
        let message = soon(consumer.recv_from(&[tp(2)])).await.unwrap();
        assert_eq!((message.partition(), message.offset()), (&tp(2), offset));
        assert_eq!((message.topic(), message.key()), (TOPIC, Some(&b""[..])));
    }
    assert!(consumer.recv_from(&[tp(2)]).now_or_never().is_none());
    let mut rest = Vec::new();
    for _ in 0..5 {
        rest.push(next(&mut consumer).await);
    }
    rest.sort_unstable();
    assert_eq!(rest, [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
}

#[tokio::test(start_paused = true)]
async fn gets_many_of_several_partitions_and_no_more_than_asked_for() {
    let setup = Setup::new(3);
    for partition in 0..3 {
        setup.fill(partition, 4);
    }
    let mut consumer = setup.started().await;
    let mut got = Vec::new();
    for expected in [5, 5, 2] {
        let messages = soon(consumer.get_many(5, SECOND)).await.unwrap();
        assert_eq!(messages.len(), expected);
        got.extend(
            messages
                .iter()
                .map(|m| (m.partition().partition, m.offset())),
        );
    }
    got.sort_unstable();
    let all: Vec<_> = (0..3).flat_map(|p| (0..4).map(move |o| (p, o))).collect();
    assert_eq!(got, all);

    let before = tokio::time::Instant::now();
    assert!(consumer.get_many(5, SECOND).await.unwrap().is_empty());
    assert_eq!(before.elapsed().as_secs(), 1);
    assert!(consumer.get_many(0, SECOND).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_receive_loses_and_finishes_nothing() {
    let backend = Scripted::new(1);
    let mut consumer = backend.consumer().await;
    // Cancelled while it waits, and again and again while a chunk is being unpacked.
    assert!(consumer.recv().now_or_never().is_none());
    push_large(&backend, 0, 0);
    backend.push_values(0, 2, &[b"small"], Compression::None);
    // Unpacking it takes longer than one look, as a rule.
    let early = consumer.recv().now_or_never();
    let first = early.map_or(0, |message| message.unwrap().offset() + 1);
    let batch = consumer.next_batch().now_or_never();
    assert!(batch.is_none_or(|batch| batch.is_ok()));
    assert_eq!(consumer.position(&tp(0)).unwrap(), first);
    for offset in first..3 {
        assert_eq!(next(&mut consumer).await, (0, offset));
    }
}

#[tokio::test(start_paused = true)]
async fn a_receive_in_time_gives_up_without_a_loss() {
    let setup = Setup::new(1);
    let mut consumer = setup.started().await;
    let before = tokio::time::Instant::now();
    assert!(consumer.recv_timeout(3 * SECOND).await.unwrap().is_none());
    assert_eq!(before.elapsed().as_secs(), 3);
    setup.fill(0, 1);
    let message = consumer.recv_timeout(3 * SECOND).await.unwrap().unwrap();
    assert_eq!(message.offset(), 0);
    drop(consumer);
    assert_eq!(setup.stored(0), None);
}

#[tokio::test(start_paused = true)]
async fn reading_what_is_there_lets_other_tasks_run() {
    let setup = Setup::new(1);
    setup.fill(0, 5000);
    let mut consumer = setup.started().await;
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    next(&mut consumer).await;
    let before = turns.load(Ordering::Relaxed);
    for _ in 1..5000 {
        next(&mut consumer).await;
    }
    let during = turns.load(Ordering::Relaxed) - before;
    assert!(during >= 20, "the other task ran {during} times");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_received_before_the_start_and_after_the_end() {
    let setup = Setup::new(1);
    let mut consumer = setup.consumer();
    let error = consumer.recv().await.unwrap_err();
    assert!(matches!(error, Error::NotStarted), "{error}");
    assert!(consumer.next_batch().await.is_err() && consumer.stream().is_err());
    consumer.start().await.unwrap();
    consumer.start().await.unwrap();
    assert_eq!(
        consumer.assignments().len(),
        1,
        "a second start changes nothing"
    );
    let mut handle = consumer.stream_handle(1);
    let waiting = tokio::spawn(async move { handle.recv().await.map(|message| message.offset()) });
    tokio::task::yield_now().await;
    consumer.close().await.unwrap();
    let end = soon(waiting).await.unwrap();
    assert!(matches!(end, Err(Error::Closed)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_was_never_started_closes() {
    let setup = Setup::new(1);
    setup.consumer().close().await.unwrap();
    assert_eq!(setup.store.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn says_what_does_not_exist() {
    let setup = Setup::new(2);
    for (topics, partitions, named) in [
        (vec!["nowhere"], None, "`nowhere`"),
        (vec![TOPIC], Some(vec![0, 7]), "t-7"),
    ] {
        let mut config = SimpleConsumerConfig::new(topics);
        config.partitions = partitions;
        let mut consumer = over(Arc::new(setup.backend.clone()), None, config);
        let error = consumer.start().await.unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
        assert!(consumer.assignments().is_empty());
    }
}
