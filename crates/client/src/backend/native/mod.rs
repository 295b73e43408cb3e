//! The backend in pure Rust.

mod config;
mod lane;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use divvy_protocol::TopicPartition;
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::task::JoinSet;
use tracing::Instrument;

pub use config::{FetchConfig, IsolationLevel};

use self::plan::Plan;
use super::{Backend, Prefetch};
use crate::backoff::Backoff;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::offsets::{OffsetSpec, PerPartition};
use crate::sync::lock;

/// Fetches from the brokers over connections of its own, a few to each broker that leads a partition in use.
pub struct NativeBackend {
    shared: Arc<Shared>,
    tasks: AsyncMutex<JoinSet<()>>,
}

struct Shared {
    client: Client,
    config: FetchConfig,
    prefetch: Arc<Prefetch>,
    plan: Mutex<Plan>,
    /// A partition was started, so that a broker may have to be fetched from that was not before.
    started: Notify,
}

impl fmt::Debug for NativeBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeBackend").finish_non_exhaustive()
    }
}

impl NativeBackend {
    /// Takes a client into use. Its tasks run on the client's runtime until [`Backend::close`], or until this is dropped.
    pub fn new(client: &Client, config: FetchConfig) -> Result<Self> {
        config.validate()?;
        let prefetch = Prefetch::new(config.max_queued_bytes);
        let backoff = Backoff::new(client.config().backoff, client.config().backoff_max);
        let shared = Arc::new(Shared {
            client: client.clone(),
            plan: Mutex::new(Plan::new(config.clone(), backoff, Arc::clone(&prefetch))),
            config,
            prefetch,
            started: Notify::new(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn_on(keep_lanes(Arc::clone(&shared)), client.runtime());
        tasks.spawn_on(find_leaders(Arc::clone(&shared)), client.runtime());
        Ok(Self {
            shared,
            tasks: AsyncMutex::new(tasks),
        })
    }
}

#[async_trait]
impl Backend for NativeBackend {
    fn prefetch(&self) -> &Arc<Prefetch> {
        &self.shared.prefetch
    }

    fn start(&self, tp: &TopicPartition, from_offset: i64) {
        self.shared.plan().start(tp, from_offset);
        self.shared.started.notify_waiters();
    }

    fn stop(&self, tp: &TopicPartition) {
        self.shared.plan().stop(tp);
    }

    async fn partitions(&self, topic: &str) -> Result<Vec<i32>> {
        self.shared.client.use_topics([topic]).await?;
        self.shared
            .client
            .metadata()
            .partitions(topic)
            .ok_or_else(|| Error::UnknownTopic {
                topic: topic.to_owned(),
            })
    }

    async fn list_offsets(
        &self,
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
    ) -> PerPartition<Option<i64>> {
        self.shared.client.list_offsets(wanted).await
    }

    async fn close(&self) {
        let mut tasks = self.tasks.lock().await;
        tasks.shutdown().await;
        self.shared.plan().clear();
    }
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        lock(&self.plan)
    }

    /// Waits until this holds, looking whenever the metadata has changed or a partition was started.
    async fn changed(&self, mut holds: impl FnMut() -> bool) {
        let mut metadata = self.client.subscribe();
        loop {
            let started = self.started.notified();
            tokio::pin!(started);
            started.as_mut().enable();
            metadata.borrow_and_update();
            if holds() {
                return;
            }
            tokio::select! {
                () = started => {}
                Ok(()) = metadata.changed() => {}
            }
        }
    }
}

/// Keeps fetch lanes to every broker that leads something.
async fn keep_lanes(shared: Arc<Shared>) {
    let mut lanes = JoinSet::new();
    let mut served = BTreeSet::new();
    loop {
        let known = shared.client.metadata();
        let leaders = shared.plan().leaders(&known);
        for broker in leaders {
            if served.insert(broker) {
                for n in 0..shared.config.fetch_connections {
                    let span = tracing::debug_span!("fetch", broker, connection = n);
                    lanes.spawn(lane::run(Arc::clone(&shared), broker).instrument(span));
                }
            }
        }
        shared
            .changed(|| {
                shared
                    .plan()
                    .leaders(&shared.client.metadata())
                    .iter()
                    .any(|b| !served.contains(b))
            })
            .await;
    }
}

/// Asks for the metadata again for as long as some partition has no leader.
async fn find_leaders(shared: Arc<Shared>) {
    let config = shared.client.config();
    let mut backoff = Backoff::new(config.backoff, config.backoff_max);
    loop {
        shared
            .changed(|| shared.plan().misses_a_leader(&shared.client.metadata()))
            .await;
        if let Err(error) = shared.client.refresh().await {
            tracing::warn!(%error, "the cluster's metadata cannot be refreshed");
        }
        let found = !shared.plan().misses_a_leader(&shared.client.metadata());
        if found {
            backoff.succeed();
        } else {
            tokio::time::sleep(backoff.fail()).await;
        }
    }
}
