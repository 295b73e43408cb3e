//! Streams, and lines of messages for several tasks.

use divvy_simple_consumer::{Error, Handle};
use futures_util::{FutureExt, StreamExt};

use crate::common::*;

async fn offset(handle: &mut Handle) -> i64 {
    soon(handle.recv()).await.unwrap().offset()
}

#[tokio::test(start_paused = true)]
async fn streams_need_explicit_acknowledgements() {
    let setup = Setup::new(1);
    let mut consumer = setup.started().await;
    let refusals = [
        consumer.stream().err(),
        consumer.stream_until_idle(SECOND).err(),
        consumer.partition_streams().err(),
        consumer.stream_handle(0).into_stream().err(),
    ];
    for refusal in refusals {
        let error = refusal.expect("a refusal").to_string();
        assert!(error.contains("ack_mode"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_gives_messages_that_are_finished_by_acknowledgement() {
    let setup = Setup::explicit(1);
    setup.fill(0, 3);
    let mut consumer = setup.started().await;
    let mut kept = Vec::new();
    {
        let stream = consumer.stream().unwrap();
        tokio::pin!(stream);
        for offset in 0..3 {
            let message = soon(stream.next()).await.unwrap().unwrap();
            assert_eq!(message.offset, offset);
            kept.push(message);
        }
        assert!(stream.next().now_or_never().is_none(), "it waits for more");
    }
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(0));
    assert!(kept[0].ack() && kept[1].ack());
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_stream_until_idle_ends_after_that_time() {
    let setup = Setup::explicit(2);
    setup.fill(0, 2);
    let mut consumer = setup.started().await;
    for round in 0..2 {
        let before = tokio::time::Instant::now();
        let messages: Vec<_> = {
            let stream = consumer.stream_until_idle(3 * SECOND).unwrap();
            soon(stream.collect()).await
        };
        assert_eq!(before.elapsed().as_secs(), 3);
        assert_eq!(messages.len(), 2, "round {round}");
        assert!(messages.iter().all(Result::is_ok));
        setup.fill(1, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn each_partition_can_have_a_handle_of_its_own() {
    let setup = Setup::new(2);
    setup.fill(0, 3);
    setup.fill(1, 3);
    let mut consumer = setup.started().await;
    let handles = consumer.partition_handles().unwrap();
    assert_nothing(&mut consumer).await;
    let tasks = handles.into_iter().map(|(tp, mut handle)| {
        tokio::spawn(async move {
            for expected in 0..3 {
                let message = soon(handle.recv()).await.unwrap();
                assert_eq!((message.partition(), message.offset()), (&tp, expected));
            }
            handle.give_back();
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    consumer.commit().await.unwrap();
    assert_eq!((setup.stored(0), setup.stored(1)), (Some(3), Some(3)));
}

#[tokio::test(start_paused = true)]
async fn a_handle_goes_on_where_the_consumer_stopped() {
    let setup = Setup::new(1);
    setup.fill(0, 6);
    let mut consumer = setup.started().await;
    // One message of a batch that holds them all.
    assert_eq!(next(&mut consumer).await, (0, 0));
    let mut handles = consumer.partition_handles().unwrap();
    let handle = handles.get_mut(&tp(0)).unwrap();
    assert_eq!(offset(handle).await, 1);
    assert_nothing(&mut consumer).await;
    assert_eq!(offset(handle).await, 2);
    handle.give_back();
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(3));
}

#[tokio::test(start_paused = true)]
async fn what_a_dropped_handle_had_not_handed_out_comes_again() {
    let setup = Setup::new(1);
    setup.fill(0, 6);
    let mut consumer = setup.started().await;
    let mut first = consumer.partition_handles().unwrap();
    let handle = first.get_mut(&tp(0)).unwrap();
    assert_eq!(offset(handle).await, 0);
    assert_eq!(offset(handle).await, 1);
    drop(first);
    // Offset 1 was in hand and was never given back.
    let mut second = consumer.partition_handles().unwrap();
    let handle = second.get_mut(&tp(0)).unwrap();
    for expected in 1..6 {
        assert_eq!(offset(handle).await, expected);
    }
    handle.give_back();
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(6));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handle_leaves_its_messages_to_another_of_the_same_stream() {
    let setup = Setup::new(1);
    setup.fill(0, 4);
    let consumer = setup.started().await;
    let mut handle = consumer.stream_handle(0);
    assert_eq!(offset(&mut handle).await, 0);
    drop(handle);
    let mut handle = consumer.stream_handle(0);
    assert_eq!(offset(&mut handle).await, 0);
    assert_eq!(offset(&mut handle).await, 1);
}

#[tokio::test(start_paused = true)]
async fn new_handles_take_over_from_old_ones() {
    let setup = Setup::new(1);
    setup.fill(0, 4);
    let mut consumer = setup.started().await;
    let mut old = consumer.partition_handles().unwrap();
    let old = old.get_mut(&tp(0)).unwrap();
    assert_eq!(offset(old).await, 0);
    old.give_back();
    let mut new = consumer.partition_handles().unwrap();
    let new = new.get_mut(&tp(0)).unwrap();
    assert_eq!(offset(new).await, 1);
    assert!(old.recv().now_or_never().is_none(), "or order were lost");
    assert_eq!(offset(new).await, 2);
}

#[tokio::test(start_paused = true)]
async fn partition_streams_end_when_the_consumer_is_closed() {
    let setup = Setup::explicit(2);
    setup.fill(0, 2);
    setup.fill(1, 1);
    let mut consumer = setup.started().await;
    let streams = consumer.partition_streams().unwrap();
    let tasks: Vec<_> = streams
        .into_iter()
        .map(|(tp, stream)| {
            tokio::spawn(async move {
                let seen = stream.map(|message| {
                    let message = message.unwrap();
                    assert!(message.ack());
                    message.offset
                });
                (tp, seen.collect::<Vec<_>>().await)
            })
        })
        .collect();
    pass(SECOND).await;
    consumer.close().await.unwrap();
    let mut seen = Vec::new();
    for task in tasks {
        seen.push(soon(task).await.unwrap());
    }
    assert_eq!(seen, [(tp(0), vec![0, 1]), (tp(1), vec![0])]);
    assert_eq!((setup.stored(0), setup.stored(1)), (Some(2), Some(1)));
}

#[tokio::test(start_paused = true)]
async fn what_an_abandoned_stream_had_acknowledged_is_finished() {
    let setup = Setup::explicit(1);
    setup.fill(0, 3);
    let mut consumer = setup.started().await;
    let mut streams = consumer.partition_streams().unwrap();
    let stream = streams.remove(&tp(0)).unwrap();
    let first = {
        tokio::pin!(stream);
        soon(stream.next()).await.unwrap().unwrap()
    };
    assert!(first.ack());
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_handle_knows_the_end() {
    let setup = Setup::new(1);
    let mut consumer = setup.started().await;
    let mut handles = consumer.partition_handles().unwrap();
    let mut handle = handles.remove(&tp(0)).unwrap();
    let waiting = tokio::spawn(async move { handle.next_batch().await.map(|batch| batch.len()) });
    pass(SECOND).await;
    consumer.close().await.unwrap();
    assert!(matches!(soon(waiting).await.unwrap(), Err(Error::Closed)));
}
