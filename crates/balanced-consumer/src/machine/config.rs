use std::sync::Arc;
use std::time::Duration;

use crate::assignor::Assignor;

/// How a [`Membership`](super::Membership) behaves.
///
/// `MembershipConfig { resync: …, ..MembershipConfig::new(id, assignor) }` changes single fields.
#[derive(Clone, Debug)]
pub struct MembershipConfig {
    /// This member's id, the name of its node below `ids`. Kafka: `<group>_<host>-<ms>-<8 hex digits>`; ASCII, without `/`.
    pub consumer_id: Arc<str>,
    /// The rule that shares partitions out; the same in every member. Kafka: `partition.assignment.strategy`.
    pub assignor: Arc<dyn Assignor>,
    /// A change of the group is looked at within this time, at random, so that many members do not all read at once and several
    /// changes become one look. Default 100 ms.
    pub debounce: Duration,
    /// The group is looked at again after this time (shortened at random by up to half) even if no watch fired. Default 45 s.
    pub resync: Duration,
    /// The member's own owner nodes are looked at after this time (shortened at random by up to half) even if no watch fired.
    /// Default 20 s.
    pub audit: Duration,
    /// The pause after a first failure; it doubles with each further one. Default 200 ms. Kafka: `rebalance.backoff.ms`.
    pub retry_backoff: Duration,
    /// The longest pause after a failure. Default 10 s. There is no longest number of failures, unlike Kafka's
    /// `rebalance.max.retries`.
    pub retry_backoff_max: Duration,
    /// A refused claim waits for the owner node to go; beside that it is tried again after this time, which doubles. Default 2 s.
    pub recheck: Duration,
    /// The longest time between two tries of a refused claim. Default 10 s.
    pub recheck_max: Duration,
    /// A claim that has been refused for this long is reported, and again with each further refusal. Default 1 s, which is longer
    /// than a release normally takes.
    pub report_waiting_after: Duration,
    /// The longest time that one partition's event is held back to be reported together with others. Default 20 ms.
    pub gather: Duration,
    /// What the others own is looked at within one to two times this time after a change of the group, and again for as long as
    /// something is odd. Default 4 s.
    pub survey: Duration,
    /// For how long a partition of another member may be without an owner, or in the hands of one to whom it does not belong,
    /// before that is reported. Default 16 s: twice what a Java member takes for all its attempts.
    pub patience: Duration,
    /// Whether to make the others look at the group again when a partition of theirs has been without an owner for that long.
    /// Default no.
    pub nudge: bool,
    /// What goes on is reported again after this time, and no member nudges more often. Default 1 min.
    pub remind: Duration,
    /// A partition whose commit still fails after this time is released without it, and its next owner reads from the commit
    /// before. Default 4 s: a Java member waits for about 8 s for an owner node before it gives up.
    pub commit_deadline: Duration,
    /// [`Event::Close`](super::Event::Close) is orderly for this long; what is left then ends with the session. Default 10 s.
    pub close_deadline: Duration,
    /// How long closing the session may take then. Default 1 s.
    pub close_grace: Duration,
}

impl MembershipConfig {
    /// A member with default settings.
    pub fn new(consumer_id: impl Into<Arc<str>>, assignor: Arc<dyn Assignor>) -> Self {
        Self {
            consumer_id: consumer_id.into(),
            assignor,
            debounce: Duration::from_millis(100),
            resync: Duration::from_secs(45),
            audit: Duration::from_secs(20),
            retry_backoff: Duration::from_millis(200),
            retry_backoff_max: Duration::from_secs(10),
            recheck: Duration::from_secs(2),
            recheck_max: Duration::from_secs(10),
            report_waiting_after: Duration::from_secs(1),
            gather: Duration::from_millis(20),
            survey: Duration::from_secs(4),
            patience: Duration::from_secs(16),
            nudge: false,
            remind: Duration::from_secs(60),
            commit_deadline: Duration::from_secs(4),
            close_deadline: Duration::from_secs(10),
            close_grace: Duration::from_secs(1),
        }
    }
}
