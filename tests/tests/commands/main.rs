//! The commands of the `divvy` program on the embedded cluster and on real ones, 0.8.2.2 and 0.9.0.1, each by itself: what is
//! read and from where, where offsets are kept, what topics look like, and what is said when something is wrong.
//!
//! `newer` needs later brokers, and `quiet` the log in which a broker complains, which the embedded cluster does not write.

mod bench;
mod codecs;
mod compare;
mod errors;
mod java_groups;
mod newer;
mod offsets;
mod places;
mod program;
mod quiet;
mod records;
mod reset;
mod tail;
mod topics;

use std::time::Duration;

pub(crate) use divvy_tests::{
    on_shared_both_versions as on_both_versions, on_shared_embedded as on_embedded,
    on_shared_every_version as on_every_version,
};

/// How long something may take that is waited for and not measured.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
