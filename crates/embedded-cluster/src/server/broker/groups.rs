//! The offsets of groups that are kept in Kafka, and which broker keeps them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use divvy_protocol::ErrorCode;

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

/// The broker that keeps a group's offsets: from a place that the group's name gives, the next one that is alive.
pub(super) fn coordinator(
    alive: &BTreeMap<i32, SocketAddr>,
    group: &str,
) -> Option<(i32, SocketAddr)> {
    let highest = *alive.keys().next_back()?;
    let wheel = i64::from(highest) + 1;
    let hash = group
        .bytes()
        .fold(0_i64, |hash, byte| (hash * 31 + i64::from(byte)) % wheel);
    let place = i32::try_from(hash).unwrap_or(0);
    let next = alive.range(place..).next().or_else(|| alive.iter().next());
    next.map(|(id, address)| (*id, *address))
}
