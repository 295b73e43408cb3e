//! The offsets of groups that are kept in Kafka, and which broker keeps them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use divvy_protocol::ErrorCode;
use divvy_zookeeper::documents::TopicAssignment;
use tracing::debug;

use super::state::{Shared, State};

/// Kafka's own topic for offsets. Here the leaders of its partitions say who keeps whose, and nothing is written to it.
const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// Kafka: `offsets.topic.num.partitions`.
const OFFSETS_PARTITIONS: usize = 50;
/// Kafka: `offsets.topic.replication.factor`; fewer where there are not as many brokers.
const OFFSETS_REPLICAS: usize = 3;
/// The longest metadata of an offset. Kafka: `offset.metadata.max.bytes`.
pub(super) const MAX_METADATA: usize = 4096;
/// How many offsets are kept at most, of all groups.
const MOST_OFFSETS: usize = 1_000_000;

/// An offset that a group has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) offset: i64,
    pub(super) metadata: String,
}

/// Offsets by group, topic and partition. They do not expire.
#[derive(Debug, Default)]
pub(super) struct Offsets(BTreeMap<(String, String, i32), Stored>);

impl Offsets {
    pub(super) fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&Stored> {
        self.0.get(&(group.to_owned(), topic.to_owned(), partition))
    }

    pub(super) fn put(
        &mut self,
        group: &str,
        topic: &str,
        partition: i32,
        stored: Stored,
    ) -> ErrorCode {
        let key = (group.to_owned(), topic.to_owned(), partition);
        if self.0.len() >= MOST_OFFSETS && !self.0.contains_key(&key) {
            return ErrorCode::INVALID_COMMIT_OFFSET_SIZE;
        }
        self.0.insert(key, stored);
        ErrorCode::NONE
    }
}

/// The partition of [`OFFSETS_TOPIC`] whose leader keeps a group's offsets: Java's hash of the name, without its sign.
fn place(group: &str, partitions: usize) -> Option<i32> {
    let hash = group.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(unit.into())
    });
    hash.checked_abs()
        .unwrap_or(0)
        .checked_rem(i32::try_from(partitions).ok()?)
}

impl State {
    /// The broker that keeps a group's offsets; `None` where there is none, or nobody has asked for one before.
    pub(super) fn coordinator(&self, group: &str) -> Option<(i32, SocketAddr)> {
        let partitions = self.topics.get(OFFSETS_TOPIC)?;
        let leader = partitions.get(&place(group, partitions.len())?)?.leader?;
        Some((leader, *self.alive.get(&leader)?))
    }
}

impl Shared {
    /// Creates the topic that says who keeps whose offsets, as brokers do when they are first asked.
    pub(super) fn create_offsets_topic(&self) {
        let alive: Vec<i32> = self.alive().into_keys().collect();
        let replicas = OFFSETS_REPLICAS.min(alive.len());
        let Ok(assignment) = TopicAssignment::deal(&alive, OFFSETS_PARTITIONS, replicas, 0, 0)
        else {
            return;
        };
        if let Err(error) = self.create_topic(OFFSETS_TOPIC, &assignment) {
            debug!("{OFFSETS_TOPIC} cannot be created: {error}");
        }
    }
}
