use std::time::Duration;

use divvy_client::TopicPartition;
use tokio::sync::broadcast;

use crate::assignment::Assignment;

/// Something that an operator, or the application, may want to know of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// These partitions came into this consumer's hands; their messages follow.
    Assigned {
        /// The partitions, in order.
        partitions: Vec<Assignment>,
    },
    /// These partitions were given up in order: nothing more is handed out, what was finished is committed.
    Revoked {
        /// The partitions, in order.
        partitions: Vec<Assignment>,
    },
    /// These partitions were taken away: somebody else may have them already, and nothing was committed.
    Lost {
        /// The partitions, in order.
        partitions: Vec<Assignment>,
        /// What happened.
        reason: String,
    },
    /// Nothing of these partitions is handed out or committed for the time being: it is not known whether they are still this
    /// consumer's alone. Resumed or lost comes next.
    Suspended {
        /// The partitions, in order.
        partitions: Vec<Assignment>,
    },
    /// These partitions were suspended and are this consumer's still, under the same token: their messages go on.
    Resumed {
        /// The partitions, in order.
        partitions: Vec<Assignment>,
    },
    /// An offset was not stored, or was stored over somebody else's, because somebody who does not own the partition wrote it.
    Fenced {
        /// The partition, with the claim under which the offset was to be stored.
        assignment: Assignment,
        /// What was found and done.
        what: String,
    },
    /// The application has had messages of a partition for longer than
    /// [`max_processing_interval`](crate::ConsumerConfig::max_processing_interval) without finishing any. Reported again each time
    /// that passes.
    Stalled {
        /// The partition.
        assignment: Assignment,
        /// For how long, in milliseconds.
        age_ms: u64,
    },
    /// This member has no partition, as a rule because the group has more streams than partitions. It takes over when others
    /// leave.
    Idle,
    /// A partition that is assigned to this member is still owned by another; it is waited for.
    Waiting {
        /// The partition.
        tp: TopicPartition,
        /// The text of the owner node.
        owner: String,
        /// Since when, in milliseconds.
        waited_ms: u64,
    },
    /// A partition that belongs to another member, which lives, has had no owner for longer than that should take: nobody reads it.
    /// Kafka's own consumer and PyKafka's give a partition up for lost that was not released in time, until the group changes.
    /// Repeated every minute.
    Orphan {
        /// The partition.
        tp: TopicPartition,
        /// The member that it belongs to.
        member: String,
        /// For how long it has been seen without an owner, in milliseconds.
        orphaned_ms: u64,
    },
    /// A member that lives goes on owning partitions that do not belong to it, so it must share out by another rule. Repeated every
    /// minute.
    Disagreement {
        /// The member.
        member: String,
        /// Those partitions.
        partitions: Vec<TopicPartition>,
        /// What would explain that, and what to do.
        why: String,
    },
    /// Offsets were stored.
    Committed {
        /// The next offset to read of each partition.
        offsets: Vec<(TopicPartition, i64)>,
    },
    /// A position was chosen by policy, because there was none or it lay outside of the log.
    Reset {
        /// The partition.
        tp: TopicPartition,
        /// The position before; `None` where none was stored.
        from: Option<i64>,
        /// The position now.
        to: i64,
        /// Why.
        reason: ResetReason,
    },
    /// A partition of a spout is handed out as far beyond its oldest unfinished message as it may be, and waits for that one.
    Stuck {
        /// The partition.
        tp: TopicPartition,
        /// The message that is waited for.
        offset: i64,
        /// How many offsets beyond it were handed out.
        span: u64,
    },
    /// A message of a spout was neither acknowledged nor failed in time, and counts as failed.
    AckTimeout {
        /// The partition.
        tp: TopicPartition,
        /// The message.
        offset: i64,
        /// For how long it was in flight.
        age: Duration,
    },
    /// A message of a spout has failed too often, and is not handed out again.
    GivenUp {
        /// The partition.
        tp: TopicPartition,
        /// The message.
        offset: i64,
        /// How often it was handed out.
        attempts: u32,
        /// What became of it.
        fate: Fate,
    },
    /// A message is damaged; the partition stands still before it.
    Corrupt {
        /// The partition.
        tp: TopicPartition,
        /// The offset.
        offset: i64,
        /// What is wrong.
        why: String,
    },
    /// A node in the group's registry keeps every member from sharing partitions.
    Blocked {
        /// Its path.
        node: String,
        /// What it holds.
        data: String,
        /// What that means and what to do.
        why: String,
    },
    /// A topic was deleted; its partitions were given up.
    TopicGone {
        /// Its name.
        topic: String,
    },
    /// Something failed in the background and is tried again.
    Error {
        /// What, where and why.
        message: String,
    },
}

impl Event {
    /// Every name that [`Event::name`] gives.
    pub(crate) const NAMES: [&str; 20] = [
        "assigned",
        "revoked",
        "lost",
        "suspended",
        "resumed",
        "fenced",
        "stalled",
        "idle",
        "waiting",
        "orphan",
        "disagreement",
        "committed",
        "reset",
        "stuck",
        "ack_timeout",
        "given_up",
        "corrupt",
        "blocked",
        "topic_gone",
        "error",
    ];

    /// A short name for logs, scripts and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Assigned { .. } => "assigned",
            Self::Revoked { .. } => "revoked",
            Self::Lost { .. } => "lost",
            Self::Suspended { .. } => "suspended",
            Self::Resumed { .. } => "resumed",
            Self::Fenced { .. } => "fenced",
            Self::Stalled { .. } => "stalled",
            Self::Idle => "idle",
            Self::Waiting { .. } => "waiting",
            Self::Orphan { .. } => "orphan",
            Self::Disagreement { .. } => "disagreement",
            Self::Committed { .. } => "committed",
            Self::Reset { .. } => "reset",
            Self::Stuck { .. } => "stuck",
            Self::AckTimeout { .. } => "ack_timeout",
            Self::GivenUp { .. } => "given_up",
            Self::Corrupt { .. } => "corrupt",
            Self::Blocked { .. } => "blocked",
            Self::TopicGone { .. } => "topic_gone",
            Self::Error { .. } => "error",
        }
    }
}

/// What became of a message of a spout that has failed too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It counts as finished.
    Dropped,
    /// It was taken as a dead letter.
    DeadLettered,
    /// Its partition stands still before it.
    Halted,
    /// It failed, was to be fetched again, and is not in the log any more.
    NotInLog,
}

impl Fate {
    /// A short name for logs and scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::DeadLettered => "dead_lettered",
            Self::Halted => "halted",
            Self::NotInLog => "not_in_log",
        }
    }
}

/// Why a position was chosen by policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetReason {
    /// Nothing is stored for the group.
    NoStoredOffset,
    /// The position lay below the first offset of the log: retention was faster than the consumer.
    BelowLogStart,
    /// The position lay above the end of the log: the log was truncated, or the topic made anew.
    AboveLogEnd,
}

impl ResetReason {
    /// A short name for logs and scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoStoredOffset => "no_stored_offset",
            Self::BelowLogStart => "below_log_start",
            Self::AboveLogEnd => "above_log_end",
        }
    }
}

/// How many events a slow subscriber may fall behind before it misses the oldest.
const KEPT_EVENTS: usize = 1024;

/// Where a consumer reports its events.
#[derive(Clone, Debug)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT_EVENTS))
    }
}

impl Events {
    /// Reports an event to all subscribers, and to the log.
    pub fn emit(&self, event: Event) {
        match &event {
            Event::Error { message } => tracing::warn!("{message}"),
            event => tracing::debug!(?event),
        }
        // Without a subscriber nobody wants to know.
        let _ = self.0.send(event);
    }

    /// Sees every event from now on. Who falls behind by more than 1024 events is told how many were missed.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}
