//! `divvy-zookeeper` on real ZooKeeper 3.4.6 servers and on the embedded one: operations, watches, and everything that may happen to a session.

#![allow(clippy::unwrap_used, reason = "what is wrong in a test may panic")]

mod operations;
mod sessions;
mod watches;

use std::future::Future;
use std::time::Duration;

use divvy_tests::{Cluster, KafkaVersion};
use divvy_zookeeper::{Change, ChangeKind, Changes, Config, Create, Session, State, ZooKeeper};

/// How long something may take that must happen soon.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// The session timeout of the tests that let sessions expire.
pub(crate) const SESSION: Duration = Duration::from_secs(2);

pub(crate) fn shared(version: KafkaVersion) -> &'static Cluster {
    Cluster::shared(version).expect("a cluster")
}

pub(crate) fn config(connect: impl Into<String>) -> Config {
    Config {
        session_timeout: SESSION,
        ..Config::new(connect)
    }
}

pub(crate) fn zookeeper(config: Config) -> ZooKeeper {
    ZooKeeper::new(config).expect("a ZooKeeper handle")
}

pub(crate) async fn session(version: KafkaVersion) -> Session {
    let zookeeper = zookeeper(Config::new(shared(version).zookeeper_connect()));
    zookeeper.session().await.expect("a session")
}

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(SOON, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {SOON:?} in vain for {what}"),
    }
}

pub(crate) async fn state(session: &Session, state: State) {
    soon(&format!("{state:?}"), async {
        session
            .states()
            .wait_for(|now| *now == state)
            .await
            .expect("a live session");
    })
    .await;
}

/// Waits for the change of a node, and says which.
pub(crate) async fn change(changes: &mut Changes, node: &str) -> ChangeKind {
    soon(&format!("a change of {node}"), async {
        loop {
            match changes.recv().await.expect("a live session") {
                Change::Node { path, kind } if *path == *node => return kind,
                _ => {}
            }
        }
    })
    .await
}

pub(crate) fn created(created: Create) -> divvy_zookeeper::Stat {
    match created {
        Create::Created(stat) => stat,
        Create::Exists(node) => panic!("somebody else's {node:?}"),
    }
}
