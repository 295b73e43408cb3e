//! The producer and `divvy produce` against real clusters: formats and codecs, keys and encoders, brokers that die, and the
//! program's own promises.

mod codecs;
mod encoders;
mod keys;
mod outage;
mod program;

use std::time::Duration;

use anyhow::{Context as _, Result};
use divvy_tests::{Captured, Divvy};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(90);

/// A line of `--report`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reported {
    partition: i64,
    /// None without acks.
    offset: Option<i64>,
    value: String,
}

impl Reported {
    fn parse(line: &str) -> Result<Self> {
        let object: Value = serde_json::from_str(line).context("a report is JSON")?;
        Ok(Self {
            partition: object["partition"].as_i64().context("no partition")?,
            offset: object["offset"].as_i64(),
            value: object["value"].as_str().context("no value")?.to_owned(),
        })
    }

    /// Every report so far.
    fn all(stdout: &Captured) -> Result<Vec<Self>> {
        stdout
            .texts()
            .iter()
            .map(|line| Self::parse(line))
            .collect()
    }
}

/// Produces these lines with further options, waits for the end, and gives the reports.
fn produce(bootstrap: &str, topic: &str, options: &[&str], lines: &str) -> Result<Vec<Reported>> {
    let common = [
        "produce",
        "--bootstrap",
        bootstrap,
        "--topic",
        topic,
        "--report",
    ];
    let command = Divvy::command(common.iter().chain(options));
    let (status, divvy) = command.run(lines.as_bytes(), PATIENCE)?;
    anyhow::ensure!(status.success(), "{status}:\n{}", divvy.stderr().tail(20));
    Reported::all(divvy.stdout())
}
