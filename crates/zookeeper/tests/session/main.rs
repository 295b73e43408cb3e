//! Sessions on servers that do whatever a server may do, and what none should: in memory, with paused time.

#![allow(clippy::unwrap_used, reason = "what is wrong in a test may panic")]

mod attaching;
mod fake;
mod lease;
mod misbehaving;

use std::time::Duration;

use divvy_zookeeper::{Config, Session, State};
use tokio::time::timeout;

use fake::{Peer, Servers, T, client};

pub(crate) fn config() -> Config {
    Config::new("zk1:1")
}

/// A session with its first connection.
pub(crate) async fn opened(config: Config) -> (Session, Servers, Peer) {
    let (zookeeper, mut servers) = client(config);
    let (session, (peer, _)) = tokio::join!(zookeeper.session(), servers.attach());
    (session.unwrap(), servers, peer)
}

pub(crate) async fn state(session: &Session, state: State) {
    let mut states = session.states();
    let reached = states.wait_for(|now| *now == state);
    timeout(10 * T, reached).await.expect("the state").unwrap();
}

/// Lets that much of the paused time pass, with everything that falls due.
pub(crate) async fn pass(time: Duration) {
    assert!(timeout(time, std::future::pending::<()>()).await.is_err());
}
