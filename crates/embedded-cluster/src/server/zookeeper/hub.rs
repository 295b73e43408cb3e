use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use divvy_zookeeper::wire::ClientFrame;
use tokio::sync::{Notify, watch};

use super::outbox::Outbox;
use crate::zookeeper::{Config, ConnectionId, Ensemble, Millis, Output, Summary};

/// The only server of the ensemble.
const SERVER: usize = 0;
/// What Kafka's controller looks at.
const BROKERS: &str = "/brokers/";
const ADMIN: &str = "/admin/";
const CONFIG: &str = "/config/";
/// How long the clock sleeps where nothing is due.
const LONG: Millis = 60_000;

/// The model, the time, and where what it says is to go.
#[derive(Debug)]
pub(in crate::server) struct Hub {
    state: Mutex<State>,
    /// Something is due earlier than the clock knows.
    sooner: Notify,
    started: Instant,
}

#[derive(Debug)]
struct State {
    ensemble: Ensemble,
    outboxes: BTreeMap<ConnectionId, Arc<Outbox>>,
    /// When the clock looks next.
    next: Millis,
    /// Since when the server stands still. No time passes for it then.
    frozen: Option<Millis>,
    traffic: Traffic,
    /// Told of what is written below [`BROKERS`], [`ADMIN`] and [`CONFIG`].
    changed: watch::Sender<()>,
}

/// What has come and gone, for the four-letter words.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    pub(super) received: u64,
    pub(super) sent: u64,
}

impl Hub {
    pub(in crate::server) fn new(tick: Duration) -> Self {
        let config = Config {
            tick: millis(tick),
            wall_clock_ms: i64::try_from(millis(wall_clock())).unwrap_or(0),
            // Randomly keyed, so that nobody can tell the passwords of others' sessions.
            secret: RandomState::new().hash_one("passwords"),
            journal: true,
            // The only server elects nobody.
            election: 0,
            ..Config::default()
        };
        Self {
            state: Mutex::new(State {
                ensemble: Ensemble::new(config),
                outboxes: BTreeMap::new(),
                next: 0,
                frozen: None,
                traffic: Traffic::default(),
                changed: watch::Sender::new(()),
            }),
            sooner: Notify::new(),
            started: Instant::now(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn elapsed(&self) -> Millis {
        millis(self.started.elapsed())
    }

    /// Tells the model something, and passes on what it says.
    fn tell<T>(&self, act: impl FnOnce(&mut State, Millis) -> T) -> T {
        let mut state = self.lock();
        // Within the lock, so that the model is told of times in their order.
        let now = state.frozen.unwrap_or_else(|| self.elapsed());
        let given = act(&mut state, now);
        state.deliver();
        let due = state.ensemble.poll_timeout();
        if due.is_some_and(|due| due < state.next) {
            self.sooner.notify_one();
        }
        given
    }

    /// A client has connected. `None` where the server does not serve.
    pub(super) fn connect(&self) -> Option<(ConnectionId, Arc<Outbox>)> {
        self.tell(|state, _| {
            let id = state.ensemble.connect(SERVER)?;
            let outbox = Arc::new(Outbox::default());
            state.outboxes.insert(id, Arc::clone(&outbox));
            Some((id, outbox))
        })
    }

    pub(super) fn receive(&self, id: ConnectionId, frame: ClientFrame) {
        self.tell(|state, now| {
            state.traffic.received += 1;
            state.ensemble.receive(now, id, frame);
        });
    }

    /// The session that a connection speaks for.
    pub(super) fn session_of(&self, id: ConnectionId) -> Option<i64> {
        self.lock().ensemble.session_of(id)
    }

    pub(super) fn disconnect(&self, id: ConnectionId) {
        self.tell(|state, now| {
            state.ensemble.disconnect(now, id);
            state.outboxes.remove(&id);
        });
    }

    pub(super) fn expire(&self, session: i64) {
        self.tell(|state, now| state.ensemble.expire_session(now, session));
    }

    /// The server dies. Its tree and its sessions are what it will find when it starts.
    pub(super) fn stop(&self) {
        self.tell(|state, now| state.ensemble.stop(now, SERVER));
    }

    /// The server starts again.
    pub(super) fn start(&self) {
        self.tell(|state, now| state.ensemble.start(now, SERVER));
    }

    /// The server stands still, or goes on: what was due meanwhile is due then.
    pub(super) fn freeze(&self, freeze: bool) {
        let now = self.elapsed();
        let mut state = self.lock();
        state.frozen = match freeze {
            true => Some(state.frozen.unwrap_or(now)),
            false => None,
        };
        self.sooner.notify_one();
    }

    /// Tells of what is written where Kafka's controller looks.
    pub(in crate::server) fn changes(&self) -> watch::Receiver<()> {
        self.lock().changed.subscribe()
    }

    pub(in crate::server) fn children(&self, path: &str) -> Vec<String> {
        let state = self.lock();
        state.ensemble.children(path).map(str::to_owned).collect()
    }

    /// A node's data; empty where it is null, and `None` where there is no such node.
    pub(in crate::server) fn data(&self, path: &str) -> Option<Bytes> {
        let state = self.lock();
        let node = state.ensemble.node(path)?;
        Some(node.data.cloned().unwrap_or_default())
    }

    pub(super) fn sessions(&self) -> Vec<i64> {
        self.lock().ensemble.sessions().collect()
    }

    /// What the model holds, and what has come and gone.
    pub(super) fn summary(&self) -> (Summary, Traffic) {
        let state = self.lock();
        (state.ensemble.summary(SERVER), state.traffic)
    }

    /// Ends sessions when their time is over.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            let wait = self.tell(|state, now| {
                state.ensemble.handle_timeout(now);
                state.next = state.ensemble.poll_timeout().unwrap_or(now + LONG);
                state.next.saturating_sub(now)
            });
            // A millisecond at least: what is due within one is not due yet by the model's clock.
            let wait = Duration::from_millis(wait.clamp(1, LONG));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.sooner.notified() => {}
            }
        }
    }
}

impl State {
    fn deliver(&mut self) {
        let written = self.ensemble.take_written();
        let concerns = |path: &str| {
            [BROKERS, ADMIN, CONFIG]
                .iter()
                .any(|one| path.starts_with(one))
        };
        if written.iter().any(|one| concerns(&one.path)) {
            self.changed.send_replace(());
        }
        while let Some(output) = self.ensemble.poll_output() {
            match output {
                Output::Frame(id, frame) => {
                    self.traffic.sent += 1;
                    if let Some(outbox) = self.outboxes.get(&id) {
                        outbox.put(&frame);
                    }
                }
                Output::Closed(id) => {
                    if let Some(outbox) = self.outboxes.remove(&id) {
                        outbox.close();
                    }
                }
            }
        }
    }
}

pub(in crate::server) fn wall_clock() -> Duration {
    // A clock before 1970 is taken for 1970.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

pub(in crate::server) fn millis(span: Duration) -> Millis {
    Millis::try_from(span.as_millis()).unwrap_or(Millis::MAX)
}
