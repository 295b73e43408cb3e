//! What is finished, and what is committed of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use divvy_simple_consumer::{Error, Event, SeekTo};
use tokio::time::timeout;

use crate::common::*;

#[tokio::test(start_paused = true)]
async fn giving_a_batch_back_finishes_exactly_what_was_yielded() {
    let setup = Setup::new(1);
    setup.fill(0, 5);
    let mut consumer = setup.started().await;
    let mut batch = soon(consumer.next_batch()).await.unwrap();
    assert_eq!(yielded(&mut batch, 2), [0, 1]);
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(2));

    let mut batch = soon(consumer.next_batch()).await.unwrap();
    assert_eq!((batch.len(), yielded(&mut batch, 0)), (3, vec![]));
    let mut again = soon(consumer.next_batch()).await.unwrap();
    assert_eq!(
        yielded(&mut again, 1),
        [2],
        "what was not yielded comes again"
    );
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(3));
    let mut rest = soon(consumer.next_batch()).await.unwrap();
    assert_eq!(yielded(&mut rest, 9), [3, 4]);
    drop(consumer);

    assert_eq!(setup.stored(0), Some(3), "dropping commits nothing");
    let mut successor = setup.started().await;
    assert_eq!(next(&mut successor).await, (0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_finished_when_the_next_is_asked_for() {
    let setup = Setup::new(1);
    setup.fill(0, 3);
    let mut config = setup.config.clone();
    config.consumer.auto_commit_interval = Some(SECOND);
    let store = Arc::clone(&setup.store);
    let backend = Arc::new(setup.backend.clone());
    let mut consumer = over(backend, Some(store), config);
    consumer.start().await.unwrap();
    for offset in 0..3 {
        let message = soon(consumer.recv()).await.unwrap();
        assert_eq!(message.offset(), offset);
        // In hand for as long as the borrow lasts, whatever is committed in the background meanwhile.
        pass(5 * SECOND).await;
        assert_eq!(setup.stored(0).unwrap_or(0), offset);
    }
    assert_nothing(&mut consumer).await;
    assert_eq!(setup.stored(0), Some(3));
}

#[tokio::test(start_paused = true)]
async fn asking_for_more_finishes_before_there_is_more() {
    let mut setup = Setup::new(1);
    setup.config.consumer.auto_commit_interval = Some(SECOND);
    let mut consumer = setup.started().await;
    for round in 0..3 {
        setup.fill(0, 1);
        match round {
            0 => assert_eq!(
                yielded(&mut soon(consumer.next_batch()).await.unwrap(), 1),
                [0]
            ),
            1 => assert_eq!(soon(consumer.get_many(9, SECOND)).await.unwrap().len(), 1),
            _ => assert_eq!(next(&mut consumer).await, (0, 2)),
        }
        assert_eq!(setup.stored(0).unwrap_or(0), round);
        let waiting = match round {
            0 => timeout(5 * SECOND, consumer.next_batch()).await.is_err(),
            1 => consumer.get_many(9, 5 * SECOND).await.unwrap().is_empty(),
            _ => timeout(5 * SECOND, consumer.recv_from(&[tp(0)]))
                .await
                .is_err(),
        };
        assert!(waiting, "there is no more");
        assert_eq!(setup.stored(0), Some(round + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn committing_finishes_what_is_in_hand() {
    let setup = Setup::new(2);
    setup.fill(0, 3);
    setup.fill(1, 3);
    let mut consumer = setup.started().await;
    assert_eq!(soon(consumer.get_many(4, SECOND)).await.unwrap().len(), 4);
    consumer.commit().await.unwrap();
    assert_eq!((setup.stored(0), setup.stored(1)), (Some(3), Some(1)));
    let writes = setup.store.writes();
    consumer.commit().await.unwrap();
    assert_eq!(
        setup.store.writes(),
        writes,
        "what is stored is not stored again"
    );
}

#[tokio::test(start_paused = true)]
async fn what_outlives_the_call_holds_the_commit_back() {
    let setup = Setup::new(1);
    setup.fill(0, 6);
    let mut consumer = setup.started().await;
    assert_eq!(next(&mut consumer).await, (0, 0));
    let one = soon(consumer.recv()).await.unwrap().into_owned();
    let two = soon(consumer.recv()).await.unwrap().into_owned();
    assert_eq!(
        (one.offset, &one.tp, &one.value.as_deref()),
        (1, &tp(0), &Some(&b"0:1"[..]))
    );
    assert_eq!(next(&mut consumer).await, (0, 3));
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(1));
    assert!(two.ack());
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(1), "the one before is not finished");
    assert!(one.ack());
    assert!(!one.ack() && !two.clone().ack(), "it counts once");
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(4));

    let mut batch = soon(consumer.next_batch()).await.unwrap();
    let owned = batch.next_owned().unwrap();
    assert_eq!((owned.offset, yielded(&mut batch, 9)), (4, vec![5]));
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(4));
    owned.ack_through();
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(6));
}

#[tokio::test(start_paused = true)]
async fn in_explicit_mode_nothing_is_finished_without_its_acknowledgement() {
    let setup = Setup::explicit(1);
    setup.fill(0, 6);
    let mut consumer = setup.started().await;
    let first = soon(consumer.recv()).await.unwrap().into_owned();
    soon(consumer.recv()).await.unwrap();
    let third = soon(consumer.recv()).await.unwrap().into_owned();
    let mut batch = soon(consumer.next_batch()).await.unwrap();
    let acker = batch.acker();
    assert_eq!(yielded(&mut batch, 2), [3, 4]);
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(0));
    assert!(first.ack());
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(1));
    third.ack_through();
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(3));
    acker.ack_through(3);
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(4));
    acker.ack_through(100);
    consumer.commit().await.unwrap();
    assert_eq!(
        setup.stored(0),
        Some(5),
        "what was not handed out is not finished"
    );
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_counts_before_the_next_message_is_asked_for() {
    let mut setup = Setup::explicit(1);
    setup.config.consumer.auto_commit_interval = Some(SECOND);
    setup.fill(0, 3);
    let mut consumer = setup.started().await;
    let message = soon(consumer.recv()).await.unwrap().into_owned();
    message.ack();
    // The consumer itself is left alone: only its background commits.
    pass(3 * SECOND).await;
    assert_eq!(setup.stored(0), Some(1));
    let mut batch = soon(consumer.next_batch()).await.unwrap();
    let owned = batch.next_owned().unwrap();
    owned.ack();
    pass(3 * SECOND).await;
    assert_eq!(setup.stored(0), Some(2));
}

#[tokio::test(start_paused = true)]
async fn acknowledging_ahead_does_not_finish_what_is_borrowed() {
    let setup = Setup::new(1);
    setup.fill(0, 3);
    let mut config = setup.config.clone();
    config.consumer.auto_commit_interval = Some(SECOND);
    let store = Arc::clone(&setup.store);
    let mut consumer = over(Arc::new(setup.backend.clone()), Some(store), config);
    consumer.start().await.unwrap();
    let mut batch = soon(consumer.next_batch()).await.unwrap();
    assert_eq!(yielded(&mut batch, 1), [0]);
    assert!(batch.next_owned().unwrap().ack());
    pass(3 * SECOND).await;
    assert_eq!(setup.stored(0), Some(0), "offset 0 is still in hand");
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(2));
}

#[tokio::test(start_paused = true)]
async fn closing_commits_and_dropping_does_not() {
    let setup = Setup::new(2);
    setup.fill(0, 3);
    let mut consumer = setup.started().await;
    next(&mut consumer).await;
    next(&mut consumer).await;
    drop(consumer);
    assert_eq!(setup.stored(0), None);

    let mut consumer = setup.started().await;
    next(&mut consumer).await;
    next(&mut consumer).await;
    consumer.close().await.unwrap();
    assert_eq!(setup.stored(0), Some(2), "what is in hand is given back");
    assert_eq!(
        setup.stored(1),
        Some(0),
        "an idle partition stores its start"
    );

    let mut by_hand = Setup::new(1);
    by_hand.config.consumer.auto_commit_interval = None;
    by_hand.fill(0, 3);
    let mut consumer = by_hand.started().await;
    next(&mut consumer).await;
    consumer.close().await.unwrap();
    assert_eq!(
        by_hand.stored(0),
        None,
        "who commits by hand does so on closing too"
    );
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_acknowledgements_and_not_for_ever() {
    let setup = Setup::explicit(1);
    setup.fill(0, 2);
    let mut consumer = setup.started().await;
    let first = soon(consumer.recv()).await.unwrap().into_owned();
    let second = soon(consumer.recv()).await.unwrap().into_owned();
    let closing = tokio::spawn(consumer.close());
    tokio::task::yield_now().await;
    first.ack();
    tokio::task::yield_now().await;
    assert!(!closing.is_finished(), "one is outstanding");
    second.ack();
    closing.await.unwrap().unwrap();
    assert_eq!(setup.stored(0), Some(2));

    let setup = Setup::explicit(1);
    setup.commit(0, 2).await;
    setup.fill(0, 4);
    let mut consumer = setup.started().await;
    let first = soon(consumer.recv()).await.unwrap().into_owned();
    let before = tokio::time::Instant::now();
    consumer.close().await.unwrap();
    assert_eq!(before.elapsed(), setup.config.consumer.drain_timeout);
    assert_eq!(setup.stored(0), Some(2));
    assert!(!first.ack(), "too late to have an effect");
}

#[tokio::test(start_paused = true)]
async fn commits_regularly_in_the_background() {
    let mut setup = Setup::new(1);
    setup.config.consumer.auto_commit_interval = Some(5 * SECOND);
    setup.fill(0, 3);
    let mut consumer = setup.started().await;
    let mut events = consumer.events();
    next(&mut consumer).await;
    next(&mut consumer).await;
    assert_eq!(setup.stored(0), None);
    pass(6 * SECOND).await;
    assert_eq!(setup.stored(0), Some(1));
    let committed = Event::Committed {
        offsets: vec![(tp(0), 1)],
    };
    assert_eq!(all(&mut events), [committed]);
    pass(6 * SECOND).await;
    assert!(all(&mut events).is_empty(), "nothing new");
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_fails_is_reported_and_made_again() {
    let mut setup = Setup::new(3);
    setup.config.consumer.auto_commit_interval = Some(5 * SECOND);
    for partition in 0..3 {
        setup.fill(partition, 1);
    }
    let mut consumer = setup.started().await;
    for _ in 0..3 {
        next(&mut consumer).await;
    }
    setup.store.set_broken([1]);
    let error = consumer.commit().await.unwrap_err();
    assert!(error.is_retriable());
    let Error::Commit { failed } = &error else {
        panic!("{error}");
    };
    assert_eq!(failed.len(), 1);
    assert!(error.to_string().contains("t-1"), "{error}");
    assert_eq!((setup.stored(0), setup.stored(1)), (Some(1), None));

    let mut events = consumer.events();
    setup.store.set_down(true);
    pass(6 * SECOND).await;
    let failures = all(&mut events);
    assert!(
        matches!(&failures[..], [Event::Error { message }] if message.contains("t-1")),
        "{failures:?}"
    );
    setup.store.set_down(false);
    setup.store.set_broken([]);
    pass(6 * SECOND).await;
    assert_eq!(setup.stored(1), Some(1));
}

#[tokio::test(start_paused = true)]
async fn closing_says_what_could_not_be_committed() {
    let setup = Setup::new(3);
    setup.fill(2, 1);
    let mut consumer = setup.started().await;
    next(&mut consumer).await;
    setup.store.set_down(true);
    let mut handle = consumer.stream_handle(1);
    let error = consumer.close().await.unwrap_err();
    assert!(error.to_string().contains("t-2"), "{error}");
    let end = handle.recv().await.unwrap_err();
    assert!(
        matches!(end, Error::Closed),
        "everything is closed all the same"
    );
}

#[tokio::test(start_paused = true)]
async fn commits_what_it_is_told_to() {
    let setup = Setup::new(2);
    setup.fill(0, 9);
    let mut consumer = setup.started().await;
    consumer
        .commit_to(&BTreeMap::from([(tp(0), 7), (tp(1), 0)]))
        .await
        .unwrap();
    assert_eq!((setup.stored(0), setup.stored(1)), (Some(7), Some(0)));
    let committed = consumer.committed(&[tp(0), tp(1)]).await.unwrap();
    assert_eq!(committed[&tp(0)].as_ref().map(|c| c.offset), Some(7));
    assert_eq!(consumer.position(&tp(0)).unwrap(), 0, "the position stays");
    let elsewhere = BTreeMap::from([(tp(0), 8), (tp(9), 3)]);
    let error = consumer.commit_to(&elsewhere).await.unwrap_err();
    assert!(matches!(&error, Error::NotAssigned { tp: at } if *at == tp(9)));
    assert_eq!(setup.stored(0), Some(7), "all or none");
}

#[tokio::test(start_paused = true)]
async fn without_a_group_nothing_is_stored() {
    let setup = Setup::new(1);
    setup.fill(0, 2);
    let mut consumer = over(Arc::new(setup.backend.clone()), None, setup.config.clone());
    consumer.start().await.unwrap();
    next(&mut consumer).await;
    for error in [
        consumer.commit().await.unwrap_err(),
        consumer.commit_to(&BTreeMap::new()).await.unwrap_err(),
        consumer.committed(&[tp(0)]).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::NoGroup), "{error}");
    }
    consumer.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_borrowed_message_is_acknowledged_through_its_acker() {
    let setup = Setup::explicit(1);
    setup.fill(0, 3);
    let mut consumer = setup.started().await;
    let mut ackers = Vec::new();
    for _ in 0..3 {
        let message = soon(consumer.recv()).await.unwrap();
        ackers.push((message.acker(), message.offset()));
    }
    let [first, second, third] = &ackers[..] else {
        panic!("{ackers:?}");
    };
    assert!(second.0.ack(second.1));
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0).unwrap_or(0), 0, "the first is outstanding");
    assert!(first.0.ack(first.1));
    assert!(!first.0.ack(first.1), "an acknowledgement counts once");
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(2));

    let beginning = SeekTo::Beginning;
    consumer.seek(&tp(0), beginning).await.unwrap();
    assert!(!third.0.is_current() && !third.0.ack(third.1), "stale");
}
