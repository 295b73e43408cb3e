use std::collections::HashMap;
use std::mem;
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
    turns: Mutex<Turns>,
}

#[derive(Debug, Default)]
struct Turns {
    /// The topic of the last record, which is the next one's too as a rule, and its turn.
    last: (String, u32),
    others: HashMap<String, u32>,
}

impl Turns {
    fn next(&mut self, topic: &str) -> u32 {
        let (last, turn) = &mut self.last;
        if last != topic {
            let next = self.others.remove(topic).unwrap_or_else(rand::random);
            let before = mem::replace(last, topic.to_owned());
            self.others.insert(before, mem::replace(turn, next));
        }
        *turn = turn.wrapping_add(1);
        *turn
    }
}

impl Partitioner for RoundRobinPartitioner {
    fn partition(&self, topic: &str, _: Option<&[u8]>, partitions: Partitions<'_>) -> i32 {
        let turn = lock(&self.turns).next(topic);
        pick(partitions.available(), turn)
    }
}
