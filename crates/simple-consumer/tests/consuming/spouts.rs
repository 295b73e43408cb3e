//! Handing out to be acknowledged and failed one by one.

use std::sync::Arc;
use std::time::Duration;

use divvy_simple_consumer::spout::{
    Guarantee, MessageId, Ordering, Spout, SpoutConfig, SpoutMessage,
};
use divvy_simple_consumer::{AlwaysOpen, Assignment, Error, Event};
use tokio::time::{Instant, timeout};

use crate::common::*;

/// A spout that needs no more than a consumer of its setup.
pub(crate) async fn spout(setup: &Setup, config: SpoutConfig) -> Spout {
    let consumer = setup.started().await;
    let spout = consumer.spout(config).unwrap();
    // It lives as long as its engine does.
    drop(consumer);
    spout
}

pub(crate) async fn next_message(spout: &mut Spout) -> SpoutMessage {
    let message = spout.next(600 * SECOND).await.unwrap();
    message.expect("nothing came")
}

/// The partition and the offset of the next message, and its id.
async fn next_at(spout: &mut Spout) -> ((i32, i64), MessageId) {
    let message = next_message(spout).await;
    ((message.tp.partition, message.offset), message.id)
}

/// That nothing comes at once.
pub(crate) async fn assert_none(spout: &mut Spout) {
    let message = spout.next(Duration::ZERO).await.unwrap();
    assert!(message.is_none(), "{message:?}");
}

fn offsets(messages: &[SpoutMessage]) -> Vec<i64> {
    messages.iter().map(|message| message.offset).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_committed_is_acknowledged_without_a_gap() {
    let setup = Setup::explicit(1);
    setup.fill(0, 5);
    let (engine, consumer) = shared(&setup).await;
    let mut spout = consumer.spout(SpoutConfig::new()).unwrap();
    let messages = spout.next_many(9, SECOND).await.unwrap();
    assert_eq!(offsets(&messages), [0, 1, 2, 3, 4]);
    assert_eq!(messages[3].value.as_deref(), Some(&b"0:3"[..]));
    let mut stored = Vec::new();
    for acked in [2, 0, 4, 1, 3] {
        assert!(spout.ack(&messages[acked].id));
        assert!(!spout.ack(&messages[acked].id), "it counts once");
        engine.commit_finished(None).await.unwrap();
        stored.push(setup.stored(0).unwrap());
    }
    assert_eq!(stored, [0, 1, 1, 3, 5]);
    let stats = spout.stats();
    assert_eq!((stats.delivered, stats.acked, stats.stale), (5, 5, 5));
    assert_eq!((stats.in_flight, stats.retained_bytes), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_fails_comes_again_with_the_same_id_after_a_pause() {
    let setup = Setup::explicit(1);
    setup.fill(0, 2);
    let mut spout = spout(&setup, SpoutConfig::new()).await;
    let began = Instant::now();
    let first = next_message(&mut spout).await;
    assert_eq!((first.attempt, began.elapsed()), (1, Duration::ZERO));
    assert!(spout.fail(&first.id));
    assert!(!spout.fail(&first.id), "it is not in flight");
    let (second, _) = next_at(&mut spout).await;
    assert_eq!(second, (0, 1), "others do not wait");
    let again = next_message(&mut spout).await;
    let pause = began.elapsed();
    assert_eq!((again.attempt, &again.id), (2, &first.id));
    assert_eq!(again.value, first.value);
    assert!((80..=101).contains(&pause.as_millis()), "{pause:?}");
    assert!(spout.ack(&again.id));
    let stats = spout.stats();
    assert_eq!(
        (stats.delivered, stats.replayed, stats.failed, stats.stale),
        (3, 1, 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn waits_no_longer_than_asked_for_and_wakes_for_messages() {
    let setup = Setup::explicit(1);
    let mut spout = spout(&setup, SpoutConfig::new()).await;
    let began = Instant::now();
    assert_none(&mut spout).await;
    assert!(spout.next(3 * SECOND).await.unwrap().is_none());
    assert_eq!(began.elapsed(), 3 * SECOND);
    assert!(spout.next_many(0, SECOND).await.unwrap().is_empty());
    let waiting = tokio::spawn(async move { spout.next(Duration::MAX).await });
    pass(SECOND).await;
    setup.fill(0, 1);
    let message = soon(waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(message.offset, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_fails_by_its_age() {
    let setup = Setup::explicit(1);
    setup.fill(0, 1);
    let consumer = setup.started().await;
    let mut events = consumer.events();
    let config = SpoutConfig {
        in_flight_timeout: Some(30 * SECOND),
        ..SpoutConfig::new()
    };
    let mut spout = consumer.spout(config).unwrap();
    let began = Instant::now();
    let first = next_message(&mut spout).await;
    let again = next_message(&mut spout).await;
    assert_eq!((again.id, again.attempt), (first.id, 2));
    let took = began.elapsed();
    assert!(took > 30 * SECOND && took < 31 * SECOND, "{took:?}");
    let timeouts = all(&mut events);
    assert!(
        matches!(&timeouts[..], [Event::AckTimeout { offset: 0, age, .. }] if *age >= 30 * SECOND),
        "{timeouts:?}"
    );
    let stats = spout.stats();
    assert_eq!((stats.failed, stats.timed_out), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn so_many_are_in_flight_and_no_more() {
    let setup = Setup::explicit(3);
    for partition in 0..3 {
        setup.fill(partition, 10);
    }
    let config = SpoutConfig {
        max_in_flight: 5,
        max_in_flight_per_partition: 2,
        ..SpoutConfig::new()
    };
    let mut spout = spout(&setup, config).await;
    let messages = spout.next_many(100, SECOND).await.unwrap();
    assert_eq!(messages.len(), 5);
    assert_none(&mut spout).await;
    for partition in 0..3 {
        let mine = messages.iter().filter(|m| m.tp == tp(partition));
        assert!(mine.count() <= 2);
    }
    let acker = spout.acker();
    let id = messages[0].id.clone();
    let waiting = tokio::spawn(async move {
        let next = next_message(&mut spout).await;
        (next.tp.partition, spout)
    });
    pass(SECOND).await;
    assert!(!waiting.is_finished());
    acker.ack(&id);
    let (partition, mut spout) = soon(waiting).await.unwrap();
    assert!(partition == id.partition() || spout.stats().partitions[&tp(partition)].in_flight <= 2);
    assert_none(&mut spout).await;
}

#[tokio::test(start_paused = true)]
async fn a_stuck_message_stops_its_partition_and_says_so() {
    let setup = Setup::explicit(2);
    setup.fill(0, 20);
    setup.fill(1, 20);
    let consumer = setup.started().await;
    let mut events = consumer.events();
    let config = SpoutConfig {
        max_uncommitted_span: 4,
        in_flight_timeout: None,
        ..SpoutConfig::new()
    };
    let mut spout = consumer.spout(config).unwrap();
    let (mut stuck, mut of_other) = (None, 0);
    while let Some(message) = spout.next(SECOND).await.unwrap() {
        match (message.tp.partition, message.offset) {
            (0, 0) => stuck = Some(message.id),
            (partition, _) => {
                of_other += partition;
                assert!(spout.ack(&message.id));
            }
        }
    }
    assert_eq!(of_other, 20, "the other goes on");
    assert_eq!(spout.stats().partitions[&tp(0)].span, 4);
    let stuck_at = Event::Stuck {
        tp: tp(0),
        offset: 0,
        span: 4,
    };
    assert_eq!(all(&mut events), [stuck_at]);
    assert!(spout.ack(&stuck.unwrap()));
    assert_eq!(next_at(&mut spout).await.0, (0, 4));
}

#[tokio::test(start_paused = true)]
async fn one_partition_after_the_other_where_that_is_asked_for() {
    let setup = Setup::explicit(2);
    setup.fill(0, 3);
    setup.fill(1, 1);
    let config = SpoutConfig {
        ordering: Ordering::PerPartition,
        ..SpoutConfig::new()
    };
    let mut spout = spout(&setup, config).await;
    let messages = spout.next_many(9, SECOND).await.unwrap();
    assert_eq!(offsets(&messages), [0, 0]);
    assert_none(&mut spout).await;
    let first = messages.iter().find(|m| m.tp == tp(0)).unwrap();
    spout.fail(&first.id);
    assert_none(&mut spout).await;
    let (at, id) = next_at(&mut spout).await;
    assert_eq!(at, (0, 0), "the failed one first");
    spout.ack(&id);
    assert_eq!(next_at(&mut spout).await.0, (0, 1));
    assert_none(&mut spout).await;
}

#[tokio::test(start_paused = true)]
async fn one_key_after_the_other_where_that_is_asked_for() {
    let setup = Setup::explicit(1);
    let append = |key: Option<&[u8]>| {
        setup.backend.append(&tp(0), None, key, Some(b"v")).unwrap();
    };
    for key in [
        Some("a"),
        Some("a"),
        Some("b"),
        None,
        None,
        Some("a"),
        Some("b"),
    ] {
        append(key.map(str::as_bytes));
    }
    let config = SpoutConfig {
        ordering: Ordering::PerKey { lanes: 1000 },
        ..SpoutConfig::new()
    };
    let mut spout = spout(&setup, config).await;
    let messages = spout.next_many(9, SECOND).await.unwrap();
    assert_eq!(offsets(&messages), [0, 2, 3, 4]);
    assert_eq!(spout.stats().waiting, 3);
    let behind = MessageId::new(&tp(0), 1, 0);
    assert!(!spout.ack(&behind), "nobody has it yet");
    spout.ack(&messages[0].id);
    let (at, id) = next_at(&mut spout).await;
    assert_eq!(at, (0, 1));
    spout.fail(&id);
    spout.ack(&messages[1].id);
    assert_eq!(next_at(&mut spout).await.0, (0, 6), "the next of b");
    let (at, id) = next_at(&mut spout).await;
    assert_eq!(at, (0, 1), "a waits for what has failed");
    spout.ack(&id);
    assert_eq!(next_at(&mut spout).await.0, (0, 5));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_wait_loses_nothing() {
    let setup = Setup::explicit(1);
    let mut spout = spout(&setup, SpoutConfig::new()).await;
    for offset in 0..20 {
        let cancelled = timeout(Duration::from_millis(3), spout.next(SECOND)).await;
        assert!(cancelled.is_err());
        setup.fill(0, 1);
        // Cancelled when the message may be anywhere on its way.
        for polls in 0..offset {
            let mut polled = 0;
            let next = spout.next(SECOND);
            tokio::pin!(next);
            let some = std::future::poll_fn(|context| {
                polled += 1;
                if polled > polls {
                    return std::task::Poll::Ready(None);
                }
                next.as_mut().poll(context).map(Some)
            });
            if let Some(message) = some.await {
                assert_eq!(message.unwrap().unwrap().offset, offset);
                break;
            }
        }
        if spout.stats().delivered == u64::try_from(offset).unwrap() {
            assert_eq!(next_message(&mut spout).await.offset, offset);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_while_it_is_not_active() {
    let setup = Setup::explicit(1);
    setup.fill(0, 3);
    let mut spout = spout(&setup, SpoutConfig::new()).await;
    let first = next_message(&mut spout).await;
    let second = next_message(&mut spout).await;
    spout.deactivate();
    assert!(spout.fail(&first.id) && spout.ack(&second.id));
    assert!(spout.next(5 * SECOND).await.unwrap().is_none());
    spout.activate();
    let mut came = [next_at(&mut spout).await.0, next_at(&mut spout).await.0];
    came.sort_unstable();
    assert_eq!(came, [(0, 0), (0, 2)]);
}

#[tokio::test(start_paused = true)]
async fn ids_of_another_claim_are_stale() {
    let setup = Setup::explicit(1);
    setup.fill(0, 3);
    let (engine, consumer) = shared(&setup).await;
    let claimed = |token| Assignment {
        token,
        ..Assignment::unfenced(tp(0))
    };
    engine.remove(&tp(0));
    engine.assign(claimed(7), at(0), Arc::new(AlwaysOpen));
    let mut spout = consumer.spout(SpoutConfig::new()).unwrap();
    let before = next_message(&mut spout).await;
    assert_eq!(before.id.to_string(), "t/0/0/7");
    engine.remove(&tp(0));
    assert!(!spout.ack(&before.id), "it is gone");
    engine.assign(claimed(9), at(0), Arc::new(AlwaysOpen));
    let after = next_message(&mut spout).await;
    assert_eq!(after.id.to_string(), "t/0/0/9");
    assert!(!spout.ack(&before.id) && !spout.fail(&before.id));
    assert!(!spout.ack(&"t/0/1/9".parse().unwrap()), "never handed out");
    assert!(!spout.ack(&"other/0/1/9".parse().unwrap()));
    assert_eq!(spout.stats().stale, 5);
    assert!(spout.ack(&after.id.to_string().parse().unwrap()));
    engine.commit_finished(None).await.unwrap();
    assert_eq!(setup.stored(0), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_revoked_partition_waits_for_what_is_in_flight_and_not_for_what_has_failed() {
    let setup = Setup::explicit(1);
    setup.fill(0, 4);
    let (engine, consumer) = shared(&setup).await;
    let mut spout = consumer.spout(SpoutConfig::new()).unwrap();
    let messages = spout.next_many(3, SECOND).await.unwrap();
    spout.ack(&messages[0].id);
    spout.fail(&messages[1].id);
    let began = Instant::now();
    let stopping = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.stop(&tp(0)).await })
    };
    pass(Duration::ZERO).await;
    assert!(
        spout.next(SECOND).await.unwrap().is_none(),
        "not even the failed one"
    );
    assert!(!stopping.is_finished(), "one is in flight");
    assert!(spout.ack(&messages[2].id));
    stopping.await.unwrap();
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
    engine.commit_finished(None).await.unwrap();
    assert_eq!(
        setup.stored(0),
        Some(1),
        "the failed one comes again elsewhere"
    );
    engine.remove(&tp(0));
    assert!(!spout.ack(&messages[1].id));
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_acknowledgements_of_a_spout_that_is_gone() {
    let setup = Setup::explicit(2);
    setup.fill(0, 2);
    setup.fill(1, 1);
    let consumer = setup.started().await;
    let mut spout = consumer.spout(SpoutConfig::new()).unwrap();
    let messages = spout.next_many(9, SECOND).await.unwrap();
    assert_eq!(messages.len(), 3);
    let id = |partition| {
        let of = messages.iter().find(|m| m.tp == tp(partition));
        of.unwrap().id.clone()
    };
    spout.fail(&id(1));
    let acker = spout.acker();
    drop(spout);
    let began = Instant::now();
    let closing = tokio::spawn(consumer.close());
    pass(SECOND).await;
    assert!(!closing.is_finished(), "two are in flight");
    assert!(acker.ack(&id(0)));
    let last = messages.iter().rfind(|m| m.tp == tp(0)).unwrap();
    assert!(acker.fail(&last.id));
    soon(closing).await.unwrap().unwrap();
    assert!(
        began.elapsed() < 2 * SECOND,
        "what has failed is not waited for"
    );
    assert_eq!((setup.stored(0), setup.stored(1)), (Some(1), Some(0)));
}

#[tokio::test(start_paused = true)]
async fn what_has_failed_is_not_handed_out_while_suspended() {
    let setup = Setup::explicit(1);
    setup.fill(0, 3);
    let (engine, consumer) = shared(&setup).await;
    let mut spout = consumer.spout(SpoutConfig::new()).unwrap();
    let first = next_message(&mut spout).await;
    let second = next_message(&mut spout).await;
    spout.fail(&first.id);
    engine.suspend(&[tp(0)]);
    assert!(spout.next(9 * SECOND).await.unwrap().is_none());
    assert!(spout.ack(&second.id), "it can be finished all the same");
    engine.resume(&[tp(0)]);
    let mut came = [next_at(&mut spout).await.0, next_at(&mut spout).await.0];
    came.sort_unstable();
    assert_eq!(came, [(0, 0), (0, 2)]);
}

#[tokio::test(start_paused = true)]
async fn at_most_once_commits_before_it_hands_out() {
    let setup = Setup::explicit(1);
    setup.fill(0, 5);
    let config = SpoutConfig {
        guarantee: Guarantee::AtMostOnce,
        ..SpoutConfig::new()
    };
    let mut spout = spout(&setup, config).await;
    let first = next_message(&mut spout).await;
    assert_eq!((first.offset, setup.stored(0)), (0, Some(1)));
    assert!(!spout.fail(&first.id));
    let messages = spout.next_many(3, SECOND).await.unwrap();
    assert_eq!(
        (offsets(&messages), setup.stored(0)),
        (vec![1, 2, 3], Some(4))
    );
    setup.store.set_down(true);
    assert!(spout.next(SECOND).await.unwrap().is_none());
    setup.store.set_down(false);
    let last = next_message(&mut spout).await;
    assert_eq!((last.offset, setup.stored(0)), (4, Some(5)));
    let stats = spout.stats();
    assert_eq!((stats.delivered, stats.failed, stats.in_flight), (5, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_guarantee_acknowledgements_are_only_counted() {
    let mut setup = Setup::explicit(1);
    setup.config.consumer.auto_commit_interval = Some(SECOND);
    setup.fill(0, 5);
    let consumer = setup.started().await;
    let config = SpoutConfig {
        guarantee: Guarantee::None,
        max_in_flight: 1,
        ..SpoutConfig::new()
    };
    let mut spout = consumer.spout(config).unwrap();
    let messages = spout.next_many(9, SECOND).await.unwrap();
    assert_eq!(offsets(&messages), [0, 1, 2, 3, 4]);
    pass(2 * SECOND).await;
    assert_eq!(setup.stored(0), Some(5));
    assert!(spout.ack(&messages[0].id));
    assert_eq!(spout.stats().acked, 1);
}

#[tokio::test(start_paused = true)]
async fn refuses_what_cannot_be_meant_so() {
    let setup = Setup::new(1);
    let consumer = setup.started().await;
    let error = consumer.spout(SpoutConfig::new()).unwrap_err();
    assert!(error.to_string().contains("ack_mode"), "{error}");
    let setup = Setup::explicit(1);
    let consumer = setup.consumer();
    let error = consumer.spout(SpoutConfig::new()).unwrap_err();
    assert!(matches!(error, Error::NotStarted));
    let mut consumer = over(Arc::new(setup.backend.clone()), None, setup.config.clone());
    consumer.start().await.unwrap();
    let config = SpoutConfig {
        guarantee: Guarantee::AtMostOnce,
        ..SpoutConfig::new()
    };
    assert!(matches!(consumer.spout(config), Err(Error::NoGroup)));
    let config = SpoutConfig {
        max_in_flight: 0,
        ..SpoutConfig::new()
    };
    let error = consumer.spout(config).unwrap_err();
    assert!(error.to_string().contains("max_in_flight"), "{error}");
    let mut spout = consumer.spout(SpoutConfig::new()).unwrap();
    consumer.close().await.unwrap();
    assert!(matches!(spout.next(SECOND).await, Err(Error::Closed)));
}
