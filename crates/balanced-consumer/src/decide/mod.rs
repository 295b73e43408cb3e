#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use divvy_protocol::TopicPartition;

use crate::assignor::{AssignError, Assignment, Assignor, ConsumerThreadId};
use crate::view::{OwnRegistration, View};

/// What a member has to do so that it holds what the group's assignment gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Held and still this member's, in the same thread: not to be touched.
    pub keep: BTreeMap<TopicPartition, ConsumerThreadId>,
    /// Held, but another's now, or another thread's of this member: to be stopped, committed and released.
    pub release: BTreeSet<TopicPartition>,
    /// This member's and not held. A partition that moves between two threads of this member is in `release` as well, and is
    /// claimed anew when its release is done.
    pub claim: BTreeMap<TopicPartition, ConsumerThreadId>,
    /// Why there is no assignment to act on at present, if that is so. Nothing is claimed then.
    pub wait: Option<Wait>,
}

/// Why a member has to wait for an assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// A member of the group cannot be understood by Java ([`View::poison`]): everything is released until it leaves.
    Blocked,
    /// A registration is there without its data yet: what is held stays.
    Registering {
        /// The node without data.
        node: String,
    },
    /// This member is not registered, so that nobody counts it: what is held stays until it is.
    Unregistered,
}

/// Compares what a member holds with what the group's assignment gives it.
///
/// A pure function: members with equal views and the same assignor come to decisions that fit together.
///
/// # Errors
///
/// The assignor's, and [`AssignError::Invalid`] if it gives this member a partition that does not exist or a thread that it does
/// not have. What is held should be kept then: no member knows of a better owner.
pub fn decide(
    me: &str,
    view: &View,
    held: &BTreeMap<TopicPartition, ConsumerThreadId>,
    assignor: &dyn Assignor,
) -> Result<Decision, AssignError> {
    if !view.poison.is_empty() {
        return Ok(Decision {
            release: held.keys().cloned().collect(),
            wait: Some(Wait::Blocked),
            ..Decision::default()
        });
    }
    if let Some(wait) = incomplete(view) {
        return Ok(Decision {
            keep: held.clone(),
            wait: Some(wait),
            ..Decision::default()
        });
    }
    Ok(compare(held, assigned_to(me, view, assignor)?))
}

/// What has to happen before the members can be counted.
fn incomplete(view: &View) -> Option<Wait> {
    if view.registration != OwnRegistration::Ours {
        return Some(Wait::Unregistered);
    }
    let node = view.registering.first()?.clone();
    Some(Wait::Registering { node })
}

/// This member's part of the group's assignment, checked: an assignor of the application may invent partitions or threads.
fn assigned_to(me: &str, view: &View, assignor: &dyn Assignor) -> Result<Assignment, AssignError> {
    let mut mine = assignor.assign(&view.members, &view.partitions)?;
    mine.retain(|_, thread| &*thread.consumer_id == me);
    let existing: BTreeSet<(&str, i32)> = view
        .partitions
        .iter()
        .flat_map(|(topic, numbers)| numbers.iter().map(|number| (&**topic, *number)))
        .collect();
    let streams = |topic: &str| view.members.get(me)?.get(topic).copied();
    for (partition, thread) in &mine {
        let reason = if !existing.contains(&(&*partition.topic, partition.partition)) {
            "there is no such partition"
        } else if streams(&partition.topic).is_none_or(|streams| thread.thread >= streams) {
            "the member has no such stream in that topic"
        } else {
            continue;
        };
        return Err(AssignError::Invalid {
            assignor: assignor.name().to_owned(),
            partition: partition.clone(),
            thread: thread.clone(),
            reason,
        });
    }
    Ok(mine)
}

fn compare(held: &BTreeMap<TopicPartition, ConsumerThreadId>, mine: Assignment) -> Decision {
    let mut decision = Decision {
        release: held
            .iter()
            .filter(|(partition, thread)| mine.get(partition) != Some(thread))
            .map(|(partition, _)| partition.clone())
            .collect(),
        ..Decision::default()
    };
    for (partition, thread) in mine {
        let side = match held.get(&partition) {
            Some(holding) if *holding == thread => &mut decision.keep,
            _ => &mut decision.claim,
        };
        side.insert(partition, thread);
    }
    decision
}
