use std::collections::HashMap;
use std::sync::Mutex;

use super::{Partitioner, Partitions, pick};
use crate::sync::lock;

/// The available partitions of a topic take turns, whatever the key. Kafka: `RoundRobinPartitioner`; PyKafka:
/// `RandomPartitioner`, which is its default.
///
/// Each topic has its own turn, which begins at a random partition, so that many producers of few records do not all write to
/// the first.
#[derive(Debug, Default)]
pub struct RoundRobinPartitioner {
    turns: Mutex<HashMap<String, u32>>,
}

impl Partitioner for RoundRobinPartitioner {
    fn partition(&self, topic: &str, _: Option<&[u8]>, partitions: Partitions<'_>) -> i32 {
        let mut turns = lock(&self.turns);
        let turn = match turns.get_mut(topic) {
            Some(turn) => turn,
            None => turns
                .entry(topic.to_owned())
                .or_insert_with(rand::random::<u32>),
        };
        *turn = turn.wrapping_add(1);
        pick(partitions.available(), *turn)
    }
}
