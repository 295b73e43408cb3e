//! What a consumer holds at one moment: which partitions, how far each was handed out, and how far it is finished.
//!
//! The engine stands between whoever assigns partitions, the receivers that hand messages to the application, and the store of
//! offsets. Each of its methods is one step under one lock; none of them waits for the application.

mod commit;
mod hand;
mod pause;
mod position;
mod stall;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use divvy_client::{Backend, Client, TopicPartition};
use divvy_zookeeper::Executor;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use self::hand::InHand;
pub(crate) use self::hand::{Hand, Taken};
pub(crate) use self::position::retry_backoff;
pub use self::position::{SeekTo, Start};
use self::stall::Busy;
pub(crate) use self::standing::Standing;
use crate::assignment::Assignment;
use crate::config::ConsumerConfig;
use crate::error::{Error, Result};
use crate::event::{Event, Events};
use crate::gate::Gate;
use crate::metrics::{ConsumerMeter, Holding};
use crate::offsets::OffsetStore;
use crate::progress::Progress;
use crate::sync::lock;

/// The state that a consumer, its streams and whoever coordinates it share.
pub struct Engine {
    config: ConsumerConfig,
    consumer_id: String,
    backend: Arc<dyn Backend>,
    store: Option<Arc<dyn OffsetStore>>,
    events: Events,
    meter: ConsumerMeter,
    runtime: Executor,
    state: Mutex<State>,
    /// Something was given back, acknowledged, or taken away.
    settled: Notify,
    /// One commit at a time, so that an older one cannot overtake a newer.
    committing: tokio::sync::Mutex<()>,
    /// The application does not go on.
    stalled: Notify,
    /// How often the application has asked for messages.
    calls: AtomicU64,
    /// How many receivers are asking for messages now.
    asking: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    epochs: u64,
    /// How many receivers were made for single partitions.
    receivers: usize,
    partitions: BTreeMap<TopicPartition, Held>,
    closed: bool,
    /// Why nothing is handed out any more, if that is not because it was closed.
    failed: Option<Error>,
}

/// A partition in this consumer's hands.
#[derive(Debug)]
struct Held {
    assignment: Assignment,
    gate: Arc<dyn Gate>,
    /// Which hold of which position this is: what was fetched under another one is not handed out.
    epoch: u64,
    /// The first hold since the partition was assigned or sought elsewhere: what was handed out since then can be finished.
    since: u64,
    /// The offset of the next message to hand out.
    position: i64,
    progress: Progress,
    /// What is stored, as far as this consumer knows, and since when.
    committed: Option<(i64, Instant)>,
    high_watermark: Option<i64>,
    paused: bool,
    /// Nothing is handed out until it is resumed, and nothing is fetched.
    suspended: bool,
    /// Nothing more is handed out.
    stopping: bool,
    /// Messages are in the application's hands, under this hold, and will be given back.
    in_hand: Option<InHand>,
    /// The application has messages that it has not finished.
    busy: Option<Busy>,
    /// The receiver that hands it out.
    receiver: usize,
    /// How often the entry at this offset came damaged.
    corrupt: Option<(i64, u32)>,
    /// What is counted of it, and that it is held.
    holding: Holding,
}

impl State {
    /// A partition, if it is held as it was under this epoch.
    fn held_as(&mut self, tp: &TopicPartition, epoch: u64) -> Option<&mut Held> {
        self.partitions
            .get_mut(tp)
            .filter(|held| held.epoch == epoch)
    }

    /// A partition, if what was handed out under this epoch can still be finished.
    fn held_since(&mut self, tp: &TopicPartition, epoch: u64) -> Option<&mut Held> {
        self.partitions
            .get_mut(tp)
            .filter(|held| held.since <= epoch)
    }

    fn next_epoch(&mut self) -> u64 {
        self.epochs += 1;
        self.epochs
    }
}

impl Held {
    /// Whether its messages may be handed out now.
    fn is_open(&self) -> bool {
        !self.suspended && !self.stopping && self.gate.is_open()
    }

    /// Whether it is fetched.
    fn is_fetched(&self) -> bool {
        !self.suspended && !self.stopping
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("consumer_id", &self.consumer_id)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Brings a backend and a store of offsets together. Its background work runs on `runtime`.
    pub fn new(
        config: ConsumerConfig,
        consumer_id: String,
        backend: Arc<dyn Backend>,
        store: Option<Arc<dyn OffsetStore>>,
        runtime: impl Into<Executor>,
    ) -> Arc<Self> {
        Arc::new(Self {
            meter: ConsumerMeter::new(config.group.as_deref()),
            config,
            consumer_id,
            backend,
            store,
            events: Events::default(),
            runtime: runtime.into(),
            state: Mutex::default(),
            settled: Notify::new(),
            committing: tokio::sync::Mutex::new(()),
            stalled: Notify::new(),
            calls: AtomicU64::new(0),
            asking: AtomicU64::new(0),
        })
    }

    /// An engine on a client's cluster, over the backend that the configuration asks for.
    pub fn on(client: &Client, config: ConsumerConfig, consumer_id: String) -> Result<Arc<Self>> {
        let backend = crate::backend::backend(client, &config)?;
        let store = crate::offsets::for_client(client, &config, &consumer_id)?;
        let runtime = client.runtime().clone();
        Ok(Self::new(config, consumer_id, backend, store, runtime))
    }

    /// The configuration.
    pub fn config(&self) -> &ConsumerConfig {
        &self.config
    }

    /// The name under which this consumer commits, and is known in its group.
    pub fn consumer_id(&self) -> &str {
        &self.consumer_id
    }

    /// Where messages come from.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// Where offsets are stored; `None` without a group.
    pub fn store(&self) -> Option<&Arc<dyn OffsetStore>> {
        self.store.as_ref()
    }

    /// Where events are reported.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The runtime of the background work.
    pub fn runtime(&self) -> &Executor {
        &self.runtime
    }

    /// Takes a partition into hand: it is fetched and handed out from `start` on, for as long as `gate` is open.
    pub fn assign(&self, assignment: Assignment, start: Start, gate: Arc<dyn Gate>) {
        let mut state = lock(&self.state);
        if state.closed {
            return;
        }
        if let Some(before) = state.partitions.get(&assignment.tp) {
            before.recall();
        }
        let epoch = state.next_epoch();
        let tp = assignment.tp.clone();
        let held = Held {
            holding: self.meter.holding(&tp),
            receiver: if self.config.separate_streams {
                assignment.stream
            } else {
                0
            },
            assignment,
            gate,
            epoch,
            since: epoch,
            position: start.offset,
            progress: Progress::new(start.offset),
            committed: start.committed.map(|offset| (offset, Instant::now())),
            high_watermark: None,
            paused: false,
            suspended: false,
            stopping: false,
            in_hand: None,
            busy: None,
            corrupt: None,
        };
        state.partitions.insert(tp.clone(), held);
        // Within the lock, so that starting and stopping one partition cannot change places.
        self.backend.start(&tp, start.offset);
    }

    /// Stops handing out a partition, and waits until the application has finished what it has in hand, or the drain timeout has
    /// passed. Gives whether everything was finished.
    pub async fn stop(&self, tp: &TopicPartition) -> bool {
        let deadline = Instant::now() + self.config.drain_timeout;
        {
            let mut state = lock(&self.state);
            let Some(held) = state.partitions.get_mut(tp) else {
                return true;
            };
            held.stopping = true;
            held.recall();
            self.backend.stop(tp);
        }
        self.settled_by(tp, deadline).await
    }

    async fn settled_by(&self, tp: &TopicPartition, deadline: Instant) -> bool {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            let busy = lock(&self.state)
                .partitions
                .get(tp)
                .is_some_and(|held| held.in_hand.is_some() || !held.progress.is_settled());
            if !busy {
                return true;
            }
            if timeout_at(deadline, settled).await.is_err() {
                return false;
            }
        }
    }

    /// Lets go of a partition at once: what is in the application's hands becomes stale, and nothing is committed.
    pub fn remove(&self, tp: &TopicPartition) {
        let mut state = lock(&self.state);
        if let Some(held) = state.partitions.remove(tp) {
            held.recall();
            self.backend.stop(tp);
        }
        drop(state);
        self.settled.notify_waiters();
        // Receivers that wait for this partition look again.
        self.wake();
    }

    /// Makes receivers look again whether there is something that they may hand out.
    pub fn wake(&self) {
        self.backend.prefetch().ready().notify_waiters();
    }

    /// The partitions in hand.
    pub fn assignments(&self) -> Vec<Assignment> {
        let state = lock(&self.state);
        let held = state.partitions.values();
        held.map(|held| held.assignment.clone()).collect()
    }

    /// Keeps a partition back from every receiver, or lets it go on. What was fetched stays queued.
    pub(crate) fn set_paused(&self, tps: &[TopicPartition], paused: bool) -> Result<()> {
        let mut state = lock(&self.state);
        for tp in tps {
            held(&mut state, tp)?;
        }
        for tp in tps {
            let held = held(&mut state, tp)?;
            held.paused = paused;
            held.recall();
        }
        drop(state);
        self.wake();
        Ok(())
    }

    pub(crate) fn paused(&self) -> BTreeSet<TopicPartition> {
        let state = lock(&self.state);
        let paused = state.partitions.iter().filter(|(_, held)| held.paused);
        paused.map(|(tp, _)| tp.clone()).collect()
    }

    /// Gives a partition into the hands of a receiver of its own, whose number is given back. It begins with the first message
    /// that was not given back: what others took out of the queue is theirs no more.
    pub(crate) fn give_receiver(&self, tp: &TopicPartition) -> Result<usize> {
        let mut state = lock(&self.state);
        state.receivers += 1;
        // Far above the numbers of streams, which are receivers too.
        let receiver = (1 << 16) + state.receivers;
        let held = held(&mut state, tp)?;
        held.receiver = receiver;
        held.recall();
        held.catch_up();
        if held.is_fetched() {
            self.backend.start(tp, held.position);
        }
        Ok(receiver)
    }

    /// Waits until nothing that was handed out is unfinished, or the time is over.
    pub(crate) async fn drained(&self, within: Duration) {
        let deadline = Instant::now() + within;
        let tps: Vec<_> = lock(&self.state).partitions.keys().cloned().collect();
        for tp in tps {
            self.settled_by(&tp, deadline).await;
        }
    }

    /// Hands nothing out any more.
    pub fn stop_all(&self) {
        let mut state = lock(&self.state);
        for (tp, held) in &mut state.partitions {
            held.stopping = true;
            held.recall();
            self.backend.stop(tp);
        }
    }

    /// Hands nothing out any more; receivers get this error from now on. What is in hand can still be finished and committed.
    pub fn fail(&self, error: Error) {
        lock(&self.state).failed.get_or_insert(error);
        self.stop_all();
        self.wake();
    }

    /// Ends everything; receivers get [`Error::Closed`] from now on.
    pub async fn close(&self) {
        {
            let mut state = lock(&self.state);
            state.closed = true;
            for held in std::mem::take(&mut state.partitions).values() {
                held.recall();
            }
        }
        self.settled.notify_waiters();
        self.backend.close().await;
        self.wake();
    }

    /// Reports an event.
    pub fn emit(&self, event: Event) {
        self.meter.note(&event);
        self.events.emit(event);
    }
}

fn held<'a>(state: &'a mut State, tp: &TopicPartition) -> Result<&'a mut Held> {
    let found = state.partitions.get_mut(tp);
    found.ok_or_else(|| Error::NotAssigned { tp: tp.clone() })
}
