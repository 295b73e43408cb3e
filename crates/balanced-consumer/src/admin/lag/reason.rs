//! The reasons, and what to do about each.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use divvy_protocol::TopicPartition;

/// Why a group falls behind. As text it says what to do, too.
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
        /// The ids of their owners.
        members: Vec<String>,
        /// Whether other offsets of the group advanced.
        others_advance: bool,
        /// For how long that was looked at.
        within: Duration,
    },
    /// What one broker leads falls behind, and the broker is the reason.
    SlowBroker {
        /// The broker.
        broker: i32,
        /// What it leads and is read too slowly.
        partitions: Vec<TopicPartition>,
        /// How long it takes to say where its logs end, where that is what shows it. Otherwise several members read all that it
        /// leads slower than what others lead.
        answered_in: Option<Duration>,
    },
    /// What one member owns falls behind, and the rest does not.
    SlowMember {
        /// Its id.
        member: String,
        /// What it owns and is read too slowly.
        partitions: Vec<TopicPartition>,
        /// How many messages it finishes in a second.
        finishes: f64,
        /// How many another member finishes.
        another: f64,
    },
    /// One partition gets far more than the others, and more than one reader manages.
    HotPartition {
        /// The partition.
        tp: TopicPartition,
        /// Its share of what is produced to its topic, from 0 to 1.
        share: f64,
    },
    /// More streams would help.
    TooFewMembers {
        /// The topic that falls behind most.
        topic: Arc<str>,
        /// How many streams own something of it.
        have: usize,
        /// With how many, none has more to do than it manages at the rate of these. Partitions are shared out whole, so that these may be more
        /// than the rates alone say.
        need: usize,
        /// How many messages one of those that fall behind finishes in a second.
        rate: f64,
    },
    /// As many streams as there are partitions would not do.
    TooFewPartitions {
        /// The topic that falls behind most.
        topic: Arc<str>,
        /// How many it has.
        partitions: usize,
        /// How many it takes at the rate of the present streams.
        need: usize,
        /// How many messages one of those that fall behind finishes in a second.
        rate: f64,
    },
}

impl LagReason {
    /// The name for JSON: `not-running`, `no-reader`, `stands-still`, `slow-broker`, `slow-member`, `hot-partition`,
    /// `too-few-members` or `too-few-partitions`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotRunning => "not-running",
            Self::NoReader { .. } => "no-reader",
            Self::StandsStill { .. } => "stands-still",
            Self::SlowBroker { .. } => "slow-broker",
            Self::SlowMember { .. } => "slow-member",
            Self::HotPartition { .. } => "hot-partition",
            Self::TooFewMembers { .. } => "too-few-members",
            Self::TooFewPartitions { .. } => "too-few-partitions",
        }
    }
}

/// The reason, and what to do about it.
impl fmt::Display for LagReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning => f.write_str("no member is registered; start the consumers"),
            Self::NoReader { partitions } => write!(
                f,
                "nobody owns {}; `divvy group doctor` says what keeps the members from it",
                list(partitions)
            ),
            Self::StandsStill {
                partitions,
                members,
                others_advance,
                within,
            } => {
                let (list, members, within) =
                    (list(partitions), names(members), within.as_secs_f64());
                write!(
                    f,
                    "no offset of {list} advanced at all within {within:.0} s"
                )?;
                match others_advance {
                    true => write!(
                        f,
                        ", and others did: {members} is stuck there; see in its log which message it cannot read, or what its handler waits for"
                    ),
                    false => write!(
                        f,
                        ": the members are stuck, or commit less often than that, as Java's consumer does once a minute; look again with --interval 2m, and then into {members}"
                    ),
                }
            }
            Self::SlowBroker {
                broker,
                partitions,
                answered_in: Some(answered_in),
            } => write!(
                f,
                "broker {broker} took {:.1} s to say where its logs end, which takes milliseconds, and what it leads falls behind ({}); look at that broker's disk, load and network",
                answered_in.as_secs_f64(),
                list(partitions)
            ),
            Self::SlowBroker {
                broker,
                partitions,
                answered_in: None,
            } => write!(
                f,
                "only what broker {broker} leads falls behind ({}), whoever reads it; look at that broker's disk, load and network",
                list(partitions)
            ),
            Self::SlowMember {
                member,
                partitions,
                finishes,
                another,
            } => write!(
                f,
                "only what {member} owns falls behind ({}): it finishes {finishes:.1} messages a second, and another member {another:.1}; look at its handler and its machine",
                list(partitions)
            ),
            Self::HotPartition { tp, share } => write!(
                f,
                "{tp} gets {:.0} % of its topic's messages, and one reader is too slow for that; no member more helps, only keys that spread further or a faster handler",
                share * 100.0
            ),
            Self::TooFewMembers {
                topic,
                have,
                need,
                rate,
            } => write!(
                f,
                "{} too few for {topic}: one finishes about {rate:.1} messages a second, and it takes {need} at that rate; start {} more, or make the handler faster",
                match have {
                    1 => "1 stream is".to_owned(),
                    have => format!("{have} streams are"),
                },
                need.saturating_sub(*have)
            ),
            Self::TooFewPartitions {
                topic,
                partitions,
                need,
                rate,
            } => write!(
                f,
                "{topic} has too few partitions: a stream finishes about {rate:.1} messages a second, at which it takes {need} streams, and only {partitions} can share {}; make the handler faster, or add partitions and members",
                match partitions {
                    1 => "1 partition".to_owned(),
                    partitions => format!("{partitions} partitions"),
                }
            ),
        }
    }
}

/// As many names as a line bears.
pub(in crate::admin) fn list(partitions: &[TopicPartition]) -> String {
    let shown: Vec<String> = partitions.iter().map(ToString::to_string).collect();
    names(&shown)
}

fn names(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.get(..SHOWN).unwrap_or(names).join(", ");
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}
