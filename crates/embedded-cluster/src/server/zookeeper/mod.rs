//! The model of ZooKeeper on a socket.

mod connection;
mod hub;
mod local;
mod outbox;
mod words;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::error::Result;
use super::network::{MAX_CONNECTIONS, Port, Task};
use super::weather::{Faults, Weather};
pub(super) use hub::{Hub, millis, wall_clock};
pub(super) use local::LocalSession;

/// How a [`ZooKeeperServer`] is to be.
#[derive(Clone, Debug)]
pub struct ZooKeeperBuilder {
    address: SocketAddr,
    tick: Duration,
    max_connections: usize,
}

impl ZooKeeperBuilder {
    /// Where it listens. ZooKeeper: `clientPort`. Default: a free port of 127.0.0.1.
    #[must_use]
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// The length of a tick: sessions last from 2 to 20 of them, whatever the client asks for. From 1 ms to an hour. ZooKeeper:
    /// `tickTime`. Default: 500 ms.
    #[must_use]
    pub fn tick(mut self, tick: Duration) -> Self {
        self.tick = tick.clamp(Duration::from_millis(1), Duration::from_secs(3600));
        self
    }

    /// How many connections there may be at a time; further ones are closed at once. Default: 1024.
    #[must_use]
    pub fn max_connections(mut self, most: usize) -> Self {
        self.max_connections = most;
        self
    }

    /// Starts a server with an empty tree, on the current runtime of tokio, which needs time and I/O.
    ///
    /// # Errors
    /// [`Error::Listen`](super::Error::Listen) where the address cannot be listened on.
    pub async fn start(self) -> Result<ZooKeeperServer> {
        let hub = Arc::new(Hub::new(self.tick));
        ZooKeeperServer::start(&self, hub).await
    }
}

/// A standalone ZooKeeper server, as 3.4.6 behaves, in memory.
///
/// It serves as long as this value lives and the runtime that it was started on runs.
///
/// What the real one has and this one has not: a super user, identities but `digest` and `ip`, quotas, and files. Requests that it does not know are refused, and their connections closed, as 3.4 does.
#[derive(Debug)]
pub struct ZooKeeperServer {
    hub: Arc<Hub>,
    address: SocketAddr,
    max_connections: usize,
    /// None while it is stopped.
    port: Option<Port>,
    weather: Weather,
    clock: Task,
}

impl ZooKeeperServer {
    /// How a server is to be.
    pub fn builder() -> ZooKeeperBuilder {
        ZooKeeperBuilder {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            tick: Duration::from_millis(500),
            max_connections: MAX_CONNECTIONS,
        }
    }

    pub(super) async fn start(builder: &ZooKeeperBuilder, hub: Arc<Hub>) -> Result<Self> {
        let mut server = Self {
            clock: Task::spawn(Arc::clone(&hub).run()),
            hub,
            address: builder.address,
            max_connections: builder.max_connections,
            port: None,
            weather: Weather::new(),
        };
        server.listen().await?;
        Ok(server)
    }

    async fn listen(&mut self) -> Result<()> {
        let hub = Arc::clone(&self.hub);
        let serve = move |line| connection::serve(Arc::clone(&hub), line);
        let (weather, most) = (self.weather.clone(), self.max_connections);
        let port = Port::open(self.address, weather, most, serve).await?;
        self.address = port.address();
        self.port = Some(port);
        Ok(())
    }

    /// Where it listens. Its text is what `zookeeper.connect` takes.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The sessions that have not ended, by their ids, in no particular order. The client of a session knows its id.
    pub fn sessions(&self) -> Vec<i64> {
        self.hub.sessions()
    }

    /// Ends a session as if its time were over: its ephemeral nodes go, and its connection is closed. The client learns of it when
    /// it connects again. Nothing happens where there is no such session.
    pub fn expire_session(&self, session: i64) {
        self.hub.expire(session);
    }

    /// Closes every connection. Sessions go on, and clients may come back.
    pub fn cut_connections(&self) {
        self.weather.cut();
    }

    /// Closes the connection of a session. The session goes on, and its client may come back.
    pub fn cut_session(&self, session: i64) {
        self.weather.cut_off(&connection::name(session));
    }

    /// What goes wrong on the way to the client of a session from now on, in place of what did before, and besides what does for
    /// [all](Self::set_faults). Time passes all the while, so that a session of which nothing is heard ends.
    pub fn set_session_faults(&self, session: i64, faults: Faults) {
        self.weather.set_for(&connection::name(session), faults);
    }

    /// What goes wrong on the way to all clients from now on, in place of what did before.
    ///
    /// While the server is frozen no time passes for it. Sessions that should have been heard of meanwhile end when it goes on,
    /// unless their clients are heard first.
    pub fn set_faults(&self, faults: Faults) {
        self.weather.set(faults);
        self.hub.freeze(faults.freeze);
    }

    /// Kills the server: its port and its connections are closed. Nodes and sessions are what it finds when it is
    /// [restarted](Self::restart). Nothing happens where it does not run.
    pub async fn stop(&mut self) {
        if let Some(port) = self.port.take() {
            port.close().await;
            self.hub.stop();
        }
    }

    /// Starts a server that was stopped, where it listened before. Every session has its whole timeout anew.
    ///
    /// # Errors
    /// [`Error::Listen`](super::Error::Listen) where the port has been taken meanwhile.
    pub async fn restart(&mut self) -> Result<()> {
        if self.port.is_some() {
            return Ok(());
        }
        self.hub.start();
        self.listen().await.inspect_err(|_| self.hub.stop())
    }

    /// Stops serving, and closes the port and every connection.
    pub async fn shutdown(self) {
        if let Some(port) = self.port {
            port.close().await;
        }
        self.clock.end().await;
    }
}
