//! `divvy bench`: how fast a cluster is read and written from here.

mod api;
mod consume;
mod measure;
mod produce;
mod values;

use anyhow::Result;
use clap::Subcommand;

/// Measure how fast a topic is read or written from here.
///
/// Prints a table, or with --json one object: messages, bytes (of keys and values), seconds, msgs_per_s, mb_per_s (millions of
/// bytes), cpu_ns_per_msg (user and kernel time of the whole process), peak_rss_mb, crc_checked and value_sum, the sum of the
/// first byte of every value.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Read messages from the beginning of a topic, and commit nothing.
    Consume(consume::Consume),
    /// Write messages to a topic, to its partitions in turns.
    Produce(produce::Produce),
}

pub(crate) async fn run(args: Bench) -> Result<()> {
    match args {
        Bench::Consume(args) => consume::run(args).await,
        Bench::Produce(args) => produce::run(args).await,
    }
}
