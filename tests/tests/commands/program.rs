//! Running `divvy` to its end, and reading what it printed.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use divvy_tests::{Captured, Divvy, Process};

use crate::PATIENCE;

/// What `--format` makes of a message for [`Printed`].
pub(crate) const FORMAT: &str = "%p\\t%o\\t%s\\n";

/// A message of text, as it was printed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Printed {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) value: String,
}

/// Runs `divvy` with these arguments, of which each may hold several, separated by spaces. It must end with exit code 0.
pub(crate) fn run(arguments: &[&str]) -> Result<Divvy> {
    let (status, divvy) = Divvy::command(split(arguments)).run(b"", PATIENCE)?;
    ensure!(
        status.success(),
        "divvy {arguments:?} ended with {status}\n{}",
        divvy.stderr().tail(20)
    );
    Ok(divvy)
}

/// Starts `divvy` with arguments as [`run`] takes them.
pub(crate) fn spawn(arguments: &[&str]) -> Result<Divvy> {
    Divvy::command(split(arguments)).spawn()
}

/// Each argument, where several are separated by spaces.
pub(crate) fn split<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let words = |argument: &'a str| argument.split(' ');
    arguments.iter().copied().flat_map(words).collect()
}

/// Runs `divvy` and gives the messages that it printed, in their order.
pub(crate) fn printed(arguments: &[&str]) -> Result<Vec<Printed>> {
    let mut arguments = split(arguments);
    arguments.extend(["--format", FORMAT]);
    let (status, divvy) = Divvy::command(&arguments).run(b"", PATIENCE)?;
    ensure!(
        status.success(),
        "divvy {arguments:?} ended with {status}\n{}",
        divvy.stderr().tail(20)
    );
    messages(divvy.stdout())
}

/// The messages in an output that was made with [`FORMAT`].
pub(crate) fn messages(output: &Captured) -> Result<Vec<Printed>> {
    ensure!(output.partial().is_empty(), "the last line has no end");
    output.texts().iter().map(|line| message(line)).collect()
}

fn message(line: &str) -> Result<Printed> {
    let mut fields = line.splitn(3, '\t');
    let (Some(partition), Some(offset), Some(value)) =
        (fields.next(), fields.next(), fields.next())
    else {
        bail!("an unexpected line: {line}")
    };
    let parse = || -> Result<Printed> {
        Ok(Printed {
            partition: partition.parse()?,
            offset: offset.parse()?,
            value: value.to_owned(),
        })
    };
    parse().with_context(|| format!("an unexpected line: {line}"))
}

/// The values, in ascending order, each as often as it was printed.
pub(crate) fn values<'a>(messages: impl IntoIterator<Item = &'a Printed>) -> Result<Vec<i32>> {
    let mut values = messages
        .into_iter()
        .map(|message| Ok(message.value.parse()?))
        .collect::<Result<Vec<i32>>>()?;
    values.sort_unstable();
    Ok(values)
}

/// The offsets of each partition, in the order in which they were printed.
pub(crate) fn offsets(messages: &[Printed]) -> BTreeMap<i32, Vec<i64>> {
    let mut offsets: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for message in messages {
        offsets
            .entry(message.partition)
            .or_default()
            .push(message.offset);
    }
    offsets
}

/// Runs a command line of `divvy` into `head` and gives the lines that passed. Both must end with exit code 0.
pub(crate) fn first_lines(command_line: &str, count: usize) -> Result<Vec<String>> {
    let program = Divvy::program()?.display();
    // Nothing else ends it when head does not.
    let script = format!("set -o pipefail; timeout 30 {program} {command_line} | head -n {count}");
    let mut command = Command::new("bash");
    command.args(["-c", &script]);
    let pipeline = Process::spawn("divvy and head", &mut command)?;
    pipeline.wait_success(PATIENCE)?;
    Ok(pipeline.stdout().texts())
}
