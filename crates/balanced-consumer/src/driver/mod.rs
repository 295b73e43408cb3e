//! The only loop: takes what happens to the machine, and does what the machine says.

mod registry;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use divvy_protocol::TopicPartition;
use divvy_simple_consumer::{Assignment, Engine, Event as ConsumerEvent, OffsetReset};
use divvy_zookeeper::{Change, Changes, Session, ZooKeeper, paths};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use self::registry::{Registry, partition_of};
use crate::assignor::ConsumerThreadId;
use crate::listener::RebalanceListener;
use crate::machine::{
    Action, Event, GroupEvent, Incarnation, Membership, MembershipConfig, SessionEvent, Time, Token,
};
use crate::view::PoisonKind;

/// What a member is, for as long as it lives.
pub(crate) struct Member {
    pub(crate) group: String,
    pub(crate) zookeeper: ZooKeeper,
    pub(crate) registration: String,
    pub(crate) topics: Vec<Arc<str>>,
    pub(crate) machine: MembershipConfig,
    pub(crate) listener: Arc<dyn RebalanceListener>,
    pub(crate) listener_timeout: Duration,
}

/// What a task of the driver came back with.
struct Answer {
    incarnation: Incarnation,
    events: Vec<SessionEvent>,
    /// The session that was opened, if that was the task.
    session: Option<Session>,
    /// Where a partition will start, if that was the task.
    start: Option<(TopicPartition, Starting)>,
}

/// Where a claimed partition starts.
#[derive(Clone, Copy)]
struct Starting {
    offset: i64,
    committed: Option<i64>,
}

pub(crate) struct Driver {
    member: Member,
    engine: Arc<Engine>,
    machine: Membership,
    origin: Instant,
    registry: Option<Arc<Registry>>,
    changes: Option<Changes>,
    tasks: FuturesUnordered<BoxFuture<'static, Answer>>,
    starting: BTreeMap<TopicPartition, Starting>,
    held: BTreeMap<TopicPartition, Assignment>,
    /// The partitions that each topic had when this member first saw it.
    original: BTreeMap<Arc<str>, Vec<i32>>,
}

/// Actions of one round that are done together, so that a listener hears of them at once.
#[derive(Default)]
struct Round {
    starts: Vec<(TopicPartition, Token, ConsumerThreadId)>,
    stops: Vec<TopicPartition>,
    lost: Vec<TopicPartition>,
}

/// What woke the loop.
enum Wake {
    Close,
    Abandoned,
    Answer(Answer),
    Change(Option<Change>),
    Timeout,
}

impl Driver {
    pub(crate) fn new(member: Member, engine: Arc<Engine>) -> Self {
        Self {
            machine: Membership::new(member.machine.clone(), rand::random()),
            member,
            engine,
            origin: Instant::now(),
            registry: None,
            changes: None,
            tasks: FuturesUnordered::new(),
            starting: BTreeMap::new(),
            held: BTreeMap::new(),
            original: BTreeMap::new(),
        }
    }

    /// Runs until the member has left. `close` is completed to ask for that, and dropped when nobody waits for it any more: then
    /// everything is let go of at once, and the end of the session tells the others.
    pub(crate) async fn run(mut self, mut close: oneshot::Receiver<()>) {
        let mut asked_to_close = false;
        loop {
            self.act().await;
            if self.machine.is_closed() {
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
                Wake::Timeout => {
                    let now = self.now();
                    self.machine.handle_timeout(now);
                }
            }
        }
        if let Some(registry) = &self.registry
            && let Err(error) = registry.session.close().await
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
        tokio::select! {
            asked = close, if !asked_to_close => match asked {
                Ok(()) => Wake::Close,
                Err(_) => Wake::Abandoned,
            },
            Some(answer) = self.tasks.next() => Wake::Answer(answer),
            change = change => Wake::Change(change),
            () = due => Wake::Timeout,
        }
    }

    fn now(&self) -> Time {
        Time::since_origin(self.origin.elapsed())
    }

    fn handle(&mut self, event: Event) {
        let now = self.now();
        tracing::trace!(?event, "group event");
        self.machine.handle_event(now, event);
    }

    fn handle_session(&mut self, event: SessionEvent) {
        self.handle(Event::Session(self.machine.incarnation(), event));
    }

    fn answered(&mut self, answer: Answer) {
        if let Some(session) = answer.session {
            if answer.incarnation == self.machine.incarnation() {
                self.changes = Some(session.subscribe());
                self.registry = Some(Arc::new(Registry {
                    session,
                    group: self.member.group.clone(),
                    consumer_id: Arc::clone(&self.member.machine.consumer_id),
                    registration: self.member.registration.clone(),
                    topics: self.member.topics.clone(),
                    known: Default::default(),
                }));
            }
        }
        if let Some((tp, start)) = answer.start {
            self.starting.insert(tp, start);
        }
        for event in answer.events {
            if let SessionEvent::ViewRead(view) = &event {
                for (topic, ids) in &view.partitions {
                    let first = || ids.clone();
                    self.original.entry(Arc::clone(topic)).or_insert_with(first);
                }
            }
            self.handle(Event::Session(answer.incarnation, event));
        }
    }

    /// Tells the machine what a watch saw.
    fn changed(&mut self, change: Option<Change>) {
        let Some(change) = change else {
            self.changes = None;
            self.registry = None;
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
                if let Some(tp) = partition_of(&self.member.group, path) {
                    self.handle_session(SessionEvent::OwnerNodeChanged { tp });
                } else if change.concerns(&paths::group_ids(&self.member.group))
                    || path.starts_with(paths::TOPICS)
                {
                    self.handle_session(SessionEvent::Changed);
                }
            }
        }
    }

    /// Does everything that the machine says.
    async fn act(&mut self) {
        loop {
            let mut round = Round::default();
            let mut any = false;
            while let Some(action) = self.machine.poll_action() {
                any = true;
                tracing::trace!(?action, "group action");
                self.begin(action, &mut round);
            }
            if !any {
                return;
            }
            self.lose(round.lost).await;
            self.start(round.starts).await;
            self.stop(round.stops);
        }
    }

    fn begin(&mut self, action: Action, round: &mut Round) {
        match action {
            Action::OpenSession { incarnation } => self.open_session(incarnation),
            Action::Register => self.with_registry(
                |registry| async move { registry.register().await },
                |error| SessionEvent::RegisterFailed { error },
            ),
            Action::ReadView => self.with_registry(
                |registry| async move { registry.view().await.map(SessionEvent::ViewRead) },
                |error| SessionEvent::ViewFailed { error },
            ),
            Action::Claim { tp, thread } => {
                let failed = tp.clone();
                self.with_registry(
                    |registry| async move { registry.claim(&tp, &thread).await },
                    |error| SessionEvent::ClaimFailed { tp: failed, error },
                );
            }
            Action::Position { tp, token } => self.position(tp, token),
            Action::Start { tp, token, thread } => round.starts.push((tp, token, thread)),
            Action::Stop { tp } => round.stops.push(tp),
            Action::Commit { tp } => self.commit(tp),
            Action::Release { tp, token } => {
                self.engine.remove(&tp);
                self.held.remove(&tp);
                let failed = tp.clone();
                self.with_registry(
                    |registry| async move { registry.release(&tp, token).await },
                    |error| SessionEvent::ReleaseFailed { tp: failed, error },
                );
            }
            Action::CheckOwner { tp, token } => {
                let failed = tp.clone();
                self.with_registry(
                    |registry| async move { registry.check_owner(&tp, token).await },
                    move |error| SessionEvent::OwnerCheckFailed {
                        tp: failed,
                        token,
                        error,
                    },
                );
            }
            Action::Lost { tp } => round.lost.push(tp),
            Action::Unregister => self.with_registry(
                |registry| async move { registry.unregister().await },
                |_| SessionEvent::Unregistered,
            ),
            Action::CloseSession => self.close_session(),
            Action::Emit(event) => self.report(event),
        }
    }

    /// Spawns an operation of the present session; an error becomes the event that `failed` makes of it.
    fn with_registry<F>(
        &mut self,
        operation: impl FnOnce(Arc<Registry>) -> F,
        failed: impl FnOnce(String) -> SessionEvent + Send + 'static,
    ) where
        F: Future<Output = divvy_zookeeper::Result<SessionEvent>> + Send + 'static,
    {
        let incarnation = self.machine.incarnation();
        // Without a session the machine has been told of its end, and expects no answer.
        let Some(registry) = self.registry.clone() else {
            return;
        };
        let operation = operation(registry);
        self.spawn(incarnation, async move {
            let event = operation.await;
            vec![event.unwrap_or_else(|error| failed(error.to_string()))]
        });
    }

    fn spawn(
        &mut self,
        incarnation: Incarnation,
        events: impl Future<Output = Vec<SessionEvent>> + Send + 'static,
    ) {
        let answer = events.map(move |events| Answer {
            incarnation,
            events,
            session: None,
            start: None,
        });
        self.tasks.push(answer.boxed());
    }

    fn open_session(&mut self, incarnation: Incarnation) {
        self.registry = None;
        self.changes = None;
        let zookeeper = self.member.zookeeper.clone();
        let open = async move {
            let (session, event) = match zookeeper.session().await {
                Ok(session) => (Some(session), SessionEvent::SessionOpened),
                Err(error) => {
                    let error = error.to_string();
                    (None, SessionEvent::SessionFailed { error })
                }
            };
            Answer {
                incarnation,
                events: vec![event],
                session,
                start: None,
            }
        };
        self.tasks.push(open.boxed());
    }

    fn close_session(&mut self) {
        let registry = self.registry.take();
        self.changes = None;
        self.spawn(self.machine.incarnation(), async move {
            if let Some(registry) = registry
                && let Err(error) = registry.session.close().await
            {
                tracing::warn!(%error, "the session could not be closed and ends by itself");
            }
            vec![SessionEvent::SessionClosed]
        });
    }

    /// Finds out where a claimed partition starts, and stores that where nothing is stored: whoever takes the partition over
    /// must not begin at the log's end of that time.
    fn position(&mut self, tp: TopicPartition, token: Token) {
        let engine = Arc::clone(&self.engine);
        let incarnation = self.machine.incarnation();
        // A partition that was added to a topic in use is read from its first message: what was written to it before anybody saw
        // it must not be lost.
        let original = self.original.get(&tp.topic);
        let policy = match engine.config().auto_offset_reset {
            OffsetReset::Latest if original.is_some_and(|ids| !ids.contains(&tp.partition)) => {
                OffsetReset::Earliest
            }
            policy => policy,
        };
        let task = async move {
            let found = position(&engine, &tp, token, policy).await;
            let (event, start) = match found {
                Ok(start) => (
                    SessionEvent::Positioned { tp: tp.clone() },
                    Some((tp, start)),
                ),
                Err(error) => (SessionEvent::PositionFailed { tp, error }, None),
            };
            Answer {
                incarnation,
                events: vec![event],
                session: None,
                start,
            }
        };
        self.tasks.push(task.boxed());
    }

    fn commit(&mut self, tp: TopicPartition) {
        let engine = Arc::clone(&self.engine);
        self.spawn(self.machine.incarnation(), async move {
            let automatic = engine.config().auto_commit_interval.is_some();
            let only = [tp.clone()];
            let result = if automatic {
                engine.commit_finished(Some(&only)).await
            } else {
                Ok(())
            };
            vec![match result {
                Ok(()) => SessionEvent::Committed { tp },
                Err(error) => SessionEvent::CommitFailed {
                    tp,
                    error: error.to_string(),
                },
            }]
        });
    }

    /// Hands partitions to the engine.
    async fn start(&mut self, starts: Vec<(TopicPartition, Token, ConsumerThreadId)>) {
        if starts.is_empty() {
            return;
        }
        let assignments: Vec<Assignment> = starts
            .into_iter()
            .map(|(tp, token, thread)| Assignment {
                tp,
                token: token.0,
                stream: usize::try_from(thread.thread).unwrap_or(usize::MAX),
            })
            .collect();
        let listener = Arc::clone(&self.member.listener);
        let told = listener.on_partitions_assigned(&assignments);
        let within = self.member.listener_timeout;
        listen(&self.engine.clone(), "on_partitions_assigned", within, told).await;
        for assignment in assignments {
            let tp = assignment.tp.clone();
            if let Some(start) = self.starting.remove(&tp) {
                self.held.insert(tp, assignment.clone());
                self.engine
                    .assign(assignment, start.offset, start.committed);
            }
        }
    }

    /// Takes partitions back: nothing more is handed out, and what is in hand is waited for.
    fn stop(&mut self, tps: Vec<TopicPartition>) {
        if tps.is_empty() {
            return;
        }
        let engine = Arc::clone(&self.engine);
        let listener = Arc::clone(&self.member.listener);
        let within = self.member.listener_timeout;
        let assignments: Vec<Assignment> = tps
            .iter()
            .filter_map(|tp| self.held.get(tp).cloned())
            .collect();
        self.spawn(self.machine.incarnation(), async move {
            let drained = join_all(tps.iter().map(|tp| engine.stop(tp))).await;
            for (tp, drained) in tps.iter().zip(drained) {
                if !drained {
                    let message = format!(
                        "{tp} is given up although the application has not finished what it has in hand; its messages come again elsewhere"
                    );
                    engine.emit(ConsumerEvent::Error { message });
                }
            }
            let told = listener.on_partitions_revoked(&assignments);
            listen(&engine, "on_partitions_revoked", within, told).await;
            tps.into_iter()
                .map(|tp| SessionEvent::Stopped { tp })
                .collect()
        });
    }

    async fn lose(&mut self, tps: Vec<TopicPartition>) {
        let mut lost = Vec::new();
        for tp in tps {
            self.engine.remove(&tp);
            lost.extend(self.held.remove(&tp));
        }
        if !lost.is_empty() {
            let listener = Arc::clone(&self.member.listener);
            self.engine.emit(ConsumerEvent::Lost {
                partitions: lost.clone(),
                reason: "the session expired, or the owner nodes are gone".to_owned(),
            });
            let told = listener.on_partitions_lost(&lost);
            let within = self.member.listener_timeout;
            listen(&self.engine.clone(), "on_partitions_lost", within, told).await;
        }
    }

    /// Tells the application what the machine reports.
    fn report(&self, event: GroupEvent) {
        let assignments = |tps: Vec<TopicPartition>| -> Vec<Assignment> {
            let owned = |tp: TopicPartition| {
                let held = self.held.get(&tp).cloned();
                let claimed = self.machine.owned().find(|(owned, ..)| **owned == tp);
                let claimed = claimed.map(|(tp, thread, token)| Assignment {
                    tp: tp.clone(),
                    token: token.0,
                    stream: usize::try_from(thread.thread).unwrap_or(usize::MAX),
                });
                held.or(claimed).unwrap_or_else(|| Assignment::unfenced(tp))
            };
            tps.into_iter().map(owned).collect()
        };
        let event = match event {
            GroupEvent::Assigned { partitions } => ConsumerEvent::Assigned {
                partitions: assignments(partitions),
            },
            GroupEvent::Revoked { partitions } => ConsumerEvent::Revoked {
                partitions: assignments(partitions),
            },
            // Reported with their tokens when they are dropped.
            GroupEvent::Lost { .. } | GroupEvent::Revoking { .. } => return,
            GroupEvent::Idle => ConsumerEvent::Idle,
            GroupEvent::Waiting { tp, owner, waited } => ConsumerEvent::Waiting {
                tp,
                owner,
                waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
            },
            GroupEvent::Blocked { node, data, kind } => ConsumerEvent::Blocked {
                node,
                data,
                why: match kind {
                    PoisonKind::PyKafka => "a PyKafka member is registered; no member that follows Java's rules can own a partition beside it. Stop it, or move it to a group of its own",
                    PoisonKind::Garbage => "a registration that Kafka's own consumer cannot read keeps every member from sharing partitions. Find who wrote it, and delete the node",
                }
                .to_owned(),
            },
            GroupEvent::TopicGone { topic } => ConsumerEvent::TopicGone { topic },
            GroupEvent::ReleasedUncommitted { tp, error } => ConsumerEvent::Error {
                message: format!("{tp} was released although its offset could not be committed ({error}); its messages since the last commit come again"),
            },
            GroupEvent::Error { operation, tp, error, retry_in } => ConsumerEvent::Error {
                message: describe(&operation.to_string(), tp, &error, retry_in),
            },
        };
        self.engine.emit(event);
    }
}

/// Awaits one call of the listener, within its time.
async fn listen(engine: &Engine, method: &str, within: Duration, call: impl Future<Output = ()>) {
    if timeout(within, call).await.is_err() {
        let message = format!(
            "the rebalance listener's {method} did not end within {within:?} and was given up"
        );
        engine.emit(ConsumerEvent::Error { message });
    }
}

async fn position(
    engine: &Engine,
    tp: &TopicPartition,
    token: Token,
    policy: OffsetReset,
) -> Result<Starting, String> {
    let mut starts = engine.starts(std::slice::from_ref(tp), policy).await;
    let start = starts
        .remove(tp)
        .ok_or_else(|| "its start was not looked up".to_owned())?
        .map_err(|error| error.to_string())?;
    let mut committed = start.committed;
    if let (None, Some(store)) = (committed, engine.store()) {
        let assignment = Assignment {
            tp: tp.clone(),
            token: token.0,
            stream: 0,
        };
        let stored = store
            .commit(&[(assignment, start.offset)])
            .await
            .and_then(|mut stored| stored.remove(tp).unwrap_or(Ok(())));
        stored.map_err(|error| format!("its start offset cannot be stored: {error}"))?;
        committed = Some(start.offset);
    }
    Ok(Starting {
        offset: start.offset,
        committed,
    })
}

fn describe(
    operation: &str,
    tp: Option<TopicPartition>,
    error: &str,
    retry_in: Option<Duration>,
) -> String {
    let about = tp.map(|tp| format!(" for {tp}")).unwrap_or_default();
    let again = match retry_in {
        Some(pause) => format!("tried again in {pause:.1?}"),
        None => "tried again when the group changes".to_owned(),
    };
    format!("group: {operation}{about} failed: {error}; {again}")
}
