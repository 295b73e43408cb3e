//! Kafka's own programs, from the same jars as the cluster.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Display;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::Cluster;
use crate::{Process, paths, unique};

/// How long a tool may take that does its work and ends.
const PATIENCE: Duration = Duration::from_secs(60);

impl Cluster {
    /// Starts one of Kafka's tools, by its class.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn java_tool<A: AsRef<OsStr>>(
        &self,
        class: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Process> {
        let mut command = Command::new(paths::docker("bin/run-tool.sh"));
        command
            .arg(class)
            .args(arguments)
            .env("JARS", self.jars.directory())
            .env("HEAP", "256m")
            .env(
                "JAVA_OPTS",
                format!(
                    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData -Djava.io.tmpdir={}",
                    self.directory.path().display()
                ),
            )
            .current_dir(self.directory.path());
        Process::spawn(class, &mut command)
    }

    /// Runs one of Kafka's tools with `input` as its stdin, and returns what it wrote to stdout.
    ///
    /// # Errors
    ///
    /// When it fails, or takes more than a minute.
    pub fn run_java_tool<A: AsRef<OsStr>>(
        &self,
        class: &str,
        arguments: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> Result<String> {
        let tool = self.java_tool(class, arguments)?;
        tool.write(input)?;
        tool.close_stdin();
        tool.wait_success(PATIENCE)?;
        Ok(tool.stdout().texts().join("\n"))
    }

    /// Creates a topic, and waits until every broker knows a leader for each of its partitions.
    ///
    /// # Errors
    ///
    /// When Kafka refuses it, or elects no leaders.
    pub fn create_topic(&self, topic: &str, partitions: usize, replicas: usize) -> Result<()> {
        match &self.embedded {
            // At once, without a JVM.
            Some(embedded) => {
                embedded.act(async |own| own.create_topic(topic, partitions, replicas).await)
            }
            None => self.create_topic_with(topic, partitions, replicas, &[]),
        }
    }

    /// As [`create_topic`](Cluster::create_topic), with settings of the topic's own, such as `min.insync.replicas`, which 0.8.2
    /// takes from nowhere else.
    ///
    /// # Errors
    ///
    /// As for [`create_topic`](Cluster::create_topic).
    pub fn create_topic_with(
        &self,
        topic: &str,
        partitions: usize,
        replicas: usize,
        settings: &[(&str, &str)],
    ) -> Result<()> {
        let (partition_count, replica_count) = (partitions.to_string(), replicas.to_string());
        let mut arguments = vec![
            "--create",
            "--topic",
            topic,
            "--partitions",
            &partition_count,
            "--replication-factor",
            &replica_count,
        ];
        let settings = settings.iter().map(|(key, value)| format!("{key}={value}"));
        let settings: Vec<String> = settings.collect();
        for setting in &settings {
            arguments.extend(["--config", setting]);
        }
        self.topic_command(&arguments)?;
        self.wait_for_leaders(topic, partitions)
    }

    /// Adds partitions to a topic until it has as many as `partitions`, and waits for their leaders.
    ///
    /// # Errors
    ///
    /// When Kafka refuses it, or elects no leaders.
    pub fn alter_partitions(&self, topic: &str, partitions: usize) -> Result<()> {
        if let Some(embedded) = &self.embedded {
            return embedded.act(async |own| own.grow_topic(topic, partitions).await);
        }
        self.topic_command(&[
            "--alter",
            "--topic",
            topic,
            "--partitions",
            &partitions.to_string(),
        ])?;
        self.wait_for_leaders(topic, partitions)
    }

    /// Deletes a topic. Kafka does so in its own time.
    ///
    /// # Errors
    ///
    /// When Kafka refuses it.
    pub fn delete_topic(&self, topic: &str) -> Result<()> {
        if let Some(embedded) = &self.embedded {
            return embedded.act(async |own| own.delete_topic(topic).await);
        }
        self.topic_command(&["--delete", "--topic", topic])
            .map(drop)
    }

    /// Lets each partition be led by its first replica again, which must be in sync, and waits until it is.
    ///
    /// # Errors
    ///
    /// When Kafka refuses it, or another one still leads after a minute.
    pub fn elect_preferred_leaders(&self) -> Result<()> {
        let zookeeper = self.zookeeper_connect();
        let tool = "kafka.admin.PreferredReplicaLeaderElectionCommand";
        self.run_java_tool(tool, ["--zookeeper", &zookeeper], b"")?;
        self.wait_until_settled("the preferred leaders", |metadata| {
            let mut partitions = metadata.topics.values().flat_map(BTreeMap::values);
            partitions.all(|partition| partition.leader == partition.replicas.first().copied())
        })
    }

    /// Produces one message for each of `values`, in their order, through Kafka's own Java producer, and returns
    /// when all of them are acknowledged by every replica in sync.
    ///
    /// `codec` is Kafka's name of it: `none`, `gzip`, `snappy`, `lz4`. The values must not contain line feeds.
    ///
    /// # Errors
    ///
    /// When the producer fails.
    pub fn produce<V: Display>(
        &self,
        topic: &str,
        codec: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Result<()> {
        let bootstrap = self.bootstrap();
        let mut arguments = vec![
            "--broker-list",
            &bootstrap,
            "--topic",
            topic,
            "--compression-codec",
            codec,
            "--request-required-acks",
            "-1",
            // The tool gives a new topic's first replicas no more than 1.5 s otherwise.
            "--request-timeout-ms",
            "30000",
        ];
        if self.version.as_str().starts_with("0.8") {
            // Later versions have no other.
            arguments.push("--new-producer");
        }
        let input: String = values
            .into_iter()
            .map(|value| format!("{value}\n"))
            .collect();
        let tool = self.java_tool("kafka.tools.ConsoleProducer", arguments)?;
        tool.write(input.as_bytes())?;
        tool.close_stdin();
        tool.wait_success(PATIENCE)?;
        // The tool reports what it could not deliver, and ends as if all were well.
        ensure!(
            !tool
                .stderr()
                .texts()
                .iter()
                .any(|line| line.contains("ERROR")),
            "ConsoleProducer could not produce to {topic}:\n{}",
            tool.stderr().tail(20)
        );
        Ok(())
    }

    /// Produces records with headers through Kafka's own Java producer, which has them from 0.11 on.
    ///
    /// Each record is a value and its headers. Neither may contain tabs or line feeds, nor a header's name `=`.
    ///
    /// # Errors
    ///
    /// When the producer fails.
    pub fn produce_with_headers(
        &self,
        topic: &str,
        codec: &str,
        records: &[(&str, &[(&str, &str)])],
    ) -> Result<()> {
        let program = paths::tests().join("java/ProduceWithHeaders.java");
        let mut input = String::new();
        for (value, headers) in records {
            input.push_str(value);
            for (name, value) in *headers {
                input.extend(["\t", name, "=", value]);
            }
            input.push('\n');
        }
        // The JVM compiles a program that it is given as a file.
        let arguments = [self.bootstrap(), topic.to_owned(), codec.to_owned()];
        self.run_java_tool(&program.display().to_string(), arguments, input.as_bytes())
            .map(drop)
    }

    /// What `kafka.tools.ConsumerOffsetChecker` prints for a group and a topic, by partition.
    ///
    /// # Errors
    ///
    /// When it fails, or prints something else.
    pub fn consumer_offset_checker(
        &self,
        group: &str,
        topic: &str,
    ) -> Result<BTreeMap<i32, CheckedOffset>> {
        let zookeeper = self.zookeeper_connect();
        let arguments = [
            "--zookeeper",
            &zookeeper,
            "--group",
            group,
            "--topic",
            topic,
        ];
        let output = self.run_java_tool("kafka.tools.ConsumerOffsetChecker", arguments, b"")?;
        let rows = output
            .lines()
            .filter(|line| line.split_whitespace().next() == Some(group));
        rows.map(|row| {
            parse_checked_offset(row).with_context(|| format!("an unexpected row: {row}"))
        })
        .collect()
    }

    pub(super) fn topic_command(&self, arguments: &[&str]) -> Result<String> {
        let zookeeper = self.zookeeper_connect();
        let arguments = ["--zookeeper", &zookeeper]
            .into_iter()
            .chain(arguments.iter().copied());
        let output = self.run_java_tool("kafka.admin.TopicCommand", arguments, b"")?;
        // Old versions end with exit code 0 also when they could not do it.
        if output.contains("Error while executing") {
            bail!("TopicCommand failed: {output}");
        }
        Ok(output)
    }

    fn wait_for_leaders(&self, topic: &str, partitions: usize) -> Result<()> {
        self.wait_until_settled(
            &format!("leaders of all partitions of {topic}"),
            |metadata| {
                metadata.topics.get(topic).is_some_and(|found| {
                    found.len() == partitions
                        && found.values().all(|partition| partition.leader.is_some())
                })
            },
        )
    }
}

/// One row of `kafka.tools.ConsumerOffsetChecker`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedOffset {
    /// The group's committed offset; none if it has none.
    pub offset: Option<i64>,
    /// The end of the partition's log; none if the tool could not learn it.
    pub log_size: Option<i64>,
    /// The owner's name; none if nobody owns the partition.
    pub owner: Option<String>,
}

fn parse_checked_offset(row: &str) -> Result<(i32, CheckedOffset)> {
    let columns: Vec<&str> = row.split_whitespace().collect();
    let [_group, _topic, partition, offset, log_size, _lag, owner] = columns[..] else {
        bail!("{} columns", columns.len())
    };
    let checked = CheckedOffset {
        offset: offset.parse().ok(),
        log_size: log_size.parse().ok(),
        owner: (owner != "none").then(|| owner.to_owned()),
    };
    Ok((partition.parse()?, checked))
}

/// A member of a group of Kafka's own high-level consumer: `kafka.tools.ConsoleConsumer --zookeeper`.
///
/// It prints one value a line, and commits and leaves the group on [`term`](Process::term).
#[derive(Clone, Debug)]
pub struct JavaConsumer {
    /// `group.id`.
    pub group: String,
    /// What it consumes. Several topics become a white list.
    pub topics: Vec<String>,
    /// `zookeeper.connect`, where it is not the cluster's.
    pub zookeeper: Option<String>,
    /// Start a group without offsets at the beginning; otherwise it starts at the end. The tool refuses this for
    /// a group that has offsets.
    pub from_beginning: bool,
    /// Further properties, such as `auto.commit.interval.ms` or `partition.assignment.strategy`.
    pub properties: Vec<(String, String)>,
    /// Further arguments, such as `--max-messages`.
    pub arguments: Vec<String>,
}

impl JavaConsumer {
    /// A consumer of `topic` in `group` that starts at the beginning.
    pub fn new(group: impl Into<String>, topic: impl Into<String>) -> JavaConsumer {
        JavaConsumer {
            group: group.into(),
            topics: vec![topic.into()],
            zookeeper: None,
            from_beginning: true,
            properties: Vec::new(),
            arguments: Vec::new(),
        }
    }

    /// Starts it, and does not wait for it to join.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn spawn(&self, cluster: &Cluster) -> Result<Process> {
        // The tool takes the group from nowhere else.
        let config = cluster.directory.path().join(unique("consumer.properties"));
        let own = [("group.id".to_owned(), self.group.clone())];
        let lines: String = own
            .iter()
            .chain(&self.properties)
            .map(|(key, value)| format!("{key}={value}\n"))
            .collect();
        fs::write(&config, lines).with_context(|| format!("cannot write {}", config.display()))?;

        let zookeeper = self.zookeeper.clone();
        let topics = match self.topics.len() {
            1 => "--topic",
            _ => "--whitelist",
        };
        let mut arguments = vec![
            "--zookeeper".to_owned(),
            zookeeper.unwrap_or_else(|| cluster.zookeeper_connect()),
            topics.to_owned(),
            self.topics.join("|"),
            "--consumer.config".to_owned(),
            config.display().to_string(),
        ];
        if self.from_beginning {
            arguments.push("--from-beginning".to_owned());
        }
        arguments.extend(self.arguments.iter().cloned());
        cluster.java_tool("kafka.tools.ConsoleConsumer", arguments)
    }
}
