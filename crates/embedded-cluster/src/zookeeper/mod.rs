//! A model of ZooKeeper 3.4.6.
//!
//! An [`Ensemble`] is told what happens (a connection is opened, a frame arrives, time passes, a server dies) and says what its
//! servers send ([`Ensemble::poll_output`]). It behaves as the real one in what clients can see:
//!
//! - the data tree with persistent, ephemeral and sequential nodes, every field of a stat, and the error codes of each operation,
//!   alone and within a multi;
//! - sessions with negotiated timeouts, which end between one timeout and one timeout and a tick after they were last touched,
//!   because they are kept in buckets of one tick; attaching again with a password, through any server;
//! - one-shot watches, which come before the answer to whatever caused them, and the setting of watches after a reconnection;
//! - one order of all transactions, failed ones included, which every server applies at its own pace. A follower answers reads from
//!   what it has applied, refuses a client that has seen more, and learns of everything else through its leader;
//! - a leader that learns only from its followers' answers to its pings that their clients are alive, and that gives every session
//!   its whole timeout anew when it is elected;
//! - lists of who may do what with a node, with the identities `digest` and `ip`. Every connection comes from 127.0.0.1.
//!
//! What it leaves out: the super user, quotas, observers, the four-letter words, and everything about files. A transaction is
//! committed at the moment at which its leader decides it, if it reaches a majority.
//! A request that waits for the leader holds up what comes after it on its connection, where 3.4.6 holds up the whole server.
//!
//! ```
//! use divvy_embedded_cluster::zookeeper::{Config, Ensemble, Output};
//! use divvy_zookeeper::wire::{ClientFrame, ConnectRequest, ServerFrame};
//!
//! let mut ensemble = Ensemble::new(Config::default());
//! let connection = ensemble.connect(0).expect("the server is up");
//! ensemble.receive(5, connection, ClientFrame::Connect(ConnectRequest {
//!     timeout_ms: 6_000,
//!     ..ConnectRequest::default()
//! }));
//! let Some(Output::Frame(_, ServerFrame::Connect(session))) = ensemble.poll_output() else {
//!     panic!("no session");
//! };
//! assert_eq!(session.timeout_ms, 6_000);
//! ```

mod acl;
mod ensemble;
mod leader;
mod link;
mod prepare;
mod requests;
mod server;
mod sessions;
mod summary;
mod transaction;
mod tree;
mod watches;

#[cfg(test)]
mod tests;

pub use ensemble::{Config, Ensemble, Node, Output, Written};
pub use summary::Summary;

/// A time in milliseconds, since an origin that the caller chose, or a span of it.
pub type Millis = u64;

/// A client's connection to one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) u64);
