//! The producer and `divvy produce` against real clusters and the embedded one: formats and codecs, keys and encoders, brokers that die, and the
//! program's own promises.

mod chaos;
mod codecs;
mod creation;
mod encoders;
mod keys;
mod outage;
mod program;
mod stopped;

use std::collections::BTreeMap;
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

/// The value at each partition and offset.
fn read_log(bootstrap: &str, topic: &str) -> Result<BTreeMap<(i64, i64), String>> {
    let command = Divvy::command([
        "tail",
        "-b",
        bootstrap,
        "-t",
        topic,
        "--json",
        "--exit-at-end",
    ]);
    let (status, tail) = command.run(b"", PATIENCE)?;
    anyhow::ensure!(status.success(), "{status}:\n{}", tail.stderr().tail(20));
    let messages = Reported::all(tail.stdout())?;
    messages
        .into_iter()
        .map(|message| {
            let offset = message.offset.context("no offset")?;
            Ok(((message.partition, offset), message.value))
        })
        .collect()
}
