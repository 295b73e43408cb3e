use divvy_protocol::TopicPartition;

use super::{AssignError, Assignment, Assignor, GroupMembers, TopicPartitions, sorted};

/// Kafka's `range` (its default): topic by topic, each thread gets a run of consecutive partitions.
///
/// With `P` partitions and `C` threads everyone gets `P / C`, and the first `P % C` threads one more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range;

impl Assignor for Range {
    fn name(&self) -> &str {
        "range"
    }

    fn assign(
        &self,
        members: &GroupMembers,
        partitions: &TopicPartitions,
    ) -> Result<Assignment, AssignError> {
        let mut assignment = Assignment::new();
        for topic in members.topics() {
            let threads = members.threads(&topic)?;
            let partitions = sorted(partitions.get(&topic).map_or(&[], Vec::as_slice));
            let (each, one_more) = (
                partitions.len() / threads.len(),
                partitions.len() % threads.len(),
            );
            let mut rest = partitions.into_iter();
            for (position, thread) in threads.into_iter().enumerate() {
                let share = each + usize::from(position < one_more);
                for partition in rest.by_ref().take(share) {
                    let partition = TopicPartition::new(topic.clone(), partition);
                    assignment.insert(partition, thread.clone());
                }
            }
        }
        Ok(assignment)
    }
}
