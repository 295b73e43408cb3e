//! `--config FILE`: the settings of a consumer of Kafka's own, as defaults of the options that mean the same.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};

use anyhow::{Context as _, Result};
use clap::Command;

/// The commands that a group is named for. The others would do something else with one, such as storing its offsets.
const OF_A_GROUP: [&str; 8] = [
    "consume", "describe", "lag", "watch", "reset", "doctor", "remove", "set",
];

/// A default that a file gives: the name of the option in the program's own code, and its value.
pub(crate) type Default = (&'static str, String);

/// The file that a command line names with `--config`. Looked for before the command line is parsed, because what the file says
/// are defaults of other options.
pub(crate) fn file(arguments: impl IntoIterator<Item = OsString>) -> Option<OsString> {
    let mut arguments = arguments.into_iter().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            return None;
        }
        if argument == "--config" {
            return arguments.next();
        }
        if let Some(file) = argument
            .to_str()
            .and_then(|text| text.strip_prefix("--config="))
        {
            return Some(file.into());
        }
    }
    None
}

/// Gives the options of a program the defaults that a file says, and names on stderr what the file says in vain.
pub(crate) fn apply(program: Command, file: &OsString) -> Result<Command> {
    let read = fs::read_to_string(file);
    let text = read.with_context(|| format!("cannot read {}", file.display()))?;
    let (defaults, ignored) = defaults(&text);
    for why in ignored {
        // With a closed stderr there is nobody left to tell.
        let _ = writeln!(io::stderr(), "divvy: {}: {why}", file.display());
    }
    Ok(with_defaults(program, &defaults))
}

/// What was said on the command line or in the environment wins over a default.
fn with_defaults(command: Command, defaults: &[Default]) -> Command {
    let mut command = command;
    for (option, value) in defaults {
        let known = |argument: &clap::Arg| argument.get_id() == option;
        let meant = *option != "group" || OF_A_GROUP.contains(&command.get_name());
        if meant && command.get_arguments().any(known) {
            command = command.mut_arg(option, |argument| {
                argument.default_value(value.clone()).required(false)
            });
        }
    }
    command.mut_subcommands(|subcommand| with_defaults(subcommand, defaults))
}

/// What a file says, and what of it says nothing here.
pub(crate) fn defaults(text: &str) -> (Vec<Default>, Vec<String>) {
    let (mut defaults, mut ignored) = (Vec::new(), Vec::new());
    let settings = parse(text);
    // Java's consumer stores in both, if it stores in Kafka and is not told otherwise.
    let last = |key: &str| settings.iter().rev().find(|(known, _)| known == key);
    let dual = last("dual.commit.enabled").is_none_or(|(_, value)| value != "false");
    for (key, value) in &settings {
        match translated(key, value, dual) {
            Meaning::Option(option, value) => defaults.push((option, value)),
            Meaning::Nothing => {}
            Meaning::Wrong(why) => ignored.push(format!("{key}={value} {why}")),
            Meaning::Unknown => ignored.push(format!("{key} has no counterpart and is ignored")),
        }
    }
    (defaults, ignored)
}

/// What a setting means here.
enum Meaning {
    Option(&'static str, String),
    /// What divvy does anyway, or what belongs to another setting.
    Nothing,
    /// A value that cannot be followed.
    Wrong(&'static str),
    Unknown,
}

fn translated(key: &str, value: &str, dual: bool) -> Meaning {
    let option = |name| Meaning::Option(name, value.to_owned());
    let millis = |name| match value.parse::<u64>() {
        Ok(millis) if millis > 0 => Meaning::Option(name, format!("{millis}ms")),
        _ => Meaning::Wrong("is no number of milliseconds, and is ignored"),
    };
    let one_of = |name, known: &[(&str, &str)]| {
        let found = known.iter().find(|(theirs, _)| *theirs == value);
        match found {
            Some((_, ours)) => Meaning::Option(name, (*ours).to_owned()),
            None => Meaning::Wrong("is none of the values that Kafka knows, and is ignored"),
        }
    };
    match key {
        "zookeeper.connect" => option("zookeeper"),
        "bootstrap.servers" | "metadata.broker.list" => option("bootstrap"),
        "group.id" => option("group"),
        "fetch.message.max.bytes" => option("fetch_message_max_bytes"),
        "zookeeper.session.timeout.ms" => millis("session_timeout"),
        "auto.commit.interval.ms" => millis("commit_interval"),
        "socket.timeout.ms" | "request.timeout.ms" => millis("request_timeout"),
        "metadata.max.age.ms" => millis("metadata_max_age"),
        "auto.offset.reset" => {
            let known = [("smallest", "earliest"), ("largest", "latest")];
            let same = [
                ("earliest", "earliest"),
                ("latest", "latest"),
                ("none", "error"),
            ];
            one_of("from", &[&known[..], &same].concat())
        }
        "offsets.storage" => {
            let kafka = if dual { "dual" } else { "kafka" };
            one_of("offsets", &[("zookeeper", "zookeeper"), ("kafka", kafka)])
        }
        "partition.assignment.strategy" => one_of(
            "assignor",
            &[("range", "range"), ("roundrobin", "roundrobin")],
        ),
        "dual.commit.enabled" => Meaning::Nothing,
        "auto.commit.enable" | "enable.auto.commit" if value == "true" => Meaning::Nothing,
        "auto.commit.enable" | "enable.auto.commit" => {
            Meaning::Wrong("is ignored: what was printed is committed")
        }
        _ => Meaning::Unknown,
    }
}

/// Reads a file of properties: `key=value`, `key: value` or `key value`, `#` and `!` for comments, a backslash at the end of a line
/// that goes on. The escapes that names of hosts and groups do not need are not known.
fn parse(text: &str) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    let mut lines = text.lines();
    while let Some(first) = lines.next() {
        let mut line = first.trim().to_owned();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        while line.ends_with('\\') {
            line.pop();
            line.push_str(lines.next().unwrap_or_default().trim());
        }
        let separator = line.find(|c: char| c == '=' || c == ':' || c.is_whitespace());
        let (key, value) = line.split_at(separator.unwrap_or(line.len()));
        let value = value.trim_start();
        let value = value.strip_prefix(['=', ':']).unwrap_or(value).trim();
        settings.push((key.to_owned(), value.to_owned()));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_java_s_gives_the_same_settings() {
        let (found, ignored) = defaults(
            "# a consumer\nzookeeper.connect=zk1:2181,\\\n   zk2:2181/kafka\ngroup.id = billing\n\
             offsets.storage:kafka\nauto.offset.reset smallest\nzookeeper.session.timeout.ms=4000\n",
        );
        let expected = [
            ("zookeeper", "zk1:2181,zk2:2181/kafka"),
            ("group", "billing"),
            ("offsets", "dual"),
            ("from", "earliest"),
            ("session_timeout", "4000ms"),
        ];
        assert_eq!(
            found,
            expected.map(|(option, value)| (option, value.to_owned()))
        );
        assert_eq!(ignored, [""; 0]);
    }

    #[test]
    fn offsets_are_in_kafka_alone_where_the_file_says_so() {
        let text = "offsets.storage=kafka\ndual.commit.enabled=false";
        assert_eq!(defaults(text).0, [("offsets", "kafka".to_owned())]);
        let text = "dual.commit.enabled=true\noffsets.storage=zookeeper";
        assert_eq!(defaults(text).0, [("offsets", "zookeeper".to_owned())]);
    }

    #[test]
    fn what_means_nothing_here_is_named() {
        let (found, ignored) = defaults(
            "consumer.timeout.ms=5000\nauto.offset.reset=sometimes\nauto.commit.enable=false\n\
             socket.timeout.ms=soon\nauto.commit.enable=true\n!group.id=x\n",
        );
        assert_eq!(found, []);
        assert_eq!(ignored.len(), 4, "{ignored:?}");
        let keys = [
            "consumer.timeout.ms",
            "auto.offset.reset",
            "auto.commit.enable",
            "socket",
        ];
        for (why, key) in ignored.iter().zip(keys) {
            assert!(why.starts_with(key), "{why}");
        }
    }

    #[test]
    fn the_file_is_found_wherever_it_is_named() {
        let named = |line: &str| file(line.split(' ').map(OsString::from));
        for line in ["divvy consume --config f -g x", "divvy --config=f tail"] {
            assert_eq!(named(line), Some("f".into()), "{line}");
        }
        for line in [
            "divvy tail",
            "divvy produce -- --config f",
            "divvy tail --config",
        ] {
            assert_eq!(named(line), None, "{line}");
        }
    }
}
