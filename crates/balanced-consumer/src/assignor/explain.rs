//! What a member seems to do that holds something else than the rule gives it.

use std::collections::BTreeMap;
use std::sync::Arc;

use divvy_protocol::TopicPartition;

use super::{
    Assignor, ConsumerThreadId, GroupMembers, PyKafkaRange, PyKafkaRoundRobin, Range, RoundRobin,
    TopicPartitions,
};

/// Says what would explain the holdings of a member that are not what `assignor` gives it. `holds` has its threads as its owner
/// nodes name them.
pub(crate) fn explain(
    assignor: &dyn Assignor,
    members: &GroupMembers,
    partitions: &TopicPartitions,
    member: &Arc<str>,
    holds: &BTreeMap<TopicPartition, Option<ConsumerThreadId>>,
) -> String {
    let used = assignor.name();
    let others: [&dyn Assignor; 2] = [&Range, &RoundRobin];
    let fits = |other: &dyn Assignor| gives(other, members, partitions, member, holds);
    if let Some(other) = others
        .into_iter()
        .find(|other| other.name() != used && fits(*other))
    {
        return format!(
            "they are what `{}` gives it, and this member uses `{used}`; give every member the same rule",
            other.name()
        );
    }
    if holds.values().any(Option::is_none) {
        return format!(
            "its owner nodes name no stream, as those of wvanbergen/kafka do, which shares out by leaders and not by `{used}`; it cannot be a member of this group"
        );
    }
    let streamless: [&dyn Assignor; 2] = [&PyKafkaRange, &PyKafkaRoundRobin];
    if streamless
        .into_iter()
        .any(|other| other.name() != used && fits(other))
    {
        return format!(
            "they are what a rule gives it that does not count streams, as kafka-node's; this member uses `{used}`"
        );
    }
    format!("no rule that is known gives it these; this member uses `{used}`")
}

/// Whether a rule gives a member everything that it holds.
fn gives(
    assignor: &dyn Assignor,
    members: &GroupMembers,
    partitions: &TopicPartitions,
    member: &Arc<str>,
    holds: &BTreeMap<TopicPartition, Option<ConsumerThreadId>>,
) -> bool {
    let Ok(assignment) = assignor.assign(members, partitions) else {
        return false;
    };
    let is_given = |tp: &TopicPartition| {
        let thread = assignment.get(tp);
        thread.is_some_and(|thread| thread.consumer_id == *member)
    };
    !holds.is_empty() && holds.keys().all(is_given)
}
