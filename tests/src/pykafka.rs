//! PyKafka's own consumers, from a Python environment that the tests keep.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::{Cluster, Process, hex, paths, python};

/// How long a program may take that does its work and ends.
const PATIENCE: Duration = Duration::from_secs(60);
/// What pip is asked for: PyKafka's last release, and what it takes for granted that every Python has.
const REQUIREMENTS: [&str; 2] = ["pykafka==2.8.0", "setuptools<80"];

/// A program of the tests' own, by the name of its file, in the Python that has PyKafka and kazoo.
///
/// # Errors
///
/// When PyKafka cannot be installed.
pub fn python_program(name: &str) -> Result<Command> {
    let mut command = Command::new(python::environment("pykafka", &REQUIREMENTS)?);
    command.arg(paths::tests().join("python").join(name));
    Ok(command)
}

/// Produces a message for each key through PyKafka's `Producer` with its `HashingPartitioner`, each with the same value, and
/// returns when all of them are acknowledged.
///
/// # Errors
///
/// When PyKafka cannot be installed, or the program fails.
pub fn produce_keys_with_pykafka(
    cluster: &Cluster,
    topic: &str,
    value: &str,
    keys: &[Vec<u8>],
) -> Result<()> {
    let mut command = Command::new(python::environment("pykafka", &REQUIREMENTS)?);
    command
        .arg(paths::tests().join("python/produce_keys.py"))
        .args([cluster.bootstrap().as_str(), topic, value]);
    let program = Process::spawn("PyKafka's producer", &mut command)?;
    let lines: String = keys.iter().map(|key| hex(key) + "\n").collect();
    program.write(lines.as_bytes())?;
    program.close_stdin();
    program.wait_success(PATIENCE)
}

/// The keywords of one of PyKafka's classes, in their order, each with its default as Python writes it. What has none, such as
/// the cluster, is not among them.
///
/// # Errors
///
/// When PyKafka cannot be installed, or the program fails.
pub fn pykafka_options(class: &str) -> Result<Vec<(String, String)>> {
    let lines = printed(&[OPTIONS, class])?;
    let options = lines.iter().filter_map(|line| line.split_once(' '));
    Ok(options
        .map(|(name, default)| (name.to_owned(), default.to_owned()))
        .collect())
}

/// Objects are called as PyKafka calls them.
const OPTIONS: &str = "
import inspect, sys, pykafka
from pykafka.membershipprotocol import RangeProtocol
for option in inspect.signature(getattr(pykafka, sys.argv[1])).parameters.values():
    if option.default is RangeProtocol:
        print(option.name, 'RangeProtocol')
    elif option.default is not option.empty:
        print(option.name, repr(option.default))
";

/// The commands of PyKafka's program, `kafka-tools`.
///
/// # Errors
///
/// When PyKafka cannot be installed, or the program fails.
pub fn pykafka_commands() -> Result<BTreeSet<String>> {
    Ok(printed(&[COMMANDS])?.into_iter().collect())
}

const COMMANDS: &str = "
import argparse
from pykafka.cli import kafka_tools
for action in kafka_tools._get_arg_parser()._actions:
    if isinstance(action, argparse._SubParsersAction):
        print('\\n'.join(action.choices))
";

/// What a program of Python's prints, given with its arguments.
fn printed(program: &[&str]) -> Result<Vec<String>> {
    let mut command = Command::new(python::environment("pykafka", &REQUIREMENTS)?);
    command.arg("-c").args(program);
    let program = Process::spawn("PyKafka", &mut command)?;
    program.wait_success(PATIENCE)?;
    Ok(program.stdout().texts())
}

/// A member of a group of PyKafka's `BalancedConsumer`, with offsets in Kafka.
///
/// It prints one message a line as the tests' `divvy` does (see [`FORMAT`](crate::group::FORMAT)), commits each second, and
/// leaves its group on [`term`](Process::term).
#[derive(Clone, Debug)]
pub struct PyKafkaConsumer {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The group's ZooKeeper, where it is not the cluster's.
    pub zookeeper: Option<String>,
    /// `zookeeper_connection_timeout_ms`, which is the session timeout.
    pub session_timeout: Duration,
}

impl PyKafkaConsumer {
    /// Starts it, and does not wait for it to join.
    ///
    /// # Errors
    ///
    /// When PyKafka cannot be installed, or the program cannot be started.
    pub fn spawn(&self, cluster: &Cluster) -> Result<Process> {
        let zookeeper = self.zookeeper.clone();
        let mut command = Command::new(python::environment("pykafka", &REQUIREMENTS)?);
        command
            .arg(paths::tests().join("python/balanced_consumer.py"))
            .args(["--group", &self.group, "--topic", &self.topic])
            .args(["--bootstrap", &cluster.bootstrap()])
            .args([
                "--zookeeper",
                &zookeeper.unwrap_or_else(|| cluster.zookeeper_connect()),
            ])
            .args([
                "--session-timeout-ms",
                &self.session_timeout.as_millis().to_string(),
            ]);
        Process::spawn("PyKafka's balanced consumer", &mut command)
    }
}
