//! How fast a group reads and is written for, and why it falls behind.

mod causes;
mod reason;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use divvy_protocol::TopicPartition;

pub use self::reason::LagReason;
pub(super) use self::reason::list;
use super::view::GroupView;

/// How much of what is produced may be left over before a partition counts as falling behind: commits come in steps.
const SLACK: f64 = 0.1;

/// What happened to a group's partitions between two looks.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LagChange {
    /// The partitions whose offset and log are known in both looks.
    pub partitions: BTreeMap<TopicPartition, Growth>,
    /// How many partitions each topic has, known or not.
    pub partition_counts: BTreeMap<Arc<str>, usize>,
    /// Whether anybody is registered.
    pub is_live: bool,
    /// How long each broker took to say where its logs end: the quicker of the two looks.
    pub answered_in: BTreeMap<i32, Duration>,
    /// How far the looks lie apart.
    pub elapsed: Duration,
}

/// What happened to one partition, per second.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Growth {
    /// How many messages came.
    pub produced: f64,
    /// By how much the stored offset advanced.
    pub consumed: f64,
    /// The lag at the second look, in messages.
    pub lag: i64,
    /// How many of the messages that were there at the first look are not finished at the second, so that they have waited all the
    /// time between; 0 or less for none.
    pub waiting: i64,
    /// The text of its owner node.
    pub owner: Option<String>,
    /// The id of the member that wrote it, where it is registered.
    pub member: Option<String>,
    /// The broker that leads it.
    pub leader: Option<i32>,
}

impl Growth {
    /// By how many messages a second the lag grows; negative where it shrinks.
    pub fn growth(&self) -> f64 {
        self.produced - self.consumed
    }

    fn stands_still(&self) -> bool {
        self.consumed <= 0.0
    }

    /// Whether its lag grows, and not just because what came last is finished and not yet committed.
    fn falls_behind(&self) -> bool {
        self.waiting > 0 && self.growth() > self.produced * SLACK
    }
}

impl LagChange {
    /// Compares two looks at a group that lie `elapsed` apart. Rates make sense over a time in which members commit several times:
    /// of a group whose members commit less often, lag seems to grow.
    pub fn between(before: &GroupView, after: &GroupView, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64().max(0.001);
        let rate = |before: i64, after: i64| after.saturating_sub(before) as f64 / seconds;
        let mut partitions = BTreeMap::new();
        for (tp, now) in &after.partitions {
            let Some(then) = before.partitions.get(tp) else {
                continue;
            };
            let (Some(ends), Some(committed)) = (
                then.log_end.zip(now.log_end),
                then.committed().zip(now.committed()),
            ) else {
                continue;
            };
            let owner = now.owner();
            let member = owner.and_then(|owner| after.member(owner));
            let growth = Growth {
                produced: rate(ends.0, ends.1).max(0.0),
                consumed: rate(committed.0, committed.1),
                lag: ends.1.saturating_sub(committed.1),
                waiting: ends.0.saturating_sub(committed.1),
                owner: owner.map(str::to_owned),
                member: member.map(|member| member.consumer_id.clone()),
                leader: now.leader,
            };
            partitions.insert(tp.clone(), growth);
        }
        let mut partition_counts = BTreeMap::new();
        for tp in after.partitions.keys() {
            *partition_counts.entry(Arc::clone(&tp.topic)).or_default() += 1;
        }
        let answered = after.answered_in.iter();
        let in_both = answered.filter_map(|(broker, now)| {
            let then = before.answered_in.get(broker)?;
            Some((*broker, *now.min(then)))
        });
        Self {
            partitions,
            partition_counts,
            is_live: after.is_live(),
            answered_in: in_both.collect(),
            elapsed,
        }
    }

    /// How many messages came in a second.
    pub fn produced(&self) -> f64 {
        self.partitions.values().map(|growth| growth.produced).sum()
    }

    /// By how much the stored offsets advanced in a second.
    pub fn consumed(&self) -> f64 {
        self.partitions.values().map(|growth| growth.consumed).sum()
    }

    /// Whether some partition falls behind.
    pub fn grows(&self) -> bool {
        self.partitions.values().any(Growth::falls_behind)
    }
}
