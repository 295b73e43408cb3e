//! The ZooKeeper session, the documents and the paths that Kafka and its consumer groups keep there.
//!
//! What it does:
//!
//! * [`ZooKeeper`] is a long-lived handle for one ensemble (servers, chroot, authentication, ACL). It owns a thread with a
//!   runtime of its own, so that an application that burns CPU never costs a session.
//! * [`Session`] is one ZooKeeper session: a dozen operations with a deadline each, one-shot watches reported on a channel
//!   ([`Changes`]), and an end that is either [`State::Expired`] or [`State::Closed`]. A new session is a new [`Session`], so
//!   nothing that belonged to an old one is ever repeated in a new one.
//! * [`documents`] reads and writes what Kafka keeps in its nodes, and [`paths`] says where; both are pure.
//! * [`Session::brokers`], [`Session::topic`] and their like read the cluster.
//!
//! * [`Lease`] says how long what a session holds is certainly nobody else's.
//! * [`wire`] is the protocol itself, for a client and for a server. [`Dial`] and [`Clock`] are what a session reaches the world
//!   through; both can be replaced ([`ZooKeeper::with_parts`]).
//!
//! What it does not do: it knows nothing of partitions being claimed and of rebalances (that is the group's), it has no TLS (ZooKeeper 3.4 has none), and it speaks to servers from 3.4 on.
//!
//! Call its functions from within a tokio runtime with a timer.
//!
//! ```no_run
//! use divvy_zookeeper::{Config, ZooKeeper, paths};
//!
//! # async fn example() -> Result<(), divvy_zookeeper::Error> {
//! let zookeeper = ZooKeeper::new(Config::new("zk1:2181,zk2:2181,zk3:2181/kafka"))?;
//! let session = zookeeper.session().await?;
//! let mut changes = session.subscribe();
//! for topic in session.topics_watched().await? {
//!     println!("{topic}");
//! }
//! while let Some(change) = changes.recv().await {
//!     if change.concerns(paths::TOPICS) {
//!         println!("now {:?}", session.topics_watched().await?);
//!     }
//! }
//! session.close().await
//! # }
//! ```

pub mod clock;
mod config;
pub mod crash_release;
pub mod dial;
pub mod documents;
mod ensemble;
mod error;
mod executor;
pub mod lease;
mod open;
pub mod paths;
mod secret;
mod servers;
mod session;
mod stat;
mod thread;
mod topology;
pub mod wire;
mod zookeeper;

pub use clock::{BootClock, BootTime, Clock};
pub use config::{Acl, Auth, Config};
pub use crash_release::CrashRelease;
pub use dial::{Dial, Pipe};
pub use error::{Error, Result};
pub use executor::{Executor, Host};
pub use lease::Lease;
pub use secret::Secret;
pub use session::{
    Change, ChangeKind, Changes, Children, Create, CreatePersistent, Credentials, Delete,
    DeleteChecked, MAX_SET_MANY, Node, Session, Set, SetData, SetMany, State,
};
pub use stat::Stat;
pub use zookeeper::{Parts, ZooKeeper};
