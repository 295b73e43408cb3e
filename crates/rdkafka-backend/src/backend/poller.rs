//! The thread that librdkafka's messages come to.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use divvy_client::{ClientConfig, FetchError, Generation, Prefetch, TopicPartition};

use super::config::RdkafkaConfig;
use super::deliver::{Delivery, deliver};
use super::pace::Pace;
use super::sizes::{self, Sizes};
use super::table::{Position, State, Table};
use crate::bare::{self, Waker};
use crate::cluster::Cluster;

/// The most messages that are taken at a time: a chunk has no more, and nothing can be started or stopped meanwhile.
const BATCH: usize = 2000;

/// How long is waited at a time. Commands and room end the wait before.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Where the brokers are.
    Cluster(Cluster),
    Start {
        tp: TopicPartition,
        generation: Generation,
        offset: i64,
    },
    Stop(TopicPartition),
    Close,
}

/// What the thread shares with the backend.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) prefetch: Arc<Prefetch>,
    pub(super) waker: Waker,
    /// Some partition waits for room.
    pub(super) starved: Arc<AtomicBool>,
}

/// The thread's state. It alone touches librdkafka.
#[derive(Debug)]
pub(super) struct Poller {
    pub(super) commands: Receiver<Command>,
    pub(super) shared: Shared,
    pub(super) client: ClientConfig,
    pub(super) config: RdkafkaConfig,
    pub(super) cluster: Option<Cluster>,
    pub(super) table: Table,
    pub(super) fetching: Option<Fetching>,
    pub(super) pace: Pace,
}

/// A client of librdkafka, and for how many partitions it was made.
#[derive(Debug)]
pub(super) struct Fetching {
    consumer: bare::Consumer,
    sizes: Sizes,
}

impl Poller {
    /// Fetches until it is told to close, or nobody is left to tell it.
    pub(super) fn run(mut self) {
        while self.take_commands() {
            self.ready();
            self.start_new();
            self.receive();
        }
    }

    /// Does what was told, having waited for it where there is nothing else to wait for.
    fn take_commands(&mut self) -> bool {
        if self.fetching.is_none() || self.cluster.is_none() {
            let told = self.commands.recv().is_ok_and(|told| self.take(told));
            if !told {
                return false;
            }
        }
        loop {
            let told = match self.commands.try_recv() {
                Ok(command) => self.take(command),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => false,
            };
            if !told {
                return false;
            }
        }
    }

    /// Gives whether to go on.
    fn take(&mut self, command: Command) -> bool {
        match command {
            Command::Cluster(cluster) => self.cluster = Some(cluster),
            Command::Start {
                tp,
                generation,
                offset,
            } => {
                self.end(&tp);
                let mut position = Position::new(tp.clone(), generation, offset);
                position.held = self.shared.prefetch.gauge(&tp);
                self.table.insert(position);
            }
            Command::Stop(tp) => {
                self.end(&tp);
                let last = self.table.remove(&tp);
                if let Some(fetching) = self.fetching.as_mut().filter(|_| last) {
                    fetching.consumer.forget(&tp.topic);
                }
            }
            Command::Close => return false,
        }
        true
    }

    /// Has librdkafka fetch a partition no more.
    fn end(&mut self, tp: &TopicPartition) {
        if let Some(fetching) = &mut self.fetching
            && let Err(error) = fetching.consumer.stop(&tp.topic, tp.partition)
        {
            tracing::debug!(%tp, %error, "a partition cannot be stopped");
        }
    }

    /// Makes a client of librdkafka where there is none, and another one where it has to ask for another amount.
    fn ready(&mut self) {
        let Some(cluster) = &self.cluster else { return };
        let partitions = self.table.len();
        let pace = &mut self.pace;
        let mut serves =
            |sizes: &Sizes| !pace.changes(sizes, partitions) && !sizes.is_outgrown_by(partitions);
        let serves = self
            .fetching
            .as_ref()
            .is_some_and(|some| serves(&some.sizes));
        if partitions == 0 || serves {
            return;
        }
        let fetch = &self.config.fetch;
        let sizes = Sizes::new(
            fetch.max_queued_bytes,
            fetch.fetch_message_max_bytes,
            partitions,
            self.pace.expansion(),
        );
        if let Some(fetching) = &mut self.fetching
            && fetching.sizes.fetch == sizes.fetch
        {
            fetching.sizes = sizes;
            return;
        }
        if self.fetching.take().is_some() {
            for position in self.table.iter_mut() {
                if position.state == State::Fetched {
                    position.state = State::New;
                }
                position.asked = 0;
            }
        }
        let settings = self.config.settings(&self.client, cluster, &sizes);
        match settings.and_then(bare::Consumer::new) {
            Ok(mut consumer) => {
                consumer.wake_by(&self.shared.waker);
                self.fetching = Some(Fetching { consumer, sizes });
            }
            Err(error) => self.fail_all(&error),
        }
    }

    /// librdkafka cannot be had, so that every partition stands still.
    fn fail_all(&mut self, error: &bare::Error) {
        for position in self.table.iter_mut() {
            if position.state != State::Halted {
                halt(&self.shared.prefetch, position, library(position, error));
            }
        }
    }

    /// Starts what was started since the last time, and what has room again.
    fn start_new(&mut self) {
        let line = sizes::line(self.config.fetch.max_queued_bytes, self.table.len());
        self.table.take_drained(line);
        self.shared
            .starved
            .store(self.table.any_full(), Ordering::Relaxed);
        let Some(fetching) = &mut self.fetching else {
            return;
        };
        for position in self.table.iter_mut() {
            if position.state != State::New {
                continue;
            }
            position.state = State::Fetched;
            let tp = &position.tp;
            let started = fetching
                .consumer
                .start(&tp.topic, tp.partition, position.next_offset);
            if let Err(error) = started {
                halt(&self.shared.prefetch, position, library(position, &error));
            }
        }
    }

    /// Waits for messages, puts them into the queue, and stops what should not be fetched on.
    fn receive(&mut self) {
        let Some(fetching) = &mut self.fetching else {
            return;
        };
        let fetch = &self.config.fetch;
        let mut delivery = Delivery {
            prefetch: &self.shared.prefetch,
            table: &mut self.table,
            line: 0,
            messages: 0,
            bytes: 0,
            largest: fetch.fetch_message_max_bytes_cap,
            fetch: fetching.sizes.fetch,
            full: BTreeSet::new(),
            again: BTreeSet::new(),
            halted: BTreeSet::new(),
        };
        delivery.line = sizes::line(fetch.max_queued_bytes, delivery.table.len());
        match fetching.consumer.receive(BATCH, PATIENCE) {
            Ok(batch) => deliver(&batch, &mut delivery),
            Err(error) => tracing::warn!(%error, "librdkafka gives nothing"),
        }
        let Delivery {
            messages,
            bytes,
            full,
            again,
            halted,
            ..
        } = delivery;
        self.pace.came(messages, bytes, fetching.consumer.queued());
        for tp in &full {
            self.end(tp);
            self.table.fill(tp);
        }
        for tp in again.iter().chain(&halted) {
            self.end(tp);
        }
        if !full.is_empty() {
            // Whoever drained a line before it was said to be full has woken nobody.
            self.shared.starved.store(true, Ordering::Relaxed);
        }
    }
}

/// Puts an error into the queue. The partition stands still.
pub(super) fn halt(prefetch: &Prefetch, position: &mut Position, error: FetchError) {
    position.state = State::Halted;
    prefetch.push(&position.tp, position.generation, Err(error));
}

fn library(position: &Position, error: &bare::Error) -> FetchError {
    FetchError::Library {
        tp: position.tp.clone(),
        offset: position.next_offset,
        why: error.to_string(),
    }
}
