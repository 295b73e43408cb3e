//! What an embedded cluster is made of.
//!
//! [`zookeeper`] is a model of ZooKeeper 3.4.6: sessions, the tree of nodes, watches, and an ensemble of servers that lag, fail
//! and elect a leader. It does no I/O, reads no clock and draws nothing at random, so that a simulation can drive it and a run can
//! be repeated. It is compared with real servers, operation by operation.
//!
//! With the feature `server`, `server` has that model answer on sockets.

#[cfg(feature = "server")]
pub mod server;
pub mod zookeeper;
