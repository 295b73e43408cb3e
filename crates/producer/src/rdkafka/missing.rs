//! What stands for librdkafka in a build without it: nothing that could be.

use std::time::Duration;

use divvy_client::Client;

use crate::accumulator::Work;
use crate::config::ProducerConfig;
use crate::error::{Error, Result};
use crate::sender::Shared;

/// There is none.
#[derive(Debug)]
pub(crate) enum Rdkafka {}

impl Rdkafka {
    pub(crate) fn new(_: &Client, _: &ProducerConfig) -> Result<Self> {
        Err(Error::config(
            "use_rdkafka",
            "this build has no librdkafka; turn on the feature `rdkafka`, or build the program with `cargo build --release -p divvy-cli --features rdkafka`",
        ))
    }

    pub(crate) async fn send(&self, _: &Shared, _: Work) {
        match *self {}
    }

    pub(crate) async fn reach_brokers(&self, _: Duration) {
        match *self {}
    }

    pub(crate) async fn close(&self) {
        match *self {}
    }
}
