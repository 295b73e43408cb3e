//! Servers on loopback sockets, which real clients connect to.
//!
//! [`ZooKeeperServer`] answers with what the model in [`crate::zookeeper`] decides, and decides nothing itself: it has the
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
//! They are for tests and for development. There is no access control and no encryption, nothing survives the process, and whoever
//! can reach the port can read and write everything.

mod error;
mod network;
mod zookeeper;

pub use error::{Error, Result};
pub use network::Faults;
pub use zookeeper::{ZooKeeperBuilder, ZooKeeperServer};
