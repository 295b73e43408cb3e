//! Damaged messages, gaps, and messages without keys or values.

use divvy_client::{Chunk, FetchError};
use divvy_protocol::compression::Compression;
use divvy_simple_consumer::{Error, Event, SeekTo, SimpleConsumerConfig};

use crate::common::*;

#[tokio::test(start_paused = true)]
async fn damage_is_one_error_behind_what_is_whole_and_stops_one_partition() {
    let setup = Setup::new(2);
    setup.fill(0, 5);
    setup.fill(1, 2);
    setup.backend.corrupt(&tp(0), 3);
    let mut consumer = setup.started().await;
    let mut events = consumer.events();
    let (mut read, mut errors) = (Vec::new(), Vec::new());
    while let Some(next) = consumer.recv_timeout(SECOND).await.transpose() {
        match next {
            Ok(message) => read.push((message.partition().partition, message.offset())),
            Err(error) => errors.push(error),
        }
    }
    read.sort_unstable();
    assert_eq!(read, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]);
    let [
        Error::Fetch(FetchError::Corrupt {
            tp: at,
            offset: 3,
            skip_to: 4,
            ..
        }),
    ] = &errors[..]
    else {
        panic!("{errors:?}");
    };
    assert_eq!(*at, tp(0));
    let text = errors[0].to_string();
    assert!(text.contains("t-0") && text.contains("offset 3"), "{text}");
    let reported = all(&mut events);
    let corrupt = |event: &&Event| matches!(event, Event::Corrupt { offset: 3, .. });
    assert_eq!(reported.iter().filter(corrupt).count(), 1, "{reported:?}");
    assert_eq!(consumer.position(&tp(0)).unwrap(), 3);

    setup.fill(0, 1);
    setup.fill(1, 1);
    assert_eq!(next(&mut consumer).await, (1, 2), "the other goes on");
    assert_nothing(&mut consumer).await;
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(3));

    consumer.seek(&tp(0), SeekTo::Offset(4)).await.unwrap();
    assert_eq!(next(&mut consumer).await, (0, 4));
    assert_eq!(next(&mut consumer).await, (0, 5));
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(6));
}

#[tokio::test(start_paused = true)]
async fn damage_reaches_every_way_of_receiving() {
    let setup = Setup::new(2);
    setup.fill(0, 2);
    setup.backend.corrupt(&tp(0), 1);
    let mut consumer = setup.started().await;
    let messages = soon(consumer.get_many(9, SECOND)).await.unwrap();
    assert_eq!(messages.len(), 1);
    setup.fill(1, 1);
    let other = soon(consumer.recv_from(&[tp(1)])).await;
    assert_eq!(other.unwrap().offset(), 0, "who asks for another partition");
    assert!(soon(consumer.get_many(9, SECOND)).await.is_err());
    for _ in 0..2 {
        consumer.seek(&tp(0), SeekTo::Offset(1)).await.unwrap();
        let error = soon(consumer.next_batch()).await.unwrap_err();
        assert!(error.to_string().contains("offset 1"), "{error}");
        consumer.seek(&tp(0), SeekTo::Offset(1)).await.unwrap();
        assert!(soon(consumer.recv_from(&[tp(0)])).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn checksums_need_not_be_looked_at() {
    let mut setup = Setup::new(1);
    setup.config.consumer.check_crcs = false;
    setup.fill(0, 2);
    setup.backend.corrupt(&tp(0), 1);
    let mut consumer = setup.started().await;
    assert_eq!(next(&mut consumer).await, (0, 0));
    let message = soon(consumer.recv()).await.unwrap();
    assert_eq!(message.value(), Some(&b"0:0"[..]), "one bit is flipped");
}

fn damaged(first_offset: i64) -> Chunk {
    let mut bytes = record_set(first_offset, &[b"a", b"b"], Compression::None).to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    Chunk::new(tp(0), first_offset, first_offset + 2, 1000, bytes.into())
}

#[tokio::test(start_paused = true)]
async fn damage_on_the_way_is_fetched_again_and_nobody_hears_of_it() {
    let backend = Scripted::new(1);
    let mut consumer = backend.consumer().await;
    let mut events = consumer.events();
    backend.push_values(0, 0, &[b"whole"], Compression::None);
    backend.push(0, Ok(damaged(1)));
    assert_eq!(next(&mut consumer).await, (0, 0));
    assert_nothing(&mut consumer).await;
    assert_eq!(backend.starts(0), [0, 1]);
    backend.push(0, Ok(damaged(1)));
    assert_nothing(&mut consumer).await;
    backend.push_values(0, 1, &[b"a", b"b"], Compression::None);
    assert_eq!(next(&mut consumer).await, (0, 1));
    assert_eq!(next(&mut consumer).await, (0, 2));
    assert!(all(&mut events).is_empty());

    backend.push(0, Ok(damaged(3)));
    assert_nothing(&mut consumer).await;
    backend.push(0, Ok(damaged(3)));
    assert_nothing(&mut consumer).await;
    backend.push(0, Ok(damaged(3)));
    let error = soon(consumer.recv()).await.unwrap_err();
    assert!(error.to_string().contains("offset 3"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_the_backend_cannot_fetch_is_one_error() {
    let backend = Scripted::new(2);
    let mut consumer = backend.consumer().await;
    let mut events = consumer.events();
    backend.push_values(0, 0, &[b"a"], Compression::None);
    let too_large = FetchError::MessageTooLarge {
        tp: tp(0),
        offset: 1,
        size: 99,
        limit: 50,
    };
    backend.push(0, Err(too_large.clone()));
    backend.push_values(1, 0, &[b"b"], Compression::None);
    let mut got = vec![next(&mut consumer).await, next(&mut consumer).await];
    got.sort_unstable();
    assert_eq!(got, [(0, 0), (1, 0)]);
    let error = soon(consumer.recv()).await.unwrap_err();
    assert!(matches!(&error, Error::Fetch(found) if *found == too_large));
    assert!(!error.is_retriable());
    assert_nothing(&mut consumer).await;

    // Damage that the backend has seen is reported like any other.
    consumer.seek(&tp(0), SeekTo::Offset(2)).await.unwrap();
    let corrupt = FetchError::Corrupt {
        tp: tp(0),
        offset: 2,
        skip_to: 3,
        why: "torn".to_owned(),
    };
    backend.push(0, Err(corrupt));
    assert!(soon(consumer.recv()).await.is_err());
    let too_large = Event::Error {
        message: too_large.to_string(),
    };
    let expected = Event::Corrupt {
        tp: tp(0),
        offset: 2,
        why: "torn".to_owned(),
    };
    assert_eq!(all(&mut events), [too_large, expected]);
}

#[tokio::test(start_paused = true)]
async fn gaps_that_compaction_left_are_no_loss() {
    let setup = Setup::new(1);
    setup.fill(0, 2);
    setup.backend.skip(&tp(0), 5);
    setup.fill(0, 2);
    setup.backend.skip(&tp(0), 3);
    let mut consumer = setup.started().await;
    let mut batch = soon(consumer.next_batch()).await.unwrap();
    assert_eq!(yielded(&mut batch, 9), [0, 1, 7, 8]);
    setup.fill(0, 1);
    assert_eq!(next(&mut consumer).await, (0, 12));
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(13));
    consumer.seek(&tp(0), SeekTo::Offset(4)).await.unwrap();
    assert_eq!(next(&mut consumer).await, (0, 7));
}

#[tokio::test(start_paused = true)]
async fn what_compaction_took_from_the_end_of_a_batch_is_finished_with_it() {
    let backend = Scripted::new(1);
    let mut config = SimpleConsumerConfig::new([TOPIC]);
    config.consumer.check_crcs = false;
    let mut consumer = backend.consumer_with(config).await;
    let push = |first_offset: i64| {
        let mut bytes = record_set(first_offset, &[b"a", b"b"], Compression::None).to_vec();
        // The delta of the last offset, which compaction keeps.
        bytes[23..27].copy_from_slice(&9_i32.to_be_bytes());
        let chunk = Chunk::new(tp(0), first_offset, first_offset + 10, 1000, bytes.into());
        backend.push(0, Ok(chunk));
    };
    push(0);
    assert_eq!(next(&mut consumer).await, (0, 0));
    assert_eq!(next(&mut consumer).await, (0, 1));
    assert_nothing(&mut consumer).await;
    assert_eq!(consumer.position(&tp(0)).unwrap(), 10);
    push(10);
    let mut batch = soon(consumer.next_batch()).await.unwrap();
    assert_eq!(yielded(&mut batch, 9), [10, 11]);
    assert_eq!(consumer.position(&tp(0)).unwrap(), 20);
}

#[tokio::test(start_paused = true)]
async fn no_key_is_something_else_than_an_empty_one() {
    let setup = Setup::explicit(1);
    let parts = [
        (None, None),
        (Some(&b""[..]), Some(&b""[..])),
        (None, Some(&b""[..])),
        (Some(&b""[..]), None),
        (Some(&b"k"[..]), Some(&b"v"[..])),
    ];
    for (key, value) in parts {
        setup.backend.append(&tp(0), Some(5), key, value).unwrap();
    }
    let mut consumer = setup.started().await;
    for (key, value) in parts {
        let message = soon(consumer.recv()).await.unwrap();
        assert_eq!((message.key(), message.value()), (key, value));
        assert_eq!(
            (message.timestamp(), message.record().headers.len()),
            (Some(5), 0)
        );
        let owned = message.into_owned();
        assert_eq!((owned.key.as_deref(), owned.value.as_deref()), (key, value));
        assert_eq!((owned.timestamp, owned.headers.len()), (Some(5), 0));
    }
    consumer.seek(&tp(0), SeekTo::Beginning).await.unwrap();
    let mut batch = soon(consumer.next_batch()).await.unwrap();
    let records: Vec<_> = batch.records().map(|r| (r.key, r.value)).collect();
    assert_eq!(records, parts);
}
