//! Groups in hard weather: servers of an ensemble die or are cut off from one another, a broker's registration
//! flaps, brokers are replaced by others of a later version, a handler keeps its only thread busy.
//!
//! `cut_off`, `ensemble` and `upgrade` are on real clusters alone: the embedded one has one ZooKeeper server, and brokers of one
//! version for as long as it lives.

mod busy;
mod cut_off;
mod ensemble;
mod flapping;
mod upgrade;
