//! The programs in `examples/`, each on a real cluster: they are there to be copied from, so they must do what they say.
//!
//! Those of spouts are in `spout`, those of encoders in `producer`.

mod consumers;
mod first;
mod loss;
mod own_store;
mod producers;
mod workers;

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use divvy_tests::{Cluster, JavaRecord, Process, example};
use rustix::process::Signal;

const PATIENCE: Duration = Duration::from_secs(60);
/// What an example that is interrupted may take.
const ENDED_WITHIN: Duration = Duration::from_secs(10);

/// Starts an example.
fn start(name: &str, arguments: &[&str]) -> Result<Process> {
    Process::spawn(name, Command::new(example(name)?).args(arguments))
}

/// Runs an example to its end, and gives the lines that it has printed.
fn run(name: &str, arguments: &[&str], input: &str) -> Result<Vec<String>> {
    let program = start(name, arguments)?;
    program.write(input.as_bytes())?;
    program.close_stdin();
    program.wait_success(PATIENCE)?;
    Ok(program.stdout().texts())
}

/// Ends an example by Ctrl-C.
fn interrupt(program: &Process) -> Result<()> {
    program.signal(Signal::INT)?;
    program.wait_success(ENDED_WITHIN)
}

/// Writes to chosen partitions.
fn write(cluster: &Cluster, topic: &str, values: &[(i32, &str)]) -> Result<()> {
    let records: Vec<JavaRecord> = values
        .iter()
        .map(|(partition, value)| JavaRecord {
            partition: Some(*partition),
            key: None,
            value: Some(value.as_bytes().to_vec()),
        })
        .collect();
    cluster.produce_records(topic, "none", &records)
}
