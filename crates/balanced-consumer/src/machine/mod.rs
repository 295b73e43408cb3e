//! The state machine of one member: events in, actions out, and nothing else.

mod action;
mod config;
mod event;
mod flow;
mod lease;
mod look;
mod partition;
mod peers;
mod session;
mod state;
#[cfg(test)]
mod tests;
mod timer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use divvy_protocol::TopicPartition;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub use action::{Action, GroupEvent, Operation, Token};
pub use config::MembershipConfig;
pub use event::{Event, Incarnation, Owners, Ownership, SessionEvent};
pub use state::PartitionState;
pub use timer::Time;

use crate::assignor::{Assignment, ConsumerThreadId};
use crate::view::PoisonMember;
use look::Blocked;
use partition::Partition;
use peers::Peers;
use session::{Registration, Session};
use timer::{Backoff, Timer, Timers};

/// One member of a group, without I/O: it registers, looks at the group, claims what is its, and releases what is not.
///
/// Whoever drives it feeds [`handle_event`](Self::handle_event) and [`handle_timeout`](Self::handle_timeout), after each of them
/// takes all actions from [`poll_action`](Self::poll_action), and calls `handle_timeout` at the moment that
/// [`poll_timeout`](Self::poll_timeout) says. It reads no clock and draws its randomness from the seed: the same calls give the same
/// actions.
///
/// It is level-triggered: an event makes it look again and compare what it holds with what it should hold. So nothing depends on
/// every change being seen, and only partitions that move are stopped. Failures are tried again for ever and reported; a partition
/// whose owner does not let go is waited for without limit and reported.
#[derive(Debug)]
pub struct Membership {
    config: MembershipConfig,
    rng: StdRng,
    now: Time,
    actions: VecDeque<Action>,
    timers: Timers,

    incarnation: Incarnation,
    session: Session,
    session_backoff: Backoff,
    registration: Registration,
    register_backoff: Backoff,
    closing: bool,
    standing_down: bool,

    reading: bool,
    look_again: bool,
    view_backoff: Backoff,
    blocked: Option<Blocked>,
    /// Whether the session is known to live.
    leased: bool,
    /// What was resumed and not reported yet.
    resumed: Vec<TopicPartition>,
    idle: bool,
    peers: Peers,
    known_topics: BTreeSet<Arc<str>>,
    gone_topics: BTreeSet<Arc<str>>,
    misplaced: BTreeSet<String>,

    /// What the last assignment gives this member.
    target: Assignment,
    /// Every partition that is in the target or not at rest. Empty whenever no session is open.
    partitions: BTreeMap<TopicPartition, Partition>,
}

impl Membership {
    /// A member that is about to open its first session. `seed` decides its jitter; members of one group should have different ones.
    pub fn new(config: MembershipConfig, seed: u64) -> Self {
        let backoff = Backoff::new(config.retry_backoff, config.retry_backoff_max);
        let mut membership = Self {
            config,
            rng: StdRng::seed_from_u64(seed),
            now: Time::default(),
            actions: VecDeque::new(),
            timers: Timers::default(),
            incarnation: Incarnation(0),
            session: Session::Down,
            session_backoff: backoff.clone(),
            registration: Registration::Absent,
            register_backoff: backoff.clone(),
            closing: false,
            standing_down: false,
            reading: false,
            look_again: false,
            view_backoff: backoff,
            blocked: None,
            leased: false,
            resumed: Vec::new(),
            idle: false,
            peers: Peers::default(),
            known_topics: BTreeSet::new(),
            gone_topics: BTreeSet::new(),
            misplaced: BTreeSet::new(),
            target: Assignment::new(),
            partitions: BTreeMap::new(),
        };
        membership.open_session();
        membership
    }

    /// Takes notice of something that happened. Events of other sessions than the present one change nothing.
    pub fn handle_event(&mut self, now: Time, event: Event) {
        self.now = self.now.max(now);
        match event {
            Event::Close => self.close(),
            Event::StandDown => self.stand_down(),
            Event::StandUp => self.stand_up(),
            Event::Session(incarnation, event) if incarnation == self.incarnation => {
                self.handle_session_event(event);
            }
            Event::Session(..) => {}
        }
        self.settle();
    }

    /// Does what is due. Calling it early or late does no harm.
    pub fn handle_timeout(&mut self, now: Time) {
        self.now = self.now.max(now);
        if self.timers.take_due(Timer::Session, self.now) {
            self.open_session();
        }
        if self.timers.take_due(Timer::Register, self.now) {
            self.register();
        }
        if self.timers.take_due(Timer::Look, self.now) {
            self.look();
        }
        if self.timers.take_due(Timer::Audit, self.now) {
            self.audit();
        }
        if self.timers.take_due(Timer::Survey, self.now) {
            self.survey();
        }
        if self.timers.take_due(Timer::Close, self.now) {
            self.close_now();
        }
        self.settle();
    }

    /// The next thing to do, until there is nothing more.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) has to be called, if no event comes before.
    pub fn poll_timeout(&self) -> Option<Time> {
        let partitions = self.partitions.values();
        partitions
            .filter_map(|partition| partition.deadline(self.config.gather))
            .chain(self.timers.next())
            .min()
    }

    /// The number of the present session.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Whether the member's registration is known to stand.
    pub fn is_registered(&self) -> bool {
        self.registration == Registration::Done
    }

    /// Whether the member is leaving for good, or has left.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// The registrations that block the group, if the last look showed that some do.
    pub fn blocked_by(&self) -> Option<&[PoisonMember]> {
        self.blocked.as_ref().map(Blocked::nodes)
    }

    /// Whether the member has left for good. No action follows the ones that are still to be polled.
    pub fn is_closed(&self) -> bool {
        self.session == Session::Closed
    }

    /// Where a partition stands.
    pub fn state(&self, tp: &TopicPartition) -> PartitionState {
        self.partitions
            .get(tp)
            .map_or(PartitionState::Free, Partition::shown)
    }

    /// Every partition that the member holds, wants or is not done with.
    pub fn partitions(&self) -> impl Iterator<Item = (&TopicPartition, PartitionState)> {
        self.partitions.iter().map(|(tp, p)| (tp, p.shown()))
    }

    /// The partitions that are handed out or suspended, each with its stream and token.
    pub fn owned(&self) -> impl Iterator<Item = (&TopicPartition, &ConsumerThreadId, Token)> {
        let owned = |p: &Partition| p.kind() == PartitionState::Owned;
        self.partitions
            .iter()
            .filter(move |(_, p)| owned(p))
            .filter_map(|(tp, p)| p.claim().map(|claim| (tp, &claim.thread, claim.token)))
    }

    /// Whether everything that the last assignment gives this member is handed out, and nothing is on its way to it or from it.
    pub fn is_settled(&self) -> bool {
        let owned = |partition: &Partition| partition.shown() == PartitionState::Owned;
        // Before the first assignment, and while there can be none, it is neither idle nor has it a target.
        let assigned = self.idle || !self.target.is_empty();
        assigned
            && self.partitions.len() == self.target.len()
            && self.partitions.values().all(owned)
    }

    /// What the last assignment gives this member, owned or not. Empty while the group is blocked and outside a session.
    pub fn assigned(&self) -> &Assignment {
        &self.target
    }
}

/// What the parts of the machine share.
impl Membership {
    /// Brings everything to where it should be, as far as nothing has to be waited for: what leaves before what comes.
    fn settle(&mut self) {
        self.report_resumed();
        self.stop_unassigned();
        self.release_committed();
        self.step_partitions();
        self.start_positioned();
        let target = &self.target;
        self.partitions
            .retain(|tp, partition| !partition.is_at_rest() || target.contains_key(tp));
        self.finish_stand_down();
        self.finish_close();
    }

    fn emit(&mut self, event: GroupEvent) {
        self.actions.push_back(Action::Emit(event));
    }

    fn report(
        &mut self,
        operation: Operation,
        tp: Option<TopicPartition>,
        error: String,
        retry_in: Option<Duration>,
    ) {
        self.emit(GroupEvent::Error {
            operation,
            tp,
            error,
            retry_in,
        });
    }

    /// A random part of a time.
    fn jitter(&mut self, whole: Duration) -> Duration {
        whole.mul_f64(self.rng.random_range(0.0..=1.0))
    }
}
