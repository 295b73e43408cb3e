//! PyKafka's own rules, for groups in its dialect.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use divvy_protocol::TopicPartition;

use super::{
    AssignError, Assignment, Assignor, ConsumerThreadId, GroupMembers, MAX_THREADS, TopicPartitions,
};

/// PyKafka's `RangeProtocol` (its default): each member gets a run of consecutive partitions.
///
/// The formula is that of [`Range`](super::Range), the order is not: members are in the order of their ids, without a number of
/// a stream behind them, and partitions in the order in which they are given. In [dialect PyKafka](crate::Dialect::PyKafka) that is
/// the order of the texts `<leader>-<partition>`, so that leader 10 comes before 2, and who gets what depends on who leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PyKafkaRange;

/// PyKafka's `RoundRobinProtocol`: the partitions are dealt out to the members in turn. Nothing is hashed, unlike Kafka's; the
/// order is that of [`PyKafkaRange`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PyKafkaRoundRobin;

impl Assignor for PyKafkaRange {
    fn name(&self) -> &str {
        "pykafka-range"
    }

    fn assign(
        &self,
        members: &GroupMembers,
        partitions: &TopicPartitions,
    ) -> Result<Assignment, AssignError> {
        each_topic(members, partitions, |count, participants| {
            let (each, one_more) = (count / participants, count % participants);
            let larger = one_more * (each + 1);
            let owner = move |position: usize| {
                if position < larger {
                    position / (each + 1)
                } else {
                    // Nobody gets here where `each` is zero: then the larger shares are all there is.
                    one_more + (position - larger) / each.max(1)
                }
            };
            (0..count).map(owner).collect()
        })
    }
}

impl Assignor for PyKafkaRoundRobin {
    fn name(&self) -> &str {
        "pykafka-roundrobin"
    }

    fn assign(
        &self,
        members: &GroupMembers,
        partitions: &TopicPartitions,
    ) -> Result<Assignment, AssignError> {
        each_topic(members, partitions, |count, participants| {
            (0..count).map(|position| position % participants).collect()
        })
    }
}

/// Shares each topic out by itself: `share` says for a number of partitions and one of participants whose each partition is.
fn each_topic(
    members: &GroupMembers,
    partitions: &TopicPartitions,
    share: impl Fn(usize, usize) -> Vec<usize>,
) -> Result<Assignment, AssignError> {
    let mut assignment = Assignment::new();
    for topic in members.topics() {
        let participants = participants(members, &topic)?;
        let partitions = partitions.get(&topic).map_or(&[][..], Vec::as_slice);
        let owners = share(partitions.len(), participants.len());
        for (partition, owner) in partitions.iter().zip(owners) {
            if let Some(id) = participants.get(owner) {
                let partition = TopicPartition::new(Arc::clone(&topic), *partition);
                assignment.insert(partition, ConsumerThreadId::new(Arc::clone(id), 0));
            }
        }
    }
    Ok(assignment)
}

/// The ids of a topic's members by their bytes. There is one at least for a topic of [`GroupMembers::topics`].
fn participants(members: &GroupMembers, topic: &Arc<str>) -> Result<Vec<Arc<str>>, AssignError> {
    let participants: Vec<_> = members
        .iter()
        .filter(|(_, subscription)| subscription.get(topic).is_some_and(|streams| *streams > 0))
        .map(|(id, _)| Arc::clone(id))
        .collect();
    let threads = u64::try_from(participants.len()).unwrap_or(u64::MAX);
    if threads > MAX_THREADS {
        return Err(AssignError::TooManyThreads {
            topic: Arc::clone(topic),
            threads,
        });
    }
    Ok(participants)
}

/// A topic's partitions in PyKafka's order: by the texts `<leader>-<partition>`.
pub(crate) fn pykafka_order(leaders: impl IntoIterator<Item = (i32, i32)>) -> Vec<i32> {
    let mut partitions: Vec<(String, i32)> = leaders
        .into_iter()
        .map(|(partition, leader)| (format!("{leader}-{partition}"), partition))
        .collect();
    partitions.sort();
    partitions
        .into_iter()
        .map(|(_, partition)| partition)
        .collect()
}
