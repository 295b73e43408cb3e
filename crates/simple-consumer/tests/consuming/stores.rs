//! Two stores at once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use divvy_client::{CommittedOffset, PerPartition, Result, TopicPartition};
use divvy_simple_consumer::{Assignment, DualOffsets, OffsetStore};

use crate::common::*;

fn dual() -> (Arc<FaultyOffsets>, Arc<FaultyOffsets>, DualOffsets) {
    let (first, second) = (Arc::<FaultyOffsets>::default(), Arc::default());
    let dual = DualOffsets::new(Arc::clone(&first) as _, Arc::clone(&second) as _);
    (first, second, dual)
}

fn at(partition: i32, offset: i64) -> (Assignment, i64) {
    (Assignment::unfenced(tp(partition)), offset)
}

#[tokio::test]
async fn of_two_stores_the_larger_offset_counts() {
    let (first, second, dual) = dual();
    first.commit(&[at(0, 5), at(1, 9), at(2, 3)]).await.unwrap();
    second
        .commit(&[at(0, 7), at(1, 8), at(3, 4)])
        .await
        .unwrap();
    let all: Vec<TopicPartition> = (0..5).map(tp).collect();
    let found = dual.fetch(&all).await.unwrap();
    let found: Vec<Option<i64>> = found
        .into_values()
        .map(|result| result.unwrap().map(|committed| committed.offset))
        .collect();
    assert_eq!(found, [Some(7), Some(9), Some(3), Some(4), None]);
}

#[tokio::test]
async fn with_one_store_silent_the_larger_offset_is_not_known() {
    for silent in 0..2 {
        let (first, second, dual) = dual();
        let stores = [&first, &second];
        for store in stores {
            store.commit(&[at(0, 5), at(1, 6)]).await.unwrap();
        }
        stores[silent].set_broken([1]);
        let found = dual.fetch(&[tp(0), tp(1)]).await.unwrap();
        assert_eq!(found[&tp(0)].as_ref().unwrap().as_ref().unwrap().offset, 5);
        assert!(found[&tp(1)].is_err());
        stores[silent].set_down(true);
        assert!(dual.fetch(&[tp(0)]).await.is_err());
    }
}

#[tokio::test]
async fn the_first_store_is_written_first_and_alone_where_it_fails() {
    let (first, second, dual) = dual();
    first.set_broken([1]);
    let results = dual.commit(&[at(0, 5), at(1, 6)]).await.unwrap();
    assert!(results[&tp(0)].is_ok() && results[&tp(1)].is_err());
    assert_eq!(first.inner.stored(), second.inner.stored());
    assert_eq!(second.inner.stored().get(&tp(1)), None);

    first.set_down(true);
    assert!(dual.commit(&[at(0, 9)]).await.is_err());
    assert_eq!(second.inner.stored()[&tp(0)], 5, "it never runs ahead");

    first.set_down(false);
    second.set_broken([0]);
    let results = dual.commit(&[at(0, 9)]).await.unwrap();
    assert!(results[&tp(0)].is_err(), "stored in one is not stored");
    assert_eq!(first.inner.stored()[&tp(0)], 9);
    second.set_down(true);
    assert!(dual.commit(&[at(0, 9)]).await.is_err());
}

/// A store that forgets.
#[derive(Debug)]
struct Forgetful(Option<Duration>);

#[async_trait]
impl OffsetStore for Forgetful {
    async fn fetch(&self, _: &[TopicPartition]) -> Result<PerPartition<Option<CommittedOffset>>> {
        Ok(PerPartition::new())
    }

    async fn commit(&self, offsets: &[(Assignment, i64)]) -> Result<PerPartition<()>> {
        let stored = offsets
            .iter()
            .map(|(assignment, _)| (assignment.tp.clone(), Ok(())));
        Ok(stored.collect())
    }

    fn forgets_after(&self) -> Option<Duration> {
        self.0
    }
}

#[test]
fn two_stores_forget_when_either_does() {
    for (first, second, both) in [
        (None, None, None),
        (Some(3), None, Some(3)),
        (None, Some(4), Some(4)),
        (Some(5), Some(4), Some(4)),
    ] {
        let hours = |hours: Option<u64>| hours.map(|hours| Duration::from_secs(3600 * hours));
        let store = |age| Arc::new(Forgetful(hours(age)));
        let dual = DualOffsets::new(store(first), store(second));
        assert_eq!(dual.forgets_after(), hours(both));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_store_may_forget_is_stored_again() {
    let mut setup = Setup::new(1);
    setup.config.start_offsets.insert(tp(0), 0);
    for (age, commits) in [(None, 1), (Some(6 * 3600 * SECOND), 4)] {
        let backend = Arc::new(setup.backend.clone());
        let store: Arc<dyn OffsetStore> = Arc::new(Forgetful(age));
        let mut consumer = over(backend, Some(store), setup.config.clone());
        consumer.start().await.unwrap();
        let mut events = consumer.events();
        // A commit an hour, and nothing new to store after the first.
        for _ in 0..24 {
            pass(3600 * SECOND).await;
        }
        assert_eq!(all(&mut events).len(), commits, "{age:?}");
    }
}

/// A store that answers nothing that it is asked.
#[derive(Debug)]
struct Mute;

#[async_trait]
impl OffsetStore for Mute {
    async fn fetch(&self, _: &[TopicPartition]) -> Result<PerPartition<Option<CommittedOffset>>> {
        Ok(PerPartition::new())
    }

    async fn commit(&self, _: &[(Assignment, i64)]) -> Result<PerPartition<()>> {
        Ok(PerPartition::new())
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_store_leaves_unanswered_is_neither_stored_nor_a_reset() {
    let mut setup = Setup::new(1);
    setup.fill(0, 1);
    let consumer = |config| {
        let store: Arc<dyn OffsetStore> = Arc::new(Mute);
        over(Arc::new(setup.backend.clone()), Some(store), config)
    };
    let unknown = consumer(setup.config.clone()).start().await.unwrap_err();
    assert!(unknown.to_string().contains("leaves t-0 out"), "{unknown}");

    setup.config.start_offsets.insert(tp(0), 0);
    let mut consumer = consumer(setup.config.clone());
    consumer.start().await.unwrap();
    assert_eq!(next(&mut consumer).await, (0, 0));
    let unstored = consumer.commit().await.unwrap_err();
    assert!(
        unstored.to_string().contains("leaves t-0 out"),
        "{unstored}"
    );
}
