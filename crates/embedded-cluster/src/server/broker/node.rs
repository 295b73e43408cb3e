use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use divvy_zookeeper::paths;
use divvy_zookeeper::wire::{CreateMode, ErrorCode};
use tracing::debug;

use super::Release;
use super::connection;
use super::state::{Shared, now_ms};
use crate::server::error::{Error, Result};
use crate::server::network::{MAX_CONNECTIONS, Port, Task};
use crate::server::weather::Weather;
use crate::server::zookeeper::LocalSession;

/// How often a broker says to ZooKeeper that it lives.
const KEEP: Duration = Duration::from_millis(250);

/// One broker: what its clients see of it, and its registration.
#[derive(Debug)]
pub(in crate::server) struct Node {
    id: i32,
    address: SocketAddr,
    /// The port that clients are told.
    advertised: Option<u16>,
    weather: Weather,
    shared: Arc<Shared>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    port: Port,
    registration: Arc<Registration>,
    keeper: Task,
}

impl Node {
    /// Starts a broker at an address, whose port may be 0 for a free one. Clients are told another port where it has one.
    pub(in crate::server) async fn start(
        id: i32,
        address: SocketAddr,
        advertised: Option<u16>,
        shared: Arc<Shared>,
    ) -> Result<Self> {
        let weather = Weather::new();
        let mut node = Self {
            id,
            address,
            advertised,
            weather,
            shared,
            running: None,
        };
        node.restart().await?;
        Ok(node)
    }

    /// Starts it where it does not run. It listens where it did.
    pub(in crate::server) async fn restart(&mut self) -> Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        let (shared, id) = (Arc::clone(&self.shared), self.id);
        let serve = move |line| connection::serve(Arc::clone(&shared), id, line);
        let port = Port::open(self.address, self.weather.clone(), MAX_CONNECTIONS, serve).await?;
        self.address = port.address();
        let mut told = self.address;
        told.set_port(self.advertised.unwrap_or(told.port()));
        let registration = Registration::new(&self.shared, id, told);
        let registration = Arc::new(registration.map_err(Error::ZooKeeper)?);
        let keeper = Task::spawn(Arc::clone(&registration).keep(self.weather.clone()));
        self.running = Some(Running {
            port,
            registration,
            keeper,
        });
        Ok(())
    }

    /// Stops it. Its registration goes at once, or with its session where it is killed.
    pub(in crate::server) async fn stop(&mut self, at_once: bool) {
        if let Some(running) = self.running.take() {
            running.port.close().await;
            running.keeper.end().await;
            if at_once {
                running.registration.session().close();
            }
        }
    }

    pub(in crate::server) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(in crate::server) fn weather(&self) -> &Weather {
        &self.weather
    }

    /// The session of the broker in ZooKeeper; `None` where it does not run.
    pub(in crate::server) fn session(&self) -> Option<i64> {
        let running = self.running.as_ref()?;
        Some(running.registration.session().id())
    }
}

/// A broker's session, and its node.
#[derive(Debug)]
struct Registration {
    shared: Arc<Shared>,
    id: i32,
    address: SocketAddr,
    held: Mutex<Held>,
}

/// A session, and whether the broker has registered in it.
#[derive(Debug)]
struct Held {
    session: Arc<LocalSession>,
    is_registered: bool,
}

impl Held {
    fn new(session: LocalSession) -> Self {
        Self {
            session: Arc::new(session),
            is_registered: false,
        }
    }
}

impl Registration {
    fn new(shared: &Arc<Shared>, id: i32, address: SocketAddr) -> Result<Self, ErrorCode> {
        let session = LocalSession::open(&shared.hub, shared.settings.session_ms)?;
        let registration = Self {
            shared: Arc::clone(shared),
            id,
            address,
            held: Mutex::new(Held::new(session)),
        };
        registration.register()?;
        Ok(registration)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session(&self) -> Arc<LocalSession> {
        Arc::clone(&self.lock().session)
    }

    /// Registers once in each session, as brokers do: a node that somebody deletes does not come back (KAFKA-1387). One that is
    /// there before is that of an earlier session, which has to end first.
    fn register(&self) -> Result<(), ErrorCode> {
        let (path, document) = (paths::broker_id(self.id), self.document());
        let mut held = self.lock();
        if held.is_registered {
            return Ok(());
        }
        let mode = CreateMode::Ephemeral;
        match held.session.create(&path, Some(&document), mode) {
            Err(ErrorCode::NodeExists) => Ok(()),
            Ok(()) => {
                held.is_registered = true;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn document(&self) -> String {
        let (host, port, now) = (self.address.ip(), self.address.port(), now_ms());
        match self.shared.settings.release {
            Release::V0_8_2 => format!(
                r#"{{"jmx_port":-1,"timestamp":"{now}","host":"{host}","version":1,"port":{port}}}"#
            ),
            Release::V0_9 => format!(
                r#"{{"jmx_port":-1,"timestamp":"{now}","endpoints":["PLAINTEXT://{}"],"host":"{host}","version":2,"port":{port}}}"#,
                self.address
            ),
        }
    }

    /// Keeps the session alive, unless the broker stands still. After its end the broker registers in a new one, as brokers do.
    async fn keep(self: Arc<Self>, weather: Weather) {
        loop {
            tokio::time::sleep(KEEP).await;
            weather.thawed().await;
            if !self.session().ping() {
                match self.session().reopen() {
                    Ok(session) => *self.lock() = Held::new(session),
                    Err(error) => debug!("broker {} has no session: {error}", self.id),
                }
            }
            if let Err(error) = self.register() {
                debug!("broker {} is not registered: {error}", self.id);
            }
        }
    }
}
