//! What the driver counts of a member, through the `metrics` facade. The machine itself counts nothing.

use metrics::{
    Counter, Histogram, SharedString, Unit, counter, describe_counter, describe_histogram,
    histogram,
};
use tokio::time::Instant;

use crate::machine::{Event, SessionEvent};

const CLAIMS: &str = "divvy_group_claims_total";
const REBALANCES: &str = "divvy_group_rebalances_total";
const REBALANCE_DURATION: &str = "divvy_group_rebalance_duration_seconds";
const LEASE_ENDS: &str = "divvy_group_lease_ends_total";
const SESSION_ENDS: &str = "divvy_group_session_ends_total";

/// Describes the metrics of this crate to the recorder that is installed, for those that pass descriptions on.
pub fn describe_metrics() {
    describe_counter!(
        CLAIMS,
        Unit::Count,
        "Attempts to claim partitions: claimed, refused because somebody has them, or failed."
    );
    describe_counter!(
        REBALANCES,
        Unit::Count,
        "How often this member came to hold all that is its own, and nothing else."
    );
    describe_histogram!(
        REBALANCE_DURATION,
        Unit::Seconds,
        "From the first sign of a change to that."
    );
    describe_counter!(
        LEASE_ENDS,
        Unit::Count,
        "How often nothing might be handed out any more, because ZooKeeper had not answered."
    );
    describe_counter!(
        SESSION_ENDS,
        Unit::Count,
        "ZooKeeper sessions that ended by themselves."
    );
}

/// What is counted of one member. A recorder must be installed before it starts.
pub(crate) struct GroupMeter {
    claimed: Counter,
    refused: Counter,
    failed: Counter,
    lease_ends: Counter,
    session_ends: Counter,
    rebalances: Counter,
    rebalance_duration: Histogram,
    /// Since when the member has not held what is its own.
    unsettled: Option<Instant>,
}

impl GroupMeter {
    pub(crate) fn new(group: &str, now: Instant) -> Self {
        let group = SharedString::from(group.to_owned());
        let claims = |outcome: &'static str| counter!(CLAIMS, "group" => group.clone(), "outcome" => outcome);
        Self {
            claimed: claims("claimed"),
            refused: claims("refused"),
            failed: claims("failed"),
            lease_ends: counter!(LEASE_ENDS, "group" => group.clone()),
            session_ends: counter!(SESSION_ENDS, "group" => group.clone()),
            rebalances: counter!(REBALANCES, "group" => group.clone()),
            rebalance_duration: histogram!(REBALANCE_DURATION, "group" => group),
            unsettled: Some(now),
        }
    }

    /// What the machine is told.
    pub(crate) fn note(&self, event: &Event) {
        let Event::Session(_, event) = event else {
            return;
        };
        match event {
            SessionEvent::Claimed { .. } => self.claimed.increment(1),
            SessionEvent::ClaimRefused { .. } => self.refused.increment(1),
            SessionEvent::ClaimFailed { .. } => self.failed.increment(1),
            SessionEvent::LeaseEnded => self.lease_ends.increment(1),
            SessionEvent::SessionExpired => self.session_ends.increment(1),
            _ => {}
        }
    }

    /// Whether the member holds all that is its own, and nothing else.
    pub(crate) fn settled(&mut self, is_settled: bool, now: Instant) {
        match self.unsettled {
            Some(since) if is_settled => {
                self.rebalances.increment(1);
                self.rebalance_duration.record(now - since);
                self.unsettled = None;
            }
            None if !is_settled => self.unsettled = Some(now),
            _ => {}
        }
    }
}
