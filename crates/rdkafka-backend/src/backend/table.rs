//! The partitions that are fetched, and how far each has come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use divvy_client::{Generation, TopicPartition};

/// The partitions by topic and number: messages name theirs by a borrowed text.
#[derive(Debug, Default)]
pub(super) struct Table {
    topics: BTreeMap<Arc<str>, BTreeMap<i32, Position>>,
    count: usize,
    /// Those that wait for room.
    full: BTreeSet<TopicPartition>,
}

#[derive(Debug)]
pub(super) struct Position {
    pub(super) tp: TopicPartition,
    pub(super) generation: Generation,
    /// Where the log goes on.
    pub(super) next_offset: i64,
    pub(super) state: State,
    /// How much its line holds.
    pub(super) held: Arc<AtomicUsize>,
    /// What librdkafka asks for of it by now: as much as its largest message took.
    pub(super) asked: usize,
    /// Where it was damaged, and how often that was seen.
    pub(super) damaged: Option<(i64, u32)>,
}

/// What librdkafka does with a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It waits for a client of librdkafka.
    New,
    Fetched,
    /// Its line is full.
    Full,
    /// It stands still until it is started again.
    Halted,
}

impl Position {
    pub(super) fn new(tp: TopicPartition, generation: Generation, next_offset: i64) -> Self {
        Self {
            tp,
            generation,
            next_offset,
            state: State::New,
            held: Arc::default(),
            asked: 0,
            damaged: None,
        }
    }

    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

impl Table {
    /// How many partitions are fetched, or would be if they had room.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn insert(&mut self, position: Position) {
        let tp = position.tp.clone();
        self.full.remove(&tp);
        let partitions = self.topics.entry(Arc::clone(&tp.topic)).or_default();
        if partitions.insert(tp.partition, position).is_none() {
            self.count += 1;
        }
    }

    /// Forgets a partition. Gives whether it was the last of its topic.
    pub(super) fn remove(&mut self, tp: &TopicPartition) -> bool {
        self.full.remove(tp);
        let Some(partitions) = self.topics.get_mut(&tp.topic) else {
            return false;
        };
        if partitions.remove(&tp.partition).is_some() {
            self.count -= 1;
        }
        let last = partitions.is_empty();
        if last {
            self.topics.remove(&tp.topic);
        }
        last
    }

    pub(super) fn get(&mut self, topic: &str, partition: i32) -> Option<&mut Position> {
        self.topics.get_mut(topic)?.get_mut(&partition)
    }

    pub(super) fn get_tp(&mut self, tp: &TopicPartition) -> Option<&mut Position> {
        self.get(&tp.topic, tp.partition)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Position> {
        self.topics.values_mut().flat_map(BTreeMap::values_mut)
    }

    /// Has a partition wait for room.
    pub(super) fn fill(&mut self, tp: &TopicPartition) {
        if let Some(position) = self.get_tp(tp) {
            position.state = State::Full;
            self.full.insert(tp.clone());
        }
    }

    pub(super) fn any_full(&self) -> bool {
        !self.full.is_empty()
    }

    /// Takes out those that have waited for room and have it again: their line has come down to half of what it may hold.
    ///
    /// A partition whose messages are larger than that has room while its line is empty, and one at a time.
    pub(super) fn take_drained(&mut self, line: usize) -> Vec<TopicPartition> {
        if self.full.is_empty() {
            return Vec::new();
        }
        let mut beside = self.lies_beside(line);
        let mut drained = Vec::new();
        for tp in &self.full {
            let partitions = self.topics.get_mut(&tp.topic);
            let Some(position) = partitions.and_then(|of| of.get_mut(&tp.partition)) else {
                continue;
            };
            let has_room = match position.asked > line {
                true => position.held() == 0 && !std::mem::replace(&mut beside, true),
                false => position.held() <= line / 2,
            };
            if has_room {
                position.state = State::New;
                drained.push(tp.clone());
            }
        }
        for tp in &drained {
            self.full.remove(tp);
        }
        drained
    }

    /// Whether something larger than a line is fetched, or lies in the queue.
    fn lies_beside(&mut self, line: usize) -> bool {
        self.iter_mut().any(|position| {
            let fetched = matches!(position.state, State::New | State::Fetched);
            position.asked > line && (fetched || position.held() > 0)
        })
    }
}
