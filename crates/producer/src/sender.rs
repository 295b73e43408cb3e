//! The loop that sends what the accumulator has ready, and the one that keeps what is known of the cluster fresh.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use divvy_client::{Backoff, Client};
use futures_util::future::join_all;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::accumulator::{Accumulator, Work};
use crate::config::{Acks, ProducerConfig};
use crate::lane::Lane;
use crate::sync::lock;

/// What a producer and its tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) config: ProducerConfig,
    /// What is left of the buffer, in bytes.
    pub(crate) budget: Arc<Semaphore>,
    /// How many wait for room in the buffer.
    waiting: AtomicUsize,
    accumulator: Mutex<Accumulator>,
    /// By `broker.id`.
    lanes: Mutex<BTreeMap<i32, Arc<Lane>>>,
    /// There is something new to send, or less reason to wait.
    wake: Notify,
    /// A leader is not known, or not the one that is known.
    stale: Notify,
}

impl Shared {
    pub(crate) fn new(client: Client, config: ProducerConfig) -> Self {
        Self {
            budget: Arc::new(Semaphore::new(config.buffer_memory)),
            waiting: AtomicUsize::new(0),
            accumulator: Mutex::new(Accumulator::new(&config)),
            lanes: Mutex::default(),
            wake: Notify::new(),
            stale: Notify::new(),
            client,
            config,
        }
    }

    pub(crate) fn accumulator(&self) -> MutexGuard<'_, Accumulator> {
        lock(&self.accumulator)
    }

    /// Lets the sender look again.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Says that somebody waits for room, until the guard is dropped: batches are sent as they are.
    pub(crate) fn wait_for_room(&self) -> impl Drop + '_ {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.wake();
        WaitingForRoom(&self.waiting)
    }

    /// Waits until the brokers have read what was sent to them without acks.
    pub(crate) async fn reach_brokers(&self) {
        if self.config.acks != Acks::None {
            return;
        }
        let lanes: Vec<Arc<Lane>> = lock(&self.lanes).values().cloned().collect();
        let reached = lanes
            .iter()
            .map(|lane| lane.reach_broker(self.config.request_timeout));
        join_all(reached).await;
    }

    fn lane(&self, broker: i32) -> Arc<Lane> {
        Arc::clone(lock(&self.lanes).entry(broker).or_default())
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
        let known = metadata.borrow_and_update().clone();
        let pressure = shared.waiting.load(Ordering::Relaxed) > 0;
        let leader = |tp: &_| known.leader(tp);
        let plan = shared.accumulator().drain(leader, pressure, Instant::now());
        for work in plan.requests {
            requests.spawn(send(Arc::clone(&shared), work));
        }
        if plan.misses_a_leader {
            shared.stale.notify_one();
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
    let lane = shared.lane(work.broker);
    let answered = lane.send(&shared.client, &shared.config, work.broker, work.batches);
    let answered = answered.await;
    let now = Instant::now();
    {
        let mut accumulator = shared.accumulator();
        for (batch, result) in answered.results {
            accumulator.settle(batch, result, now);
        }
        accumulator.request_ended(work.broker, answered.throttled_until);
    }
    if answered.is_stale {
        shared.stale.notify_one();
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
