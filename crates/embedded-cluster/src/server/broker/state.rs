use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use divvy_protocol::ErrorCode;
use divvy_zookeeper::{paths, wire};
use tokio::sync::watch;

use super::Release;
use super::groups::Offsets;
use super::log::{Limits, Log, LogDir};
use crate::server::error::{Error, Result};
use crate::server::zookeeper::{Hub, LocalSession, millis, wall_clock};

/// What all brokers have in common.
#[derive(Clone, Debug)]
pub(in crate::server) struct Settings {
    pub(in crate::server) release: Release,
    pub(in crate::server) limits: Limits,
    /// Where logs are on disk; `None` where they are in memory.
    pub(in crate::server) log_dir: Option<PathBuf>,
    /// How long the sessions of this process last, in milliseconds.
    pub(in crate::server) session_ms: i32,
    /// How long nothing may happen on a connection.
    pub(in crate::server) most_idle: Duration,
    /// How many partitions and replicas a topic gets that is made because somebody asked for it; `None` where it is not made.
    pub(in crate::server) auto_create: Option<(usize, usize)>,
}

/// What the brokers share: there is one log for each partition, whoever leads it.
#[derive(Debug)]
pub(in crate::server) struct Shared {
    pub(in crate::server) settings: Settings,
    pub(in crate::server) hub: Arc<Hub>,
    state: Mutex<State>,
    /// Told of everything that somebody may wait for.
    changed: watch::Sender<()>,
    /// Held while leaders are decided and written, so that what was decided last is written last.
    deciding: Mutex<()>,
    /// The session through which brokers write what belongs to no single one of them.
    session: Mutex<Arc<LocalSession>>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The brokers that are registered, and where they listen.
    pub(super) alive: BTreeMap<i32, SocketAddr>,
    /// Where each broker listens that has ever been registered.
    pub(super) known: BTreeMap<i32, SocketAddr>,
    pub(super) topics: BTreeMap<String, BTreeMap<i32, Partition>>,
    pub(super) offsets: Offsets,
    /// Where logs are on disk; `None` where they are in memory, and after the end.
    pub(super) log_dir: Option<LogDir>,
    /// Logs that were on disk already, until the controller takes up their partitions.
    pub(super) kept: BTreeMap<(String, i32), Log>,
}

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) replicas: Vec<i32>,
    pub(super) leader: Option<i32>,
    pub(super) leader_epoch: i32,
    pub(super) isr: Vec<i32>,
    pub(super) log: Log,
}

impl Shared {
    pub(in crate::server) fn new(settings: Settings, hub: Arc<Hub>) -> Result<Self> {
        let log_dir = settings.log_dir.clone().map(LogDir::open).transpose()?;
        let session = LocalSession::open(&hub, settings.session_ms).map_err(Error::ZooKeeper)?;
        let state = State {
            log_dir,
            ..State::default()
        };
        Ok(Self {
            settings,
            hub,
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
            deciding: Mutex::default(),
            session: Mutex::new(Arc::new(session)),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn decide(&self) -> MutexGuard<'_, ()> {
        self.deciding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session that lasts; a new one where the last has ended.
    pub(in crate::server) fn session(&self) -> Result<Arc<LocalSession>, wire::ErrorCode> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if !session.ping() {
            *session = Arc::new(session.reopen()?);
        }
        Ok(Arc::clone(&session))
    }

    pub(super) fn notify(&self) {
        self.changed.send_replace(());
    }

    pub(in crate::server) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The broker that leads a partition.
    pub(in crate::server) fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let state = self.lock();
        state.topics.get(topic)?.get(&partition)?.leader
    }

    /// How many partitions of a topic have a leader.
    pub(in crate::server) fn led(&self, topic: &str) -> usize {
        let state = self.lock();
        let partitions = state.topics.get(topic).into_iter().flatten();
        partitions
            .filter(|(_, partition)| partition.leader.is_some())
            .count()
    }

    pub(in crate::server) fn is_registered(&self, broker: i32) -> bool {
        self.hub.data(&paths::broker_id(broker)).is_some()
    }

    /// Where the registered brokers listen.
    pub(in crate::server) fn alive(&self) -> BTreeMap<i32, SocketAddr> {
        self.lock().alive.clone()
    }

    /// Damages a message of a partition, with those that were compressed together with it, and gives their offsets; `None` where
    /// there is none at that offset.
    pub(in crate::server) fn corrupt(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<Range<i64>>> {
        let mut state = self.lock();
        let log = state.log(topic, partition);
        log.map_or(Ok(None), |log| log.corrupt(offset))
    }

    /// Lets go of what is on disk. Nothing is written there any more.
    pub(in crate::server) fn release(&self) {
        let mut state = self.lock();
        state.topics.clear();
        state.kept.clear();
        state.log_dir = None;
    }

    /// The first offset of a partition and the one behind its last.
    pub(in crate::server) fn range(&self, topic: &str, partition: i32) -> Option<(i64, i64)> {
        let mut state = self.lock();
        let log = state.log(topic, partition)?;
        Some((log.start(), log.end()))
    }
}

impl State {
    fn log(&mut self, topic: &str, partition: i32) -> Option<&mut Log> {
        let partitions = self.topics.get_mut(topic)?;
        partitions
            .get_mut(&partition)
            .map(|partition| &mut partition.log)
    }

    /// A partition that a broker leads.
    pub(super) fn led_by(
        &mut self,
        broker: i32,
        topic: &str,
        partition: i32,
    ) -> Result<&mut Partition, ErrorCode> {
        let found = self
            .topics
            .get_mut(topic)
            .and_then(|found| found.get_mut(&partition));
        match found {
            None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            Some(partition) if partition.leader == Some(broker) => Ok(partition),
            Some(_) => Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
        }
    }

    pub(super) fn knows(&self, topic: &str, partition: i32) -> bool {
        let partitions = self.topics.get(topic);
        partitions.is_some_and(|partitions| partitions.contains_key(&partition))
    }
}

/// The time in milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    i64::try_from(millis(wall_clock())).unwrap_or(i64::MAX)
}
