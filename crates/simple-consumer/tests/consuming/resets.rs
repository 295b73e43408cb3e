//! The reset policy: never by silence, and never because somebody could not be asked.

use divvy_client::FetchError;
use divvy_simple_consumer::{
    Error, Event, OffsetReset, ResetReason, SeekTo, SimpleConsumer, SimpleConsumerConfig,
};
use futures_util::FutureExt;
use tokio::sync::broadcast;

use crate::common::*;

fn resets(events: &mut broadcast::Receiver<Event>) -> Vec<Event> {
    let mut events = all(events);
    events.retain(|event| matches!(event, Event::Reset { .. }));
    events
}

fn reset(partition: i32, from: Option<i64>, to: i64, reason: ResetReason) -> Event {
    Event::Reset {
        tp: tp(partition),
        from,
        to,
        reason,
    }
}

/// A log that holds the offsets 3 to 6.
fn kept_3_to_6(policy: OffsetReset) -> Setup {
    let mut setup = Setup::new(1);
    setup.fill(0, 7);
    setup.backend.truncate_before(&tp(0), 3);
    setup.config.consumer.auto_offset_reset = policy;
    setup
}

async fn watched(setup: &Setup) -> (SimpleConsumer, broadcast::Receiver<Event>) {
    let mut consumer = setup.consumer();
    let events = consumer.events();
    consumer.start().await.unwrap();
    (consumer, events)
}

#[tokio::test(start_paused = true)]
async fn without_a_stored_offset_the_policy_says_where_to_begin() {
    for (policy, to) in [(OffsetReset::Earliest, 3), (OffsetReset::Latest, 7)] {
        let setup = kept_3_to_6(policy);
        let (mut consumer, mut events) = watched(&setup).await;
        let expected = reset(0, None, to, ResetReason::NoStoredOffset);
        assert_eq!(resets(&mut events), [expected]);
        setup.fill(0, 1);
        assert_eq!(next(&mut consumer).await, (0, to));
        consumer.close().await.unwrap();
        assert_eq!(setup.stored(0), Some(to + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_stored_offset_it_may_be_an_error() {
    let setup = kept_3_to_6(OffsetReset::Error);
    let mut consumer = setup.consumer();
    let error = consumer.start().await.unwrap_err();
    assert!(
        matches!(&error, Error::NoOffset { tp: at, offset: None } if *at == tp(0)),
        "{error}"
    );
    setup.commit(0, 4).await;
    consumer.start().await.unwrap();
    assert_eq!(next(&mut consumer).await, (0, 4));
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_asked_is_no_reason_to_reset() {
    for partly in [false, true] {
        let setup = kept_3_to_6(OffsetReset::Earliest);
        setup.commit(0, 5).await;
        setup.store.set_down(!partly);
        setup.store.set_broken(partly.then_some(0));
        let mut consumer = setup.consumer();
        let mut events = consumer.events();
        let error = consumer.start().await.unwrap_err();
        assert!(matches!(error, Error::Client(_)) && error.is_retriable());
        assert!(all(&mut events).is_empty() && consumer.assignments().is_empty());
        setup.store.set_down(false);
        setup.store.set_broken([]);
        consumer.start().await.unwrap();
        assert_eq!(next(&mut consumer).await, (0, 5));
        assert!(resets(&mut events).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_position_below_the_log_goes_where_the_policy_says() {
    for (policy, to) in [(OffsetReset::Earliest, 3), (OffsetReset::Latest, 7)] {
        let setup = kept_3_to_6(policy);
        setup.commit(0, 1).await;
        let (mut consumer, mut events) = watched(&setup).await;
        assert!(consumer.recv_timeout(SECOND).await.unwrap().is_none() || to == 3);
        setup.fill(0, 1);
        let expected = reset(0, Some(1), to, ResetReason::BelowLogStart);
        assert_eq!(resets(&mut events), [expected]);
        if to == 7 {
            assert_eq!(next(&mut consumer).await, (0, 7));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_position_above_the_log_goes_to_its_end() {
    for policy in [OffsetReset::Earliest, OffsetReset::Latest] {
        let setup = kept_3_to_6(policy);
        setup.commit(0, 100).await;
        let (mut consumer, mut events) = watched(&setup).await;
        assert_nothing(&mut consumer).await;
        let expected = reset(0, Some(100), 7, ResetReason::AboveLogEnd);
        assert_eq!(resets(&mut events), [expected]);
        setup.fill(0, 1);
        assert_eq!(next(&mut consumer).await, (0, 7));
    }
}

#[tokio::test(start_paused = true)]
async fn a_position_out_of_range_is_one_error_where_the_policy_forbids_to_move() {
    for stored in [1, 100] {
        let setup = kept_3_to_6(OffsetReset::Error);
        setup.commit(0, stored).await;
        let (mut consumer, mut events) = watched(&setup).await;
        let error = soon(consumer.recv()).await.unwrap_err();
        assert!(
            matches!(&error, Error::NoOffset { tp: at, offset: Some(offset) }
                if *at == tp(0) && *offset == stored),
            "{error}"
        );
        assert_nothing(&mut consumer).await;
        assert!(resets(&mut events).is_empty());
        consumer.seek(&tp(0), SeekTo::Beginning).await.unwrap();
        assert_eq!(next(&mut consumer).await, (0, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_is_not_lost_behind_messages_of_others() {
    let mut setup = Setup::new(2);
    setup.config.consumer.auto_offset_reset = OffsetReset::Error;
    setup.fill(0, 1);
    setup.commit(0, 0).await;
    setup.commit(1, 77).await;
    let mut consumer = setup.started().await;
    let messages = soon(consumer.get_many(10, SECOND)).await.unwrap();
    assert_eq!(messages.len(), 1);
    let others = consumer.recv_from(&[tp(0)]).now_or_never();
    assert!(others.is_none(), "it is no concern of who asks for others");
    let error = soon(consumer.get_many(10, SECOND)).await.unwrap_err();
    assert!(
        matches!(&error, Error::NoOffset { tp: at, offset: Some(77) } if *at == tp(1)),
        "{error}"
    );
    assert!(consumer.get_many(10, SECOND).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn retention_that_overtakes_a_consumer_is_reported() {
    // Room for one message at a time.
    let mut setup = Setup::with_budget(1, 1200);
    setup.config.consumer.auto_offset_reset = OffsetReset::Earliest;
    setup.fill_padded(0, 10, 1000);
    let (mut consumer, mut events) = watched(&setup).await;
    assert_eq!(next(&mut consumer).await, (0, 0));
    setup.backend.truncate_before(&tp(0), 8);
    let mut read = Vec::new();
    while read.last() != Some(&(0, 9)) {
        read.push(next(&mut consumer).await);
    }
    // What was fetched already still comes, and then what the log still holds.
    assert_eq!(read[read.len() - 2..], [(0, 8), (0, 9)]);
    let resets = resets(&mut events);
    let Some(Event::Reset {
        from: Some(from),
        to: 8,
        reason: ResetReason::BelowLogStart,
        ..
    }) = resets.last()
    else {
        panic!("{resets:?}");
    };
    assert!((1..8).contains(from), "{resets:?}");
}

#[tokio::test(start_paused = true)]
async fn ends_that_cannot_be_looked_up_are_asked_for_again() {
    let backend = Scripted::new(1);
    let mut config = SimpleConsumerConfig::new([TOPIC]);
    config.start_offsets.insert(tp(0), 50);
    config.consumer.offsets_max_retries = 0;
    let mut consumer = backend.consumer_with(config).await;
    let mut events = consumer.events();
    let unknown = || Err(divvy_client::Error::NoLeader { tp: tp(0) });
    backend.answer_offsets(vec![unknown(), unknown(), Ok(10), Ok(90)]);
    let error = FetchError::OffsetOutOfRange {
        tp: tp(0),
        offset: 50,
    };
    backend.push(0, Err(error));
    assert_nothing(&mut consumer).await;
    let reported = all(&mut events);
    let failures = reported
        .iter()
        .filter(|event| matches!(event, Event::Error { message } if message.contains("t-0")));
    assert_eq!(failures.count(), 2, "{reported:?}");
    // Between the ends after all: it goes on where it was, and no reset is reported.
    assert!(
        !reported
            .iter()
            .any(|event| matches!(event, Event::Reset { .. }))
    );
    assert_eq!(backend.starts(0), [50, 50]);
}

#[tokio::test(start_paused = true)]
async fn a_seek_wins_over_a_reset_that_is_under_way() {
    let backend = Scripted::new(1);
    let mut config = SimpleConsumerConfig::new([TOPIC]);
    config.start_offsets.insert(tp(0), 50);
    config.consumer.offsets_max_retries = 0;
    let mut consumer = backend.consumer_with(config).await;
    let mut events = consumer.events();
    let unknown = Err(divvy_client::Error::NoLeader { tp: tp(0) });
    backend.answer_offsets(vec![unknown]);
    let error = FetchError::OffsetOutOfRange {
        tp: tp(0),
        offset: 50,
    };
    backend.push(0, Err(error));
    assert_nothing(&mut consumer).await;
    consumer.seek(&tp(0), SeekTo::Offset(5)).await.unwrap();
    backend.answer_offsets(vec![Ok(100)]);
    pass(60 * SECOND).await;
    assert_eq!(backend.starts(0), [50, 5]);
    assert!(resets(&mut events).is_empty());
}

#[tokio::test(start_paused = true)]
async fn looking_offsets_up_is_tried_again_as_often_as_configured() {
    let backend = Scripted::new(1);
    let no_leader = || Err(divvy_client::Error::NoLeader { tp: tp(0) });
    backend.answer_offsets(vec![no_leader(), no_leader(), Ok(4)]);
    let mut consumer = backend.consumer().await;
    assert_eq!(backend.starts(0), [4]);

    let mut config = SimpleConsumerConfig::new([TOPIC]);
    config.consumer.offsets_max_retries = 2;
    backend.answer_offsets(vec![no_leader()]);
    let mut other = over(std::sync::Arc::clone(&backend) as _, None, config);
    let error = soon(other.start()).await.unwrap_err();
    assert!(error.is_retriable() && other.assignments().is_empty());

    // What will not pass is not tried again.
    let unknown = divvy_client::Error::UnknownPartition { tp: tp(0) };
    backend.answer_offsets(vec![Err(unknown), Ok(4)]);
    assert!(consumer.seek(&tp(0), SeekTo::End).await.is_err());
}
