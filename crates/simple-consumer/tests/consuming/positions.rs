//! Where reading begins, goes on, and is kept back.

use std::collections::BTreeMap;

use divvy_simple_consumer::{Error, Event, SeekTo};

use crate::common::*;

#[tokio::test(start_paused = true)]
async fn resumes_at_the_stored_offset_without_a_word_about_it() {
    let setup = Setup::new(2);
    setup.fill(0, 5);
    setup.commit(0, 3).await;
    setup.commit(1, 0).await;
    let mut consumer = setup.consumer();
    let mut events = consumer.events();
    consumer.start().await.unwrap();
    let assigned = consumer.assignments();
    assert_eq!(
        all(&mut events),
        [Event::Assigned {
            partitions: assigned
        }]
    );
    assert_eq!(next(&mut consumer).await, (0, 3));
    assert_eq!(consumer.consumer_id(), "tester");
}

#[tokio::test(start_paused = true)]
async fn starts_where_it_is_told_whatever_is_stored() {
    let mut setup = Setup::new(2);
    setup.fill(0, 5);
    setup.fill(1, 5);
    setup.commit(0, 1).await;
    setup.commit(1, 2).await;
    setup.config.start_offsets.insert(tp(0), 4);
    let mut consumer = setup.started().await;
    let mut positions = vec![next(&mut consumer).await, next(&mut consumer).await];
    positions.sort_unstable();
    assert_eq!(positions, [(0, 4), (1, 2)]);
}

#[tokio::test(start_paused = true)]
async fn reads_only_the_partitions_that_it_is_given() {
    let mut setup = Setup::new(3);
    for partition in 0..3 {
        setup.fill(partition, 1);
    }
    setup.config.partitions = Some(vec![2, 1]);
    let mut consumer = setup.started().await;
    let mut read = vec![next(&mut consumer).await, next(&mut consumer).await];
    read.sort_unstable();
    assert_eq!(read, [(1, 0), (2, 0)]);
    assert_nothing(&mut consumer).await;
    assert!(matches!(
        consumer.position(&tp(0)),
        Err(Error::NotAssigned { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn seeks_to_offsets_ends_the_stored_one_and_times() {
    let setup = Setup::new(1);
    for time in [100, 200, 300, 400] {
        let value = Some(&b"x"[..]);
        setup
            .backend
            .append(&tp(0), Some(time), None, value)
            .unwrap();
    }
    setup.commit(0, 3).await;
    let mut consumer = setup.started().await;
    for (to, offset) in [
        (SeekTo::Beginning, 0),
        (SeekTo::Offset(2), 2),
        (SeekTo::Time(150), 1),
        (SeekTo::Time(200), 1),
        (SeekTo::Committed, 3),
        (SeekTo::Offset(1), 1),
    ] {
        consumer.seek(&tp(0), to).await.unwrap();
        assert_eq!(consumer.position(&tp(0)).unwrap(), offset, "{to:?}");
        assert_eq!(next(&mut consumer).await, (0, offset), "{to:?}");
    }
    consumer.seek(&tp(0), SeekTo::End).await.unwrap();
    assert_nothing(&mut consumer).await;
    setup.fill(0, 1);
    assert_eq!(next(&mut consumer).await, (0, 4));
}

#[tokio::test(start_paused = true)]
async fn a_seek_that_leads_nowhere_leaves_the_position_alone() {
    let setup = Setup::new(1);
    setup.backend.append(&tp(0), Some(100), None, None).unwrap();
    let mut consumer = setup.started().await;
    let error = consumer.seek(&tp(0), SeekTo::Time(101)).await.unwrap_err();
    assert!(
        matches!(&error, Error::NoMessageSince { tp: at, time: 101 } if *at == tp(0)),
        "{error}"
    );
    let error = consumer.seek(&tp(0), SeekTo::Committed).await.unwrap_err();
    assert!(
        matches!(error, Error::NoOffset { offset: None, .. }),
        "{error}"
    );
    let error = consumer.seek(&tp(0), SeekTo::Offset(-1)).await.unwrap_err();
    assert!(error.to_string().contains("negative"), "{error}");
    for to in [SeekTo::Offset(0), SeekTo::End] {
        let error = consumer.seek(&tp(5), to).await.unwrap_err();
        assert!(matches!(error, Error::NotAssigned { .. }), "{error}");
    }
    setup.store.set_down(true);
    let error = consumer.seek(&tp(0), SeekTo::Committed).await.unwrap_err();
    assert!(matches!(error, Error::Client(_)), "could not ask: {error}");
    assert_eq!(next(&mut consumer).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_seek_leaves_behind_what_was_handed_out() {
    let setup = Setup::explicit(1);
    setup.fill(0, 9);
    let mut consumer = setup.started().await;
    let old = soon(consumer.recv()).await.unwrap().into_owned();
    consumer.seek(&tp(0), SeekTo::Offset(6)).await.unwrap();
    assert_eq!(next(&mut consumer).await, (0, 6));
    assert!(!old.ack(), "its offset was left behind");
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(6));
    consumer.seek(&tp(0), SeekTo::Offset(2)).await.unwrap();
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(2), "also when it goes back");
}

#[tokio::test(start_paused = true)]
async fn paused_partitions_are_kept_back_and_lose_nothing() {
    let setup = Setup::new(2);
    setup.fill(0, 3);
    setup.fill(1, 3);
    let mut consumer = setup.started().await;
    assert_eq!(next(&mut consumer).await, (0, 0));
    consumer.pause(&[tp(0)]).unwrap();
    assert_eq!(Vec::from_iter(consumer.paused()), [tp(0)]);
    for offset in 0..3 {
        assert_eq!(next(&mut consumer).await, (1, offset));
    }
    assert_nothing(&mut consumer).await;
    assert!(consumer.get_many(9, SECOND).await.unwrap().is_empty());
    consumer.commit().await.unwrap();
    assert_eq!(setup.stored(0), Some(1));

    consumer.resume(&[tp(0)]).unwrap();
    assert!(consumer.paused().is_empty());
    assert_eq!(next(&mut consumer).await, (0, 1));
    assert_eq!(next(&mut consumer).await, (0, 2));
}

#[tokio::test(start_paused = true)]
async fn pausing_is_all_or_nothing() {
    let setup = Setup::new(1);
    let mut consumer = setup.started().await;
    let error = consumer.pause(&[tp(0), tp(9)]).unwrap_err();
    assert!(matches!(error, Error::NotAssigned { .. }), "{error}");
    assert!(consumer.paused().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_seek_moves_a_paused_partition_too() {
    let setup = Setup::new(1);
    setup.fill(0, 5);
    let mut consumer = setup.started().await;
    assert_eq!(next(&mut consumer).await, (0, 0));
    consumer.pause(&[tp(0)]).unwrap();
    consumer.seek(&tp(0), SeekTo::Offset(4)).await.unwrap();
    assert_nothing(&mut consumer).await;
    consumer.resume(&[tp(0)]).unwrap();
    assert_eq!(next(&mut consumer).await, (0, 4));
}

#[tokio::test(start_paused = true)]
async fn knows_its_position_and_how_far_behind_it_is() {
    let setup = Setup::new(1);
    setup.fill(0, 5);
    let mut consumer = setup.started().await;
    assert_eq!(consumer.position(&tp(0)).unwrap(), 0);
    assert_eq!(consumer.lag(&tp(0)).unwrap(), None, "not known yet");
    next(&mut consumer).await;
    next(&mut consumer).await;
    assert_eq!(consumer.position(&tp(0)).unwrap(), 2);
    assert_eq!(consumer.lag(&tp(0)).unwrap(), Some(3));
    let mut batch = soon(consumer.next_batch()).await.unwrap();
    yielded(&mut batch, 2);
    assert_eq!(consumer.position(&tp(0)).unwrap(), 4);
    next(&mut consumer).await;
    assert_nothing(&mut consumer).await;
    assert_eq!(consumer.position(&tp(0)).unwrap(), 5);
    assert_eq!(consumer.lag(&tp(0)).unwrap(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn looks_up_ends_and_times() {
    let setup = Setup::new(2);
    for time in [100, 200, 300] {
        setup
            .backend
            .append(&tp(0), Some(time), None, None)
            .unwrap();
    }
    setup.backend.truncate_before(&tp(0), 1);
    let consumer = setup.started().await;
    let both = [tp(0), tp(1)];
    let found = consumer.beginning_offsets(&both).await.unwrap();
    assert_eq!(found, BTreeMap::from([(tp(0), 1), (tp(1), 0)]));
    let found = consumer.end_offsets(&both).await.unwrap();
    assert_eq!(found, BTreeMap::from([(tp(0), 3), (tp(1), 0)]));
    let times = BTreeMap::from([(tp(0), 250), (tp(1), 250)]);
    let found = consumer.offsets_for_times(&times).await.unwrap();
    assert_eq!(found, BTreeMap::from([(tp(0), 2)]), "where there is one");
    assert!(consumer.end_offsets(&[tp(9)]).await.is_err());
}
