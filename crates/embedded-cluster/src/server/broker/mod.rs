//! Kafka's brokers of 0.8.2 and 0.9, whose replicas share one log in this process.

mod append;
mod connection;
mod controller;
mod fetch;
mod groups;
mod log;
mod metadata;
mod node;
mod offsets;
mod produce;
mod requests;
mod state;

#[cfg(test)]
mod tests;

pub(super) use log::Limits;
pub(super) use node::Node;
pub(super) use state::{Settings, Shared};

/// Which brokers to behave as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Release {
    /// 0.8.2.2. What it does not know closes the connection.
    #[default]
    V0_8_2,
    /// 0.9.0.1. What it does not know is never answered.
    V0_9,
}
