//! Who is measured.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use divvy_tests::{KafkaVersion, paths, python};

use crate::measured::Measured;
use crate::site::Site;
use crate::workload::Workload;
use crate::{child, java};

/// How long one run may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// How many messages `get_many` is asked for.
const MANY: &str = "1000";
/// What pip is asked for: clients that still speak to old brokers, and what PyKafka takes for granted that every Python has.
const PYTHON: [&str; 5] = [
    // Later ones ask each broker for its versions first, which 0.9 does not understand.
    "aiokafka==0.12.0",
    "confluent-kafka==2.3.0",
    "kafka-python==2.0.6",
    "pykafka==2.8.0",
    "setuptools<80",
];

/// A program that reads or writes a topic.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    kind: Kind,
    /// How many messages it gets at most: who is slow would take minutes otherwise.
    most: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// `divvy bench consume` with these options.
    Simple(&'static [&'static str]),
    /// The same as the only member of a group.
    Balanced(&'static [&'static str]),
    /// `divvy bench produce` with these options.
    Produce(&'static [&'static str]),
    /// librdkafka's batch call from C.
    Librdkafka,
    /// librdkafka's producer from C.
    LibrdkafkaProduce,
    /// Kafka's high-level consumer of that time.
    Java,
    /// Kafka's producer of that time.
    JavaProduce,
    /// Fetch requests over so many sockets.
    Raw(&'static str),
    /// As many members of a group as the workload says, in one process.
    Members,
    /// One of Python's clients.
    Python,
    PythonProduce,
}

const CONSUMERS: [(&str, Kind); 12] = [
    ("batch", Kind::Simple(&[])),
    ("recv", Kind::Simple(&["--recv"])),
    ("stream", Kind::Simple(&["--stream"])),
    ("get_many", Kind::Simple(&["--get-many", MANY])),
    ("rdkafka", Kind::Simple(&["--use-rdkafka"])),
    ("balanced", Kind::Balanced(&[])),
    ("balanced-recv", Kind::Balanced(&["--recv"])),
    ("balanced-stream", Kind::Balanced(&["--stream"])),
    ("librdkafka", Kind::Librdkafka),
    ("java", Kind::Java),
    ("raw", Kind::Raw("1")),
    ("raw-2", Kind::Raw("2")),
];
const PRODUCERS: [(&str, Kind); 5] = [
    ("produce", Kind::Produce(&[])),
    ("produce-one", Kind::Produce(&["--one-by-one"])),
    ("rdkafka", Kind::Produce(&["--use-rdkafka"])),
    ("librdkafka", Kind::LibrdkafkaProduce),
    ("java", Kind::JavaProduce),
];
/// Their clients by name, with what they can read and write in some seconds.
const PYTHONS: [(&str, Option<u64>); 4] = [
    ("aiokafka", Some(200_000)),
    ("confluent-kafka", None),
    ("kafka-python", Some(400_000)),
    ("pykafka", Some(40_000)),
];

impl Contender {
    fn new(name: &'static str, kind: Kind) -> Contender {
        let most = None;
        Contender { name, kind, most }
    }

    /// Everybody who can read here.
    pub(crate) fn consumers(site: &Site, with_python: bool) -> Vec<Contender> {
        let all = CONSUMERS.map(|(name, kind)| Contender::new(name, kind));
        let mut all = Vec::from(all);
        if with_python {
            all.extend(Contender::pythons(Kind::Python));
        }
        all.retain(|contender| contender.takes_part(site));
        all
    }

    /// Everybody who can write here.
    pub(crate) fn producers(site: &Site, with_python: bool) -> Vec<Contender> {
        let all = PRODUCERS.map(|(name, kind)| Contender::new(name, kind));
        let mut all = Vec::from(all);
        if with_python {
            all.extend(Contender::pythons(Kind::PythonProduce));
        }
        all.retain(|contender| contender.takes_part(site));
        all
    }

    /// As many members as the workload says.
    pub(crate) fn members() -> Contender {
        Contender::new("members", Kind::Members)
    }

    /// Who reads everything at the least cost.
    pub(crate) fn warm_up() -> Contender {
        Contender::new("warm-up", Kind::Raw("1"))
    }

    fn pythons(kind: Kind) -> impl Iterator<Item = Contender> {
        let made = move |(name, most)| Contender { name, kind, most };
        PYTHONS.into_iter().map(made)
    }

    /// Whether it is there, and speaks to the broker.
    fn takes_part(&self, site: &Site) -> bool {
        match self.kind {
            Kind::Librdkafka | Kind::LibrdkafkaProduce => site.program("librdkafka-peer").is_ok(),
            // The tool that it is measured by went into a jar of its own.
            Kind::JavaProduce => site.version < KafkaVersion::V0_9_0_1,
            // It refuses to read from earlier ones.
            Kind::Python if self.name == "aiokafka" => site.version >= KafkaVersion::V0_9_0_1,
            _ => true,
        }
    }

    /// How many messages of a workload it gets.
    pub(crate) fn messages(&self, workload: &Workload) -> u64 {
        self.most.unwrap_or(u64::MAX).min(workload.messages)
    }

    /// Whether it is a matter of the data alone what it finds.
    pub(crate) fn reads_everything(&self) -> bool {
        let writes = matches!(
            self.kind,
            Kind::Produce(_) | Kind::LibrdkafkaProduce | Kind::JavaProduce | Kind::PythonProduce
        );
        self.most.is_none() && !writes
    }

    /// Reads or writes the topic once. `run` tells the runs of one contender apart.
    pub(crate) fn run(&self, site: &Site, workload: &Workload, run: usize) -> Result<Measured> {
        let measured = match self.kind {
            Kind::Java => java::consume(site, workload)?,
            Kind::JavaProduce => java::produce(site, workload)?,
            _ => {
                let mut command = self.command(site, workload, run)?;
                let ended = child::run(self.name, &mut command, PATIENCE)?;
                Measured::parse(&ended.stdout)
                    .with_context(|| format!("unexpected output: {}", ended.stdout))?
            }
        };
        Ok(measured)
    }

    fn command(&self, site: &Site, workload: &Workload, run: usize) -> Result<Command> {
        let mut command = Command::new(self.program(site)?);
        match self.kind {
            Kind::Simple(options) | Kind::Balanced(options) => {
                command.args(["bench", "consume", "--json"]).args(options);
            }
            Kind::Produce(options) => {
                command.args(["bench", "produce", "--json"]).args(options);
            }
            Kind::Python | Kind::PythonProduce => {
                let script = paths::workspace().join("benches/python/peer.py");
                command.arg(script).args(["--client", self.name]);
                command.args(["--broker-version", site.version.as_str()]);
            }
            Kind::Raw(connections) => {
                command.args(["--connections", connections]);
            }
            Kind::Members => {
                command.args(["--members", &workload.members.to_string()]);
            }
            Kind::Librdkafka | Kind::LibrdkafkaProduce => {
                command.args(["--check-crcs", "--broker-version", site.version.as_str()]);
            }
            Kind::Java | Kind::JavaProduce => {}
        }
        if let Kind::Balanced(_) | Kind::Members = self.kind {
            // A group that was never there reads from the beginning.
            let group = format!("{}-{}-{run}", site.unique(), self.name);
            command.args(["--group", &group, "--zookeeper", &site.zookeeper]);
        }
        if let (Some(bytes), Some(option)) = (workload.fetch_bytes, self.fetch_option()) {
            command.args([option, &bytes.to_string()]);
        }
        if let Kind::PythonProduce | Kind::LibrdkafkaProduce = self.kind {
            command.arg("--produce");
        }
        if let Kind::Produce(_) | Kind::PythonProduce | Kind::LibrdkafkaProduce = self.kind {
            command.args(["--size", &workload.size.to_string()]);
        }
        if let Kind::Produce(_) | Kind::LibrdkafkaProduce = self.kind {
            command.args(["--acks", "1", "--compression", &workload.codec]);
        }
        command.args(["--bootstrap", &site.bootstrap]);
        command.args(["--topic", &workload.topic()]);
        command.args(["--messages", &self.messages(workload).to_string()]);
        Ok(command)
    }

    fn program(&self, site: &Site) -> Result<PathBuf> {
        match self.kind {
            Kind::Simple(_) | Kind::Balanced(_) | Kind::Produce(_) => site.program("divvy"),
            Kind::Librdkafka | Kind::LibrdkafkaProduce => site.program("librdkafka-peer"),
            Kind::Raw(_) => site.program("raw-fetch"),
            Kind::Members => site.program("members"),
            Kind::Java | Kind::JavaProduce => Ok(paths::docker("bin/run-tool.sh")),
            Kind::Python | Kind::PythonProduce => python::environment("bench-python", &PYTHON),
        }
    }

    /// How it calls the bytes that are fetched of a partition at a time.
    fn fetch_option(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Simple(_) | Kind::Balanced(_) => Some("--fetch-message-max-bytes"),
            Kind::Librdkafka | Kind::Raw(_) => Some("--fetch-bytes"),
            _ => None,
        }
    }
}
