//! The only loop: takes what happens to the machine, and does what the machine says.

mod act;
mod follow;
mod lease;
mod partitions;
mod registry;
mod report;
mod unread;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use divvy_protocol::TopicPartition;
use divvy_simple_consumer::{Assignment, Engine, Event as ConsumerEvent, Start};
use divvy_zookeeper::{Change, Changes, Session, ZooKeeper};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

use self::follow::Follower;
pub(crate) use self::follow::Following;
use self::lease::{Followed, LeaseGate};
use self::registry::{JavaRegistry, Meaning, Own, PyKafkaRegistry, Registry};
pub(crate) use self::registry::{
    blocking_pykafka_member, java_member_alone, names_topic, subscription,
};
pub(crate) use self::report::why_blocked;
use self::unread::{Standing, Unread};
use crate::assignor::ConsumerThreadId;
use crate::consumer::OnZkLoss;
use crate::dialect::OwnerDirectories;
use crate::fence::{FenceReport, GroupOffsets};
use crate::listener::RebalanceListener;
use crate::machine::{Event, Incarnation, Membership, MembershipConfig, SessionEvent, Time, Token};
use crate::metrics::GroupMeter;
use crate::topic_filter::TopicFilter;

/// How often a member that left because of its application looks whether that goes on.
const GOES_ON_CHECK: Duration = Duration::from_millis(50);

/// What a member is, for as long as it lives.
pub(crate) struct Member {
    pub(crate) group: String,
    pub(crate) zookeeper: ZooKeeper,
    pub(crate) registration: Registered,
    /// What a nudge writes.
    pub(crate) nudge: String,
    /// Whether to end with an error when a PyKafka member blocks the group.
    pub(crate) refuse_foreign: bool,
    /// As what to take part in the division of PyKafka members that block the group, if that is wanted.
    pub(crate) following: Option<Following>,
    pub(crate) machine: MembershipConfig,
    pub(crate) offsets: Arc<GroupOffsets>,
    /// What the offsets report.
    pub(crate) reports: mpsc::Receiver<FenceReport>,
    pub(crate) on_zk_loss: OnZkLoss,
    pub(crate) listener: Arc<dyn RebalanceListener>,
    pub(crate) listener_timeout: Duration,
    /// What decides all that is by chance.
    pub(crate) seed: u64,
}

/// How a member registers, in the dialect of its group.
#[derive(Clone, Debug)]
pub(crate) enum Registered {
    /// In Java's, by this document.
    Java {
        document: String,
        topics: Subscribed,
    },
    /// In PyKafka's, for one topic.
    PyKafka {
        topic: String,
        directories: OwnerDirectories,
        /// Whether members of Kafka's own dialect belong to the group as well.
        beside_java: bool,
    },
}

/// The topics that a member consumes.
#[derive(Clone, Debug)]
pub(crate) enum Subscribed {
    Named(Vec<Arc<str>>),
    Matching(TopicFilter),
}

/// What a task of the driver came back with.
struct Answer {
    incarnation: Incarnation,
    events: Vec<SessionEvent>,
    /// The session that was opened, if that was the task.
    session: Option<Session>,
    /// Where a partition will start, if that was the task.
    position: Option<(TopicPartition, Start)>,
    /// The partitions that the listener was told of, and where they start, if that was the task.
    starts: Vec<(Assignment, Start)>,
    /// How far the partitions of others are, if that was the task.
    standings: Option<BTreeMap<TopicPartition, Standing>>,
}

impl Answer {
    fn new(incarnation: Incarnation, events: Vec<SessionEvent>) -> Self {
        Self {
            incarnation,
            events,
            session: None,
            position: None,
            starts: Vec::new(),
            standings: None,
        }
    }
}

pub(crate) struct Driver {
    member: Member,
    engine: Arc<Engine>,
    machine: Membership,
    origin: Instant,
    registry: Option<Arc<dyn Registry>>,
    changes: Option<Changes>,
    lease: Option<Followed>,
    tasks: FuturesUnordered<BoxFuture<'static, Answer>>,
    starting: BTreeMap<TopicPartition, Start>,
    held: BTreeMap<TopicPartition, Assignment>,
    /// The gates of the partitions that the engine holds.
    gates: BTreeMap<TopicPartition, Arc<LeaseGate>>,
    /// The second member that takes part in PyKafka's division.
    follower: Option<Follower>,
    /// How far the partitions of PyKafka's own members were.
    unread: Unread,
    /// Whether the group has to be left because of somebody else's member.
    refused: bool,
    /// How often the application had asked for messages when it was found not to go on.
    stood_down_at: Option<u64>,
    /// Completed when the listener has been told all that it was to be told so far.
    told: Option<oneshot::Receiver<()>>,
    /// Whether the engine holds all that is this member's, and nothing else.
    settled: watch::Sender<bool>,
    /// The partitions that each topic had when this member first saw it.
    original: BTreeMap<Arc<str>, Vec<i32>>,
    meter: GroupMeter,
}

/// What woke the loop.
enum Wake {
    Close,
    Abandoned,
    Answer(Answer),
    Change(Option<Change>),
    Report(FenceReport),
    Lease,
    /// The second member has left.
    Follower,
    /// The application does not go on.
    Stalled,
    /// It goes on again.
    GoesOn,
    Timeout,
}

impl Driver {
    pub(crate) fn new(member: Member, engine: Arc<Engine>, settled: watch::Sender<bool>) -> Self {
        let origin = Instant::now();
        Self {
            machine: Membership::new(member.machine.clone(), member.seed),
            meter: GroupMeter::new(&member.group, origin),
            member,
            engine,
            origin,
            registry: None,
            changes: None,
            lease: None,
            tasks: FuturesUnordered::new(),
            starting: BTreeMap::new(),
            held: BTreeMap::new(),
            gates: BTreeMap::new(),
            follower: None,
            unread: Unread::default(),
            refused: false,
            stood_down_at: None,
            told: None,
            settled,
            original: BTreeMap::new(),
        }
    }

    /// Runs until the member has left. `close` is completed to ask for that, and dropped when nobody waits for it any more: then
    /// everything is let go of at once, and the end of the session tells the others.
    pub(crate) async fn run(mut self, mut close: oneshot::Receiver<()>) {
        let mut asked_to_close = false;
        loop {
            self.follow_lease();
            self.act();
            if std::mem::take(&mut self.refused) {
                self.handle(Event::Close);
                continue;
            }
            self.follow();
            let followed = self.follower.as_ref().is_none_or(Follower::is_settled);
            // What the listener is being told of is not handed out yet.
            let held = |(tp, ..): (&TopicPartition, _, _)| self.gates.contains_key(tp);
            let held = self.machine.owned().all(held);
            let settled = followed && held && self.machine.is_settled();
            self.meter.settled(settled, Instant::now());
            self.settled.send_replace(settled);
            if self.machine.is_closed() && self.follower.is_none() {
                return;
            }
            match self.wake(&mut close, asked_to_close).await {
                Wake::Close => {
                    asked_to_close = true;
                    self.handle(Event::Close);
                }
                Wake::Abandoned => break,
                Wake::Answer(answer) => self.answered(answer),
                Wake::Change(change) => self.changed(change),
                Wake::Report(report) => match &self.follower {
                    Some(follower) => follower.report(report),
                    None => self.reported(report),
                },
                Wake::Follower => self.follower = None,
                // Looked at in any case.
                Wake::Lease => {}
                Wake::Stalled => {
                    self.stood_down_at = Some(self.engine.calls());
                    self.handle(Event::StandDown);
                }
                Wake::GoesOn => {
                    self.stood_down_at = None;
                    self.handle(Event::StandUp);
                }
                Wake::Timeout => {
                    let now = self.now();
                    self.machine.handle_timeout(now);
                }
            }
        }
        if let Some(registry) = &self.registry
            && let Err(error) = registry.own().session.close().await
        {
            tracing::debug!(%error, "the session of an abandoned consumer ends by itself");
        }
    }

    async fn wake(&mut self, close: &mut oneshot::Receiver<()>, asked_to_close: bool) -> Wake {
        let deadline = self.machine.poll_timeout();
        let due = async {
            match deadline {
                Some(at) => sleep_until(self.origin + at.elapsed()).await,
                None => std::future::pending().await,
            }
        };
        let changes = &mut self.changes;
        let change = async {
            match changes {
                Some(changes) => changes.recv().await,
                None => std::future::pending().await,
            }
        };
        let lease = self.lease.as_ref();
        let lease = async {
            match lease {
                Some(lease) => lease.changed().await,
                None => std::future::pending().await,
            }
        };
        let follows = self.follower.is_some();
        let follower = self.follower.as_mut();
        let follower = async {
            match follower {
                Some(follower) => follower.ended().await,
                None => std::future::pending().await,
            }
        };
        let (engine, stood_down_at) = (&self.engine, self.stood_down_at);
        let has_left = !self.machine.is_registered();
        let stall = async {
            match stood_down_at {
                // That is the other member's to act on.
                None if follows => std::future::pending().await,
                None => {
                    engine.stalled().await;
                    Wake::Stalled
                }
                // Others are to have the partitions first.
                Some(_) if !has_left => std::future::pending().await,
                Some(calls) => {
                    while !engine.goes_on_since(calls) {
                        sleep(GOES_ON_CHECK).await;
                    }
                    Wake::GoesOn
                }
            }
        };
        // In this order, so that the same things happening give the same run.
        tokio::select! {
            biased;
            () = lease => Wake::Lease,
            Some(report) = self.member.reports.recv() => Wake::Report(report),
            asked = close, if !asked_to_close => match asked {
                Ok(()) => Wake::Close,
                Err(_) => Wake::Abandoned,
            },
            Some(answer) = self.tasks.next() => Wake::Answer(answer),
            change = change => Wake::Change(change),
            () = follower => Wake::Follower,
            stall = stall => stall,
            () = due => Wake::Timeout,
        }
    }

    fn now(&self) -> Time {
        Time::since_origin(self.origin.elapsed())
    }

    fn handle(&mut self, event: Event) {
        let now = self.now();
        tracing::trace!(?event, "group event");
        self.meter.note(&event);
        self.machine.handle_event(now, event);
    }

    fn handle_session(&mut self, event: SessionEvent) {
        self.handle(Event::Session(self.machine.incarnation(), event));
    }

    fn answered(&mut self, answer: Answer) {
        if let Some(session) = answer.session
            && answer.incarnation == self.machine.incarnation()
        {
            self.changes = Some(session.subscribe());
            self.lease = Some(Followed::new(
                session.lease().clone(),
                self.member.on_zk_loss,
            ));
            self.registry = Some(self.registry_of(session));
        }
        if let Some((tp, start)) = answer.position {
            self.starting.insert(tp, start);
        }
        for (assignment, start) in answer.starts {
            self.assign(assignment, start);
        }
        if let Some(standings) = answer.standings {
            self.report_unread(standings);
        }
        for event in answer.events {
            if let SessionEvent::OwnersRead(owners) = &event {
                self.measure_others(owners);
            }
            if let SessionEvent::ViewRead(view) = &event {
                for (topic, ids) in &view.partitions {
                    let first = || ids.clone();
                    self.original.entry(Arc::clone(topic)).or_insert_with(first);
                }
            }
            self.handle(Event::Session(answer.incarnation, event));
        }
    }

    fn registry_of(&self, session: Session) -> Arc<dyn Registry> {
        let own = |data: &str| Own {
            session,
            group: self.member.group.clone(),
            consumer_id: Arc::clone(&self.member.machine.consumer_id),
            data: data.as_bytes().to_vec(),
            owner_nodes: Default::default(),
        };
        match &self.member.registration {
            Registered::Java { document, topics } => {
                Arc::new(JavaRegistry::new(own(document), topics.clone()))
            }
            Registered::PyKafka {
                topic,
                directories,
                beside_java,
            } => {
                let (own, topic) = (own(topic), topic.clone());
                let registry = PyKafkaRegistry::new(own, topic, *directories);
                Arc::new(registry.beside_java(*beside_java))
            }
        }
    }

    /// Does nothing in the present session any more.
    fn end_session(&mut self) -> Option<Arc<dyn Registry>> {
        self.changes = None;
        self.lease = None;
        self.registry.take()
    }

    /// Tells the application, and the machine, what was found where only the owner of a partition writes.
    fn reported(&mut self, report: FenceReport) {
        let FenceReport {
            assignment,
            what,
            fenced,
        } = report;
        let (tp, token) = (assignment.tp.clone(), Token(assignment.token));
        self.engine.emit(ConsumerEvent::Fenced { assignment, what });
        if fenced {
            self.handle_session(SessionEvent::Fenced { tp, token });
        }
    }

    /// Tells the machine what a watch saw.
    fn changed(&mut self, change: Option<Change>) {
        let Some(change) = change else {
            self.end_session();
            self.handle_session(SessionEvent::SessionExpired);
            return;
        };
        match &change {
            Change::Everything => {
                let tps: Vec<_> = self
                    .machine
                    .partitions()
                    .map(|(tp, _)| tp.clone())
                    .collect();
                for tp in tps {
                    self.handle_session(SessionEvent::OwnerNodeChanged { tp });
                }
                self.handle_session(SessionEvent::Changed);
            }
            Change::Node { path, .. } => {
                let meaning = self
                    .registry
                    .as_ref()
                    .map(|registry| registry.meaning(path));
                match meaning.unwrap_or(Meaning::Nothing) {
                    Meaning::Owner(tp) => {
                        self.handle_session(SessionEvent::OwnerNodeChanged { tp });
                    }
                    Meaning::Group => self.handle_session(SessionEvent::Changed),
                    Meaning::Nothing => {}
                }
            }
        }
    }
}

/// What a claim means to the engine.
fn assignment(tp: TopicPartition, token: Token, thread: &ConsumerThreadId) -> Assignment {
    Assignment {
        tp,
        token: token.0,
        stream: usize::try_from(thread.thread).unwrap_or(usize::MAX),
    }
}
