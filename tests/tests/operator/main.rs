//! `divvy group` and `divvy offsets` on the embedded cluster and on real ones, 0.8.2.2 and 0.9.0.1: they agree with Kafka's own
//! tool, what they move is where other consumers go on, and each planted fault is found.
//!
//! `managed` is on real clusters alone: the embedded one coordinates no groups of 0.9's newer consumer.

mod describe;
mod doctor;
mod lag;
mod managed;
mod page;
mod program;
mod remove;
mod reset;
mod settings;

use std::time::Duration;

pub(crate) use divvy_tests::on_shared_every_version as on_every_version;

/// How long something may take that is waited for and not measured.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
