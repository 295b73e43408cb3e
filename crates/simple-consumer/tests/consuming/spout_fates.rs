//! What becomes of messages that a spout's application fails again and again, or that were not kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use divvy_simple_consumer::spout::{
    After, DeadLetter, DeadLetters, RetryPolicy, Spout, SpoutConfig,
};
use divvy_simple_consumer::{Error, Event, Fate};

use crate::common::*;
use crate::spouts::{assert_none, next_message, spout};

fn after(limit: u32, after: After) -> SpoutConfig {
    SpoutConfig {
        retry: RetryPolicy {
            limit: Some(limit),
            after,
            ..RetryPolicy::default()
        },
        ..SpoutConfig::new()
    }
}

/// Fails the message of this offset until it is not handed out any more, and acknowledges the others. Gives how often it came.
async fn fail_all(spout: &mut Spout, offset: i64) -> u32 {
    let mut times = 0;
    while let Some(message) = spout.next(5 * SECOND).await.unwrap() {
        if message.offset == offset {
            times += 1;
            assert_eq!(message.attempt, times);
            assert!(spout.fail(&message.id));
        } else {
            assert!(spout.ack(&message.id));
        }
    }
    times
}

#[tokio::test(start_paused = true)]
async fn dropped_it_counts_as_finished() {
    let setup = Setup::explicit(1);
    setup.fill(0, 3);
    let (engine, consumer) = shared(&setup).await;
    let mut events = consumer.events();
    let mut spout = consumer.spout(after(2, After::Drop)).unwrap();
    assert_eq!(fail_all(&mut spout, 1).await, 3);
    engine.commit_finished(None).await.unwrap();
    assert_eq!(setup.stored(0), Some(3));
    let given_up = Event::GivenUp {
        tp: tp(0),
        offset: 1,
        attempts: 3,
        fate: Fate::Dropped,
    };
    assert_eq!(all(&mut events)[0], given_up);
    let stats = spout.stats();
    assert_eq!((stats.dropped, stats.failed, stats.acked), (1, 3, 2));
}

#[tokio::test(start_paused = true)]
async fn halted_its_partition_stands_still_until_it_is_acknowledged() {
    let setup = Setup::explicit(2);
    setup.fill(0, 3);
    let (engine, consumer) = shared(&setup).await;
    let mut spout = consumer.spout(after(0, After::Halt)).unwrap();
    let first = next_message(&mut spout).await;
    assert!(spout.fail(&first.id));
    let error = spout.next(SECOND).await.unwrap_err();
    assert_eq!(error.halted_partition(), Some(&tp(0)));
    let Error::RetriesExhausted { id, attempts, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((&id, attempts), (&first.id, 1));
    assert!(spout.next(5 * SECOND).await.unwrap().is_none());
    assert!(spout.stats().partitions[&tp(0)].halted);
    setup.fill(1, 1);
    assert_eq!(
        next_message(&mut spout).await.tp,
        tp(1),
        "the other goes on"
    );
    engine.commit_finished(None).await.unwrap();
    assert_eq!(setup.stored(0), Some(0));
    assert!(spout.ack(&id));
    assert_eq!(next_message(&mut spout).await.offset, 1);
    engine.commit_finished(None).await.unwrap();
    assert_eq!(setup.stored(0), Some(1));
}

/// Refuses so many letters, and takes the others.
#[derive(Default)]
struct LetterBox {
    refusals: AtomicUsize,
    taken: Mutex<Vec<(i64, u32, Option<bytes::Bytes>)>>,
}

#[async_trait]
impl DeadLetters for LetterBox {
    async fn bury(
        &self,
        letter: &DeadLetter,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let left = |refusals: usize| refusals.checked_sub(1);
        let refused = self
            .refusals
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
        if refused.is_ok() {
            return Err("the box is full".into());
        }
        let message = &letter.message;
        let taken = (message.offset, message.attempt, message.value.clone());
        self.taken.lock().unwrap().push(taken);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn as_a_dead_letter_it_counts_as_finished_once_it_was_taken() {
    let setup = Setup::explicit(1);
    setup.fill(0, 3);
    let (engine, consumer) = shared(&setup).await;
    let mut events = consumer.events();
    let letters = Arc::new(LetterBox::default());
    letters.refusals.store(4, Ordering::SeqCst);
    let config = after(1, After::DeadLetter(Arc::clone(&letters) as _));
    let mut spout = consumer.spout(config).unwrap();
    let first = next_message(&mut spout).await;
    spout.fail(&first.id);
    loop {
        let message = next_message(&mut spout).await;
        if message.offset == 0 {
            spout.fail(&message.id);
            break;
        }
        spout.ack(&message.id);
    }
    while spout
        .next(Duration::from_millis(10))
        .await
        .unwrap()
        .is_some()
    {}
    engine.commit_finished(None).await.unwrap();
    assert_eq!(setup.stored(0), Some(0), "it was not taken yet");
    assert_eq!(
        spout.stats().in_flight,
        1 + usize::from(spout.stats().acked < 2)
    );
    pass(60 * SECOND).await;
    pass(60 * SECOND).await;
    pass(60 * SECOND).await;
    pass(60 * SECOND).await;
    let value = Some(bytes::Bytes::from_static(b"0:0"));
    assert_eq!(*letters.taken.lock().unwrap(), [(0, 2, value)]);
    assert_eq!(spout.stats().dead_lettered, 1);
    let events = all(&mut events);
    let refused = events.iter().filter(
        |event| matches!(event, Event::Error { message } if message.contains("the box is full")),
    );
    assert_eq!(refused.count(), 4);
    let fate = Fate::DeadLettered;
    assert!(events.contains(&Event::GivenUp {
        tp: tp(0),
        offset: 0,
        attempts: 2,
        fate
    }));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_of_a_partition_that_is_gone_is_given_up() {
    let setup = Setup::explicit(1);
    setup.fill(0, 1);
    let (engine, consumer) = shared(&setup).await;
    let letters = Arc::new(LetterBox::default());
    letters.refusals.store(usize::MAX, Ordering::SeqCst);
    let config = after(0, After::DeadLetter(Arc::clone(&letters) as _));
    let mut spout = consumer.spout(config).unwrap();
    let message = next_message(&mut spout).await;
    spout.fail(&message.id);
    assert_none(&mut spout).await;
    pass(SECOND).await;
    let asked = usize::MAX - letters.refusals.load(Ordering::SeqCst);
    assert!(asked > 0);
    engine.remove(&tp(0));
    pass(60 * SECOND).await;
    let asked = letters.refusals.load(Ordering::SeqCst);
    pass(60 * SECOND).await;
    assert_eq!(
        letters.refusals.load(Ordering::SeqCst),
        asked,
        "it goes on asking"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_not_kept_is_fetched_again() {
    let setup = Setup::explicit(2);
    setup.fill_padded(0, 50, 100);
    setup.fill_padded(1, 50, 100);
    let (engine, consumer) = shared(&setup).await;
    let config = SpoutConfig {
        max_retained_bytes: 0,
        ..SpoutConfig::new()
    };
    let mut spout = consumer.spout(config).unwrap();
    let (mut failed, mut acked) = (0, 0);
    while let Some(message) = spout.next(5 * SECOND).await.unwrap() {
        let at = format!("{}:{}", message.tp.partition, message.offset);
        assert_eq!(message.value.as_deref(), Some(at.as_bytes()));
        assert_eq!(message.key.as_ref().map(bytes::Bytes::len), Some(100));
        // Every third fails, twice.
        if message.offset % 3 == 0 && message.attempt < 3 {
            failed += 1;
            assert!(spout.fail(&message.id));
        } else {
            acked += 1;
            assert!(spout.ack(&message.id));
        }
    }
    assert_eq!((failed, acked), (2 * 2 * 17, 100));
    engine.commit_finished(None).await.unwrap();
    assert_eq!((setup.stored(0), setup.stored(1)), (Some(50), Some(50)));
    assert_eq!(spout.stats().retained_bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_fetched_again_survives_a_suspension() {
    let setup = Setup::explicit(1);
    setup.fill(0, 5);
    let (engine, consumer) = shared(&setup).await;
    let config = SpoutConfig {
        max_retained_bytes: 0,
        ..SpoutConfig::new()
    };
    let mut spout = consumer.spout(config).unwrap();
    let messages = spout.next_many(5, SECOND).await.unwrap();
    spout.fail(&messages[1].id);
    // Until it was asked for again, and before it has come.
    pass(Duration::from_millis(200)).await;
    assert_none(&mut spout).await;
    engine.suspend(&[tp(0)]);
    pass(Duration::from_millis(10)).await;
    assert_none(&mut spout).await;
    engine.resume(&[tp(0)]);
    // Nothing else comes that would show that it was left out.
    let again = next_message(&mut spout).await;
    assert_eq!((again.offset, again.attempt), (1, 2));

    spout.fail(&again.id);
    pass(Duration::from_millis(400)).await;
    assert_none(&mut spout).await;
    engine.suspend(&[tp(0)]);
    pass(Duration::from_millis(10)).await;
    assert_none(&mut spout).await;
    engine.resume(&[tp(0)]);
    setup.fill(0, 1);
    let mut came = Vec::new();
    while let Some(message) = spout.next(30 * SECOND).await.unwrap() {
        came.push((message.offset, message.attempt));
    }
    came.sort_unstable();
    assert_eq!(came, [(1, 3), (5, 1)]);
    assert_eq!(spout.stats().dropped, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_in_the_log_any_more_cannot_be_fetched_again() {
    let setup = Setup::explicit(1);
    setup.fill(0, 6);
    let config = SpoutConfig {
        max_retained_bytes: 0,
        ..SpoutConfig::new()
    };
    let mut spout = spout(&setup, config).await;
    let messages = spout.next_many(6, SECOND).await.unwrap();
    spout.fail(&messages[1].id);
    spout.fail(&messages[4].id);
    setup.backend.truncate_before(&tp(0), 3);
    let again = next_message(&mut spout).await;
    assert_eq!((again.offset, again.attempt), (4, 2));
    let stats = spout.stats();
    assert_eq!((stats.dropped, stats.in_flight, stats.waiting), (1, 5, 0));
}
