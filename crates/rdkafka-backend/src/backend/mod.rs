//! The trait `Backend` over librdkafka.

mod config;
mod deliver;
mod entries;
mod pace;
mod poller;
mod sizes;
mod supervisor;
mod table;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use divvy_client::{
    Backend, Client, Error, OffsetSpec, PerPartition, Prefetch, Result, TopicPartition,
};
use tokio::task::AbortHandle;

pub use config::RdkafkaConfig;

use self::pace::Pace;
use self::poller::{Command, Poller, Shared};
use self::table::Table;
use crate::bare::Waker;

/// Fetches through librdkafka. Partitions and offsets are looked up by the client.
///
/// Messages are copied out of librdkafka's memory as they come, into chunks like the native backend's: nothing of C outlives the
/// call that got it. A thread of its own does that, and everything else with librdkafka; it ends with [`Backend::close`], and soon
/// after this was dropped.
///
/// librdkafka fetches the same amount of every partition, so that amount follows from their number: where they become twice as
/// many, it is made anew with half the size, and goes on at the next offsets.
pub struct RdkafkaBackend {
    client: Client,
    shared: Shared,
    line: Mutex<Line>,
    supervisor: AbortHandle,
}

/// How the thread is told, in the order in which partitions are started and stopped.
struct Line {
    /// `None` once it is closed.
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
    /// What was started and not stopped.
    started: BTreeSet<TopicPartition>,
}

impl fmt::Debug for RdkafkaBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RdkafkaBackend").finish_non_exhaustive()
    }
}

impl RdkafkaBackend {
    /// Takes a client into use, from which librdkafka's settings follow. librdkafka is made when the first partition is started.
    ///
    /// # Errors
    ///
    /// A configuration error that names the field; [`RdkafkaConfig::properties`] with librdkafka's own text.
    pub fn new(client: &Client, config: RdkafkaConfig) -> Result<Self> {
        config.validate()?;
        let shared = Shared {
            prefetch: Prefetch::new(config.fetch.max_queued_bytes),
            waker: Waker::default(),
            starved: Arc::new(AtomicBool::new(false)),
        };
        let (sender, commands) = channel();
        let poller = Poller {
            commands,
            shared: shared.clone(),
            client: client.config().clone(),
            config,
            cluster: None,
            table: Table::default(),
            fetching: None,
            pace: Pace::new(),
        };
        let thread = thread::Builder::new()
            .name("divvy-rdkafka".to_owned())
            .spawn(move || poller.run())
            .map_err(|error| Error::config("use_rdkafka", format!("no thread: {error}")))?;
        let supervise = supervisor::run(client.clone(), shared.clone(), sender.clone());
        let supervisor = client.runtime().spawn(supervise).abort_handle();
        Ok(Self {
            client: client.clone(),
            shared,
            line: Mutex::new(Line {
                commands: Some(sender),
                thread: Some(thread),
                started: BTreeSet::new(),
            }),
            supervisor,
        })
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the thread to end, and nothing any more.
    fn end(&self) -> Option<JoinHandle<()>> {
        self.supervisor.abort();
        let mut line = self.line();
        for tp in &std::mem::take(&mut line.started) {
            self.shared.prefetch.close(tp);
        }
        if let Some(commands) = line.commands.take() {
            // It fails only if the thread has ended.
            let _ = commands.send(Command::Close);
        }
        self.shared.waker.wake();
        line.thread.take()
    }
}

#[async_trait]
impl Backend for RdkafkaBackend {
    fn prefetch(&self) -> &Arc<Prefetch> {
        &self.shared.prefetch
    }

    fn start(&self, tp: &TopicPartition, from_offset: i64) {
        let mut line = self.line();
        let Some(commands) = &line.commands else {
            return;
        };
        // Under the lock, so that the thread learns of generations in their order.
        let command = Command::Start {
            tp: tp.clone(),
            generation: self.shared.prefetch.open(tp),
            offset: from_offset,
        };
        let _ = commands.send(command);
        line.started.insert(tp.clone());
        self.shared.waker.wake();
    }

    fn stop(&self, tp: &TopicPartition) {
        let mut line = self.line();
        self.shared.prefetch.close(tp);
        if !line.started.remove(tp) {
            return;
        }
        if let Some(commands) = &line.commands {
            let _ = commands.send(Command::Stop(tp.clone()));
        }
        self.shared.waker.wake();
    }

    async fn partitions(&self, topic: &str) -> Result<Vec<i32>> {
        self.client.use_topics([topic]).await?;
        self.client
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
        self.client.list_offsets(wanted).await
    }

    async fn close(&self) {
        let Some(thread) = self.end() else { return };
        // librdkafka waits for its own threads.
        let ended = tokio::task::spawn_blocking(move || thread.join());
        if !matches!(ended.await, Ok(Ok(()))) {
            tracing::error!("the thread of librdkafka has panicked");
        }
    }
}

impl Drop for RdkafkaBackend {
    fn drop(&mut self) {
        // The thread ends by itself; waiting for it would hold up a runtime.
        drop(self.end());
    }
}
