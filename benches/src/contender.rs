//! Who is measured.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::site::Site;
use crate::workload::Workload;
use crate::{child, java};

/// How long one run may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// How many messages `get_many` is asked for.
const MANY: &str = "1000";

/// What came of one run.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) messages: u64,
    pub(crate) msgs_per_s: f64,
    pub(crate) mb_per_s: f64,
    pub(crate) cpu_ns_per_msg: f64,
    pub(crate) peak_rss_mb: f64,
    /// None for who does not look at values.
    pub(crate) value_sum: Option<u64>,
}

/// A program that reads a topic.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// `divvy bench consume` with these options.
    Simple(&'static [&'static str]),
    /// The same as the only member of a group.
    Balanced(&'static [&'static str]),
    /// librdkafka's batch call from C.
    Librdkafka,
    /// Kafka's high-level consumer of that time.
    Java,
    /// Fetch requests over so many sockets.
    Raw(&'static str),
}

const ALL: [(&str, Kind); 11] = [
    ("batch", Kind::Simple(&[])),
    ("recv", Kind::Simple(&["--recv"])),
    ("stream", Kind::Simple(&["--stream"])),
    ("get_many", Kind::Simple(&["--get-many", MANY])),
    ("balanced", Kind::Balanced(&[])),
    ("balanced-recv", Kind::Balanced(&["--recv"])),
    ("balanced-stream", Kind::Balanced(&["--stream"])),
    ("librdkafka", Kind::Librdkafka),
    ("java", Kind::Java),
    ("raw", Kind::Raw("1")),
    ("raw-2", Kind::Raw("2")),
];

impl Contender {
    /// Everybody who can be measured here.
    pub(crate) fn all(site: &Site) -> Vec<Contender> {
        let there = |kind: &Kind| match kind {
            Kind::Librdkafka => site.program("librdkafka-peer").is_ok(),
            _ => true,
        };
        ALL.into_iter()
            .filter(|(_, kind)| there(kind))
            .map(|(name, kind)| Contender { name, kind })
            .collect()
    }

    /// Who reads everything at the least cost.
    pub(crate) fn warm_up() -> Contender {
        Contender {
            name: "warm-up",
            kind: Kind::Raw("1"),
        }
    }

    /// Reads the whole topic.
    pub(crate) fn run(&self, site: &Site, workload: &Workload, round: usize) -> Result<Measured> {
        if matches!(self.kind, Kind::Java) {
            return java::consume(site, workload);
        }
        let mut command = self.command(site, workload, round)?;
        let ended = child::run(self.name, &mut command, PATIENCE)?;
        Measured::parse(&ended.stdout)
            .with_context(|| format!("unexpected output: {}", ended.stdout))
    }

    fn command(&self, site: &Site, workload: &Workload, round: usize) -> Result<Command> {
        let program = match self.kind {
            Kind::Raw(_) => "raw-fetch",
            Kind::Librdkafka => "librdkafka-peer",
            _ => "divvy",
        };
        let mut command = Command::new(site.program(program)?);
        if let Kind::Simple(options) | Kind::Balanced(options) = self.kind {
            command.args(["bench", "consume", "--json"]).args(options);
        }
        command.args(["--bootstrap", &site.bootstrap]);
        command.args(["--topic", &workload.topic()]);
        command.args(["--messages", &workload.messages.to_string()]);
        match self.kind {
            Kind::Balanced(_) => {
                // A group that was never there reads from the beginning.
                let id = std::process::id();
                let group = format!("bench-{id}-{}-{}-{round}", workload.name, self.name);
                command.args(["--group", &group, "--zookeeper", &site.zookeeper]);
            }
            Kind::Librdkafka => {
                let version = site.version.as_str();
                command.args(["--check-crcs", "--broker-version", version]);
            }
            Kind::Raw(connections) => {
                command.args(["--connections", connections]);
            }
            Kind::Simple(_) | Kind::Java => {}
        }
        Ok(command)
    }
}

impl Measured {
    /// As it goes into the file.
    pub(crate) fn json(&self) -> Value {
        json!({
            "messages": self.messages,
            "msgs_per_s": self.msgs_per_s,
            "mb_per_s": self.mb_per_s,
            "cpu_ns_per_msg": self.cpu_ns_per_msg,
            "peak_rss_mb": self.peak_rss_mb,
            "value_sum": self.value_sum,
        })
    }

    /// Reads the one line of JSON that the programs print.
    pub(crate) fn parse(text: &str) -> Result<Measured> {
        let object: Value = serde_json::from_str(text.trim())?;
        let number = |field: &str| {
            let value = object[field].as_f64();
            value.with_context(|| format!("no number `{field}`"))
        };
        Ok(Measured {
            messages: object["messages"].as_u64().context("no `messages`")?,
            msgs_per_s: number("msgs_per_s")?,
            mb_per_s: number("mb_per_s")?,
            cpu_ns_per_msg: number("cpu_ns_per_msg")?,
            peak_rss_mb: number("peak_rss_mb")?,
            value_sum: object["value_sum"].as_u64().filter(|sum| *sum > 0),
        })
    }
}
