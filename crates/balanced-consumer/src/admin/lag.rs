//! How fast a group reads and is written for, and why it falls behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use divvy_protocol::TopicPartition;

use super::view::GroupView;

/// How much of what is produced may be left over before a partition counts as falling behind: commits come in steps.
const SLACK: f64 = 0.1;

/// How many times as much as the others a partition gets that is called hot.
const HOT: f64 = 2.0;

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
    /// The text of its owner node.
    pub owner: Option<String>,
    /// The id of the member that wrote it, where it is registered.
    pub member: Option<String>,
    /// The broker that leads it.
    pub leader: Option<i32>,
}

/// Why a group falls behind.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LagReason {
    /// Nobody is registered.
    NotRunning,
    /// These partitions have no owner.
    NoReader {
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// No offset of these advanced at all.
    StandsStill {
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// What one broker leads falls behind, whoever reads it, and the rest does not.
    SlowBroker {
        /// The broker.
        broker: i32,
        /// What it leads and is read too slowly.
        partitions: Vec<TopicPartition>,
    },
    /// What one member owns falls behind, and the rest does not.
    SlowMember {
        /// Its id.
        member: String,
        /// What it owns and is read too slowly.
        partitions: Vec<TopicPartition>,
    },
    /// One partition gets far more than the others.
    HotPartition {
        /// The partition.
        tp: TopicPartition,
        /// Its share of what is produced, from 0 to 1.
        share: f64,
    },
    /// More streams would help.
    TooFewMembers {
        /// The topic that falls behind most.
        topic: Arc<str>,
        /// How many streams own something of it.
        have: usize,
        /// How many it takes at the rate of these.
        need: usize,
    },
    /// There are no more partitions than streams, or not as many as it takes streams.
    TooFewPartitions {
        /// The topic that falls behind most.
        topic: Arc<str>,
        /// How many it has.
        partitions: usize,
        /// How many it takes at the rate of the present streams.
        need: usize,
    },
}

impl Growth {
    /// By how many messages a second the lag grows; negative where it shrinks.
    pub fn growth(&self) -> f64 {
        self.produced - self.consumed
    }

    fn falls_behind(&self) -> bool {
        self.lag > 0 && self.growth() > self.produced * SLACK
    }
}

impl LagChange {
    /// Compares two looks at a group that lie `elapsed` apart. Rates make sense over a time in which members commit several times.
    pub fn between(before: &GroupView, after: &GroupView, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64().max(0.001);
        let rate = |before: i64, after: i64| after.saturating_sub(before) as f64 / seconds;
        let mut partitions = BTreeMap::new();
        for (tp, now) in &after.partitions {
            let Some(then) = before.partitions.get(tp) else {
                continue;
            };
            let (Some(lag), Some(_)) = (now.lag(), then.lag()) else {
                continue;
            };
            let owner = now.owner();
            let member = owner.and_then(|owner| after.member(owner));
            let growth = Growth {
                produced: rate(then.log_end.unwrap_or(0), now.log_end.unwrap_or(0)).max(0.0),
                consumed: rate(then.committed().unwrap_or(0), now.committed().unwrap_or(0)),
                lag,
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
        Self {
            partitions,
            partition_counts,
            is_live: after.is_live(),
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

    /// Why the group falls behind; none if it does not.
    pub fn reason(&self) -> Option<LagReason> {
        if !self.grows() {
            return None;
        }
        let causes = [
            Self::nobody_reads,
            Self::stands_still,
            Self::hot_partition,
            Self::slow_broker,
            Self::slow_member,
        ];
        let cause = causes.iter().find_map(|cause| cause(self));
        cause.or_else(|| self.too_few())
    }

    fn behind(&self) -> impl Iterator<Item = (&TopicPartition, &Growth)> {
        let partitions = self.partitions.iter();
        partitions.filter(|(_, growth)| growth.falls_behind())
    }

    /// The partitions that show that others manage: what is produced there is read.
    fn in_time(&self) -> impl Iterator<Item = &Growth> {
        let read = |growth: &&Growth| !growth.falls_behind() && growth.produced > 0.0;
        self.partitions.values().filter(read)
    }

    fn nobody_reads(&self) -> Option<LagReason> {
        if !self.is_live {
            return Some(LagReason::NotRunning);
        }
        let unowned = self.behind().filter(|(_, growth)| growth.owner.is_none());
        let partitions: Vec<_> = unowned.map(|(tp, _)| tp.clone()).collect();
        (!partitions.is_empty()).then_some(LagReason::NoReader { partitions })
    }

    fn stands_still(&self) -> Option<LagReason> {
        let advanced = self.partitions.values().any(|growth| growth.consumed > 0.0);
        let partitions = || self.behind().map(|(tp, _)| tp.clone()).collect();
        (!advanced).then(|| LagReason::StandsStill {
            partitions: partitions(),
        })
    }

    fn hot_partition(&self) -> Option<LagReason> {
        let mut behind = self.behind();
        let (Some((tp, hot)), None) = (behind.next(), behind.next()) else {
            return None;
        };
        let (all, others) = (self.produced(), self.partitions.len() - 1);
        if others == 0 || hot.produced < HOT * (all - hot.produced) / others as f64 {
            return None;
        }
        Some(LagReason::HotPartition {
            tp: tp.clone(),
            share: hot.produced / all,
        })
    }

    /// One broker's partitions are behind, whoever reads them, and those of the other brokers are not.
    fn slow_broker(&self) -> Option<LagReason> {
        let leaders: BTreeSet<_> = self.behind().map(|(_, growth)| growth.leader).collect();
        let members: BTreeSet<_> = self.behind().map(|(_, growth)| &growth.member).collect();
        let &Some(broker) = only(&leaders)? else {
            return None;
        };
        let mut in_time = self.in_time().peekable();
        // A broker that gives some partitions in time is not slow.
        let others_manage =
            in_time.peek().is_some() && in_time.all(|growth| growth.leader != Some(broker));
        (others_manage && members.len() > 1).then(|| LagReason::SlowBroker {
            broker,
            partitions: self.behind().map(|(tp, _)| tp.clone()).collect(),
        })
    }

    /// One member's partitions are behind, and those of the other members are not.
    fn slow_member(&self) -> Option<LagReason> {
        let members: BTreeSet<_> = self.behind().map(|(_, growth)| &growth.member).collect();
        let member = (*only(&members)?).as_ref()?;
        let others_manage = self
            .in_time()
            .any(|growth| growth.member.is_some() && growth.member.as_ref() != Some(member));
        others_manage.then(|| LagReason::SlowMember {
            member: member.clone(),
            partitions: self.behind().map(|(tp, _)| tp.clone()).collect(),
        })
    }

    /// Everybody is behind: more of them would do, as far as there are partitions for them. Streams share each topic by itself.
    fn too_few(&self) -> Option<LagReason> {
        let topic = self.worst_topic()?;
        let partitions = self.partitions.iter().filter(|(tp, _)| tp.topic == topic);
        let (mut produced, mut consumed, mut owners) = (0.0, 0.0, BTreeSet::new());
        for (_, growth) in partitions.clone() {
            produced += growth.produced;
            consumed += growth.consumed;
            owners.extend(&growth.owner);
        }
        if consumed <= 0.0 {
            let behind = partitions.filter(|(_, growth)| growth.falls_behind());
            let partitions = behind.map(|(tp, _)| tp.clone()).collect();
            return Some(LagReason::StandsStill { partitions });
        }
        let have = owners.len().max(1);
        // Saturates where hardly anything is consumed.
        let need =
            ((produced * have as f64 / consumed).ceil() as usize).max(have.saturating_add(1));
        let partitions = self.partition_counts.get(&topic).copied().unwrap_or(0);
        Some(if need <= partitions {
            LagReason::TooFewMembers { topic, have, need }
        } else {
            LagReason::TooFewPartitions {
                topic,
                partitions,
                need,
            }
        })
    }

    /// The topic of whose partitions those that fall behind do so fastest, taken together.
    fn worst_topic(&self) -> Option<Arc<str>> {
        let mut topics: BTreeMap<&Arc<str>, f64> = BTreeMap::new();
        for (tp, growth) in self.behind() {
            *topics.entry(&tp.topic).or_default() += growth.growth();
        }
        let worst = topics.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        worst.map(|(topic, _)| Arc::clone(topic))
    }
}

fn only<T: Ord>(set: &BTreeSet<T>) -> Option<&T> {
    match set.len() {
        1 => set.first(),
        _ => None,
    }
}

/// As many names as a line bears.
pub(super) fn list(partitions: &[TopicPartition]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = partitions
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect();
    let shown = shown.join(", ");
    match partitions.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

/// The reason, and what to do about it.
impl fmt::Display for LagReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning => f.write_str("no member is registered; start the consumers"),
            Self::NoReader { partitions } => {
                write!(
                    f,
                    "nobody owns {}; see what keeps the members from it",
                    list(partitions)
                )
            }
            Self::StandsStill { partitions } => write!(
                f,
                "no offset of {} advanced at all: the members are stuck, or commit less often than this looked; look into them",
                list(partitions)
            ),
            Self::SlowBroker { broker, partitions } => write!(
                f,
                "only what broker {broker} leads falls behind ({}), whoever reads it; look at that broker's disk and load",
                list(partitions)
            ),
            Self::SlowMember { member, partitions } => write!(
                f,
                "only what {member} owns falls behind ({}); look at its handler and its machine",
                list(partitions)
            ),
            Self::HotPartition { tp, share } => write!(
                f,
                "{tp} gets {:.0} % of all messages, and one reader is too slow for that; no member more helps, only keys that spread further or a faster handler",
                share * 100.0
            ),
            Self::TooFewMembers { topic, have, need } => write!(
                f,
                "{have} streams are too few for {topic}: at their rate it takes {need}; start {} more",
                need.saturating_sub(*have)
            ),
            Self::TooFewPartitions {
                topic,
                partitions,
                need,
            } => write!(
                f,
                "at the present rate it takes {need} streams for {topic}, which has {partitions} partitions; add partitions, or make the handler faster"
            ),
        }
    }
}
