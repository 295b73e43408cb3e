use std::sync::Arc;

use divvy_protocol::TopicPartition;

use super::java_hash::java_hash;
use super::{
    AssignError, Assignment, Assignor, ConsumerThreadId, GroupMembers, TopicPartitions, sorted,
};

/// Kafka's `roundrobin`: the partitions of all topics are dealt out to all threads in turn.
///
/// Every member must subscribe the same topics with the same number of streams. The order of dealing is that of Java's
/// `String.hashCode` of `[topic,partition]`; where two topics collide in it, Kafka's own members may disagree with each other, and
/// this assignor refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundRobin;

impl Assignor for RoundRobin {
    fn name(&self) -> &str {
        "roundrobin"
    }

    fn assign(
        &self,
        members: &GroupMembers,
        partitions: &TopicPartitions,
    ) -> Result<Assignment, AssignError> {
        let threads = common_threads(members)?;
        let partitions = dealing_order(members, partitions)?;
        Ok(partitions
            .into_iter()
            .zip(threads.into_iter().cycle())
            .collect())
    }
}

/// The threads that every topic has in common, which have to be all of them.
fn common_threads(members: &GroupMembers) -> Result<Vec<ConsumerThreadId>, AssignError> {
    let mut common: Option<(Arc<str>, Vec<ConsumerThreadId>)> = None;
    for topic in members.topics() {
        let threads = members.threads(&topic)?;
        match &common {
            None => common = Some((topic, threads)),
            Some((_, first)) if *first == threads => {}
            Some((other, _)) => {
                return Err(AssignError::UnequalThreads {
                    topic,
                    other: other.clone(),
                });
            }
        }
    }
    Ok(common.map(|(_, threads)| threads).unwrap_or_default())
}

/// All subscribed partitions by hash, those of one topic with equal hashes by number.
fn dealing_order(
    members: &GroupMembers,
    partitions: &TopicPartitions,
) -> Result<Vec<TopicPartition>, AssignError> {
    let mut hashed: Vec<(i32, TopicPartition)> = Vec::new();
    for topic in members.topics() {
        for partition in sorted(partitions.get(&topic).map_or(&[], Vec::as_slice)) {
            let hash = java_hash(&format!("[{topic},{partition}]"));
            hashed.push((hash, TopicPartition::new(topic.clone(), partition)));
        }
    }
    hashed.sort_by_key(|(hash, _)| *hash);
    for pair in hashed.windows(2) {
        if let [(hash, first), (other_hash, second)] = pair
            && hash == other_hash
            && first.topic != second.topic
        {
            return Err(AssignError::AmbiguousOrder {
                first: first.clone(),
                second: second.clone(),
                hash: *hash,
            });
        }
    }
    Ok(hashed.into_iter().map(|(_, partition)| partition).collect())
}
