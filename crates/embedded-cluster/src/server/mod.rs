//! Servers on loopback sockets, which real clients connect to.
//!
//! [`EmbeddedCluster`] is a ZooKeeper with brokers of Kafka 0.8.2 or 0.9, for those who test their consumers. What can befall a
//! cluster is called by its methods: brokers stop, sessions expire, leaders move, connections break, messages are damaged.
//!
//! [`ZooKeeperServer`] is the ZooKeeper alone. It answers with what the model in [`crate::zookeeper`] decides, and decides nothing itself: it has the
//! sockets, the clock and the limits that the model has not.
//!
//! ```
//! use divvy_embedded_cluster::server::ZooKeeperServer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), divvy_embedded_cluster::server::Error> {
//! let server = ZooKeeperServer::builder().start().await?;
//! println!("zookeeper.connect={}", server.address());
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! They are for tests and for development. There is no encryption, brokers know no access control, and whoever can reach the port
//! can read and write everything that ZooKeeper's lists leave open. Nothing survives the process, but for messages that are kept [on
//! disk](EmbeddedClusterBuilder::log_dir).

mod broker;
mod cluster;
mod error;
mod network;
mod weather;
mod zookeeper;

pub use broker::Release;
pub use cluster::{EmbeddedCluster, EmbeddedClusterBuilder};
pub use error::{Error, Result};
pub use weather::Faults;
pub use zookeeper::{ZooKeeperBuilder, ZooKeeperServer};
