//! The loop that sends what the accumulator has ready, and the one that keeps what is known of the cluster fresh.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use divvy_client::{Backoff, Client};
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::accumulator::{Accumulator, Refused, Slot, Work};
use crate::budget::Budget;
use crate::config::{Acks, ProducerConfig};
use crate::delivery::Delivery;
use crate::error::Result;
use crate::lane::Lane;
use crate::rdkafka::Rdkafka;
use crate::record::Fields;
use crate::sync::lock;
use crate::topics::Topics;

/// What a producer and its tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) config: ProducerConfig,
    pub(crate) topics: Topics,
    budget: Arc<Budget>,
    /// How many wait for room in the buffer.
    waiting: AtomicUsize,
    /// Whose turn it is among those who wait for room: it goes round in the order in which they came.
    turn: tokio::sync::Mutex<()>,
    accumulator: Mutex<Accumulator>,
    /// By `broker.id`, and the number of the connection.
    lanes: Mutex<BTreeMap<(i32, usize), Arc<Lane>>>,
    /// What carries batches instead of the lanes.
    pub(crate) rdkafka: Option<Rdkafka>,
    /// There is something new to send, or less reason to wait.
    wake: Notify,
    /// A leader is not known, or not the one that is known.
    stale: Notify,
}

impl Shared {
    pub(crate) fn new(client: Client, config: ProducerConfig) -> Result<Self> {
        let rdkafka = match config.use_rdkafka {
            true => Some(Rdkafka::new(&client, &config)?),
            false => None,
        };
        let budget = Budget::new(config.buffer_memory);
        let sent = ProducerConfig {
            // librdkafka has one connection to each broker.
            connections_per_broker: rdkafka
                .as_ref()
                .map_or(config.connections_per_broker, |_| 1),
            ..config.clone()
        };
        Ok(Self {
            topics: Topics::default(),
            waiting: AtomicUsize::new(0),
            turn: tokio::sync::Mutex::default(),
            accumulator: Mutex::new(Accumulator::new(&sent, &budget)),
            budget,
            lanes: Mutex::default(),
            rdkafka,
            wake: Notify::new(),
            stale: Notify::new(),
            client,
            config,
        })
    }

    pub(crate) fn accumulator(&self) -> MutexGuard<'_, Accumulator> {
        lock(&self.accumulator)
    }

    /// Has what is known of the cluster refreshed.
    pub(crate) fn say_stale(&self) {
        self.stale.notify_one();
    }

    /// Lets the sender look again.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Queues a record, if there is room for it.
    #[inline]
    pub(crate) fn append(&self, slot: Slot, fields: &Fields<'_>) -> Result<Delivery, Refused> {
        let (delivery, is_news) = {
            let mut accumulator = self.accumulator();
            let queued = accumulator.append(slot, fields, Instant::now)?;
            let outcome = Arc::clone(queued.outcome);
            let delivery = Delivery::new(outcome, queued.number, fields.timestamp);
            (delivery, queued.is_news)
        };
        if is_news {
            self.wake();
        }
        Ok(delivery)
    }

    /// Queues a record as soon as there is room for it and all who waited before have been served.
    pub(crate) async fn append_in_turn(&self, slot: Slot, fields: &Fields<'_>) -> Result<Delivery> {
        let _waiting = self.wait_for_room();
        let _turn = self.turn.lock().await;
        loop {
            let room = self.budget.room().notified();
            tokio::pin!(room);
            room.as_mut().enable();
            match self.append(slot, fields) {
                Err(Refused::NoRoom) => room.await,
                appended => return Ok(appended?),
            }
        }
    }

    /// Whether somebody waits for room in the buffer.
    #[inline]
    pub(crate) fn is_waited_for(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Lets those who wait for room see that the producer is closed, and the sender look again.
    pub(crate) fn stop_waiting(&self) {
        self.budget.room().notify_waiters();
        self.wake();
    }

    /// Brings what is known of the topics up to date.
    pub(crate) fn update_topics(&self) {
        let metadata = self.client.metadata();
        self.topics.update(&metadata, &mut self.accumulator());
    }

    /// Says that somebody waits for room, until the guard is dropped: batches are sent as they are.
    fn wait_for_room(&self) -> impl Drop + '_ {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.wake();
        WaitingForRoom(&self.waiting)
    }

    /// Waits until the brokers have read what was sent to them without acks.
    pub(crate) async fn reach_brokers(&self) {
        if self.config.acks != Acks::None {
            return;
        }
        if let Some(rdkafka) = &self.rdkafka {
            return rdkafka.reach_brokers(self.config.request_timeout).await;
        }
        let lanes: Vec<Arc<Lane>> = lock(&self.lanes).values().cloned().collect();
        let reached = lanes
            .iter()
            .map(|lane| lane.reach_broker(self.config.request_timeout));
        join_all(reached).await;
    }

    fn lane(&self, broker: i32, connection: usize) -> Arc<Lane> {
        let mut lanes = lock(&self.lanes);
        Arc::clone(lanes.entry((broker, connection)).or_default())
    }
}

struct WaitingForRoom<'a>(&'a AtomicUsize);

impl Drop for WaitingForRoom<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends whatever is ready, until it is aborted.
pub(crate) async fn send_what_is_ready(shared: Arc<Shared>) {
    let mut metadata = shared.client.subscribe();
    let mut requests = JoinSet::new();
    loop {
        if metadata.has_changed().unwrap_or(false) {
            shared.update_topics();
        }
        let known = metadata.borrow_and_update().clone();
        let pressure = shared.is_waited_for();
        let leader = |tp: &_| known.leader(tp);
        let plan = shared.accumulator().drain(leader, pressure, Instant::now());
        for work in plan.requests {
            requests.spawn(send(Arc::clone(&shared), work));
        }
        if plan.misses_a_leader {
            shared.say_stale();
        }
        let timer = async {
            match plan.wake_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.wake.notified() => {}
            Some(_) = requests.join_next() => {}
            Ok(()) = metadata.changed() => {}
            () = timer => {}
        }
    }
}

async fn send(shared: Arc<Shared>, work: Work) {
    if let Some(rdkafka) = &shared.rdkafka {
        return rdkafka.send(&shared, work).await;
    }
    let lane = shared.lane(work.broker, work.connection);
    let answered = lane.send(&shared.client, &shared.config, work.broker, work.batches);
    let answered = answered.await;
    let now = Instant::now();
    {
        let mut accumulator = shared.accumulator();
        for (batch, result) in answered.results {
            accumulator.settle(batch, result, now);
        }
        accumulator.request_ended(work.broker, work.connection, answered.throttled_until);
    }
    if answered.is_stale {
        shared.say_stale();
    }
}

/// Asks for the cluster's metadata when it seems to have grown old, with pauses that grow while that does not help.
pub(crate) async fn refresh_what_is_stale(shared: Arc<Shared>) {
    let config = &shared.config;
    let mut backoff = Backoff::new(config.retry_backoff, config.retry_backoff_max);
    loop {
        shared.stale.notified().await;
        if let Err(error) = shared.client.refresh().await {
            tracing::warn!(%error, "the cluster's metadata cannot be refreshed");
        }
        let known = shared.client.metadata();
        let misses_a_leader = shared.accumulator().misses_a_leader(|tp| known.leader(tp));
        if !misses_a_leader {
            backoff.succeed();
        }
        sleep(backoff.fail()).await;
        shared.wake();
    }
}
