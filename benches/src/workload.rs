//! What is read.

use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::child;
use crate::site::Site;

/// How many messages the producers of the data put into a batch.
const BATCH: u64 = 200;
/// What a batch takes before its messages, and each message beside its value, at most.
const BATCH_OVERHEAD: u64 = 61;
const MESSAGE_OVERHEAD: u64 = 36;
/// What fits into a request, whose limit is 1 000 012 bytes.
const MOST_BATCH_BYTES: u64 = 900_000;
/// How many bytes are written at a time, so that no batch is cut short because the buffer is full.
const CHUNK_BYTES: u64 = 128 << 20;
const BUFFER_BYTES: u64 = 1 << 30;
/// How long filling a topic with one chunk may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// A topic and what is in it.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) messages: u64,
    pub(crate) size: u64,
    pub(crate) partitions: u64,
    pub(crate) codec: String,
    /// How many bytes of a partition are fetched at a time; none for what each contender has chosen.
    pub(crate) fetch_bytes: Option<u64>,
    /// How many members a group has, where there is one of several.
    pub(crate) members: u64,
    /// Whether the contenders write it.
    written: bool,
}

/// The names of the workloads.
pub(crate) const NAMES: [&str; 6] = ["plain", "snappy", "lz4", "gzip", "kib", "partitions512"];

impl FromStr for Workload {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let plain = Workload {
            name: name.to_owned(),
            messages: 4_000_000,
            size: 100,
            partitions: 8,
            codec: "none".to_owned(),
            fetch_bytes: None,
            members: 1,
            written: false,
        };
        let compressed = |codec: &str| Workload {
            codec: codec.to_owned(),
            ..plain.clone()
        };
        Ok(match name {
            "plain" => plain,
            "snappy" | "lz4" | "gzip" => compressed(name),
            "kib" => Workload {
                messages: 1_000_000,
                size: 1024,
                ..plain
            },
            "partitions512" => Workload {
                partitions: 512,
                messages: 512 * 7_800,
                ..plain
            },
            _ => bail!("no workload `{name}`; there are {}", NAMES.join(", ")),
        })
    }
}

impl Workload {
    /// The same for contenders to write, so many messages each.
    pub(crate) fn written(&self, messages: u64) -> Workload {
        Workload {
            name: format!("writing {}", self.name),
            messages: messages.min(self.messages),
            written: true,
            ..self.clone()
        }
    }

    /// The name of its topic, which says what is in it.
    pub(crate) fn topic(&self) -> String {
        let of = if self.written { "-written" } else { "" };
        let (codec, messages, size) = (&self.codec, self.messages, self.size);
        format!("bench{of}-{codec}-{messages}x{size}-p{}", self.partitions)
    }

    /// Makes the topic and writes its messages, unless they are there. Every batch has 200 messages, or as many
    /// as fit into a request.
    pub(crate) fn fill(&self, site: &Site) -> Result<()> {
        match self.count(site)? {
            Some(count) if count == self.messages => return Ok(()),
            Some(count) => ensure!(count == 0, "topic {} holds {count} messages", self.topic()),
            None => self.create(site)?,
        }
        let unit = self.batch() * self.partitions;
        let most = CHUNK_BYTES / (self.size + MESSAGE_OVERHEAD) / unit * unit;
        let mut left = self.messages;
        while left > 0 {
            let chunk = left.min(most.max(unit));
            self.write(site, chunk)?;
            left -= chunk;
        }
        let count = self.count(site)?;
        ensure!(
            count == Some(self.messages),
            "topic {} holds {count:?} messages after {} were written",
            self.topic(),
            self.messages
        );
        Ok(())
    }

    /// How many messages a batch has: 200, or as many as make up a request of the usual size.
    fn batch(&self) -> u64 {
        let most = MOST_BATCH_BYTES / (self.size + MESSAGE_OVERHEAD);
        most.clamp(1, BATCH)
    }

    pub(crate) fn create(&self, site: &Site) -> Result<()> {
        let mut command = Command::new(site.program("divvy")?);
        command.args(["topic", "create", "--zookeeper", &site.zookeeper]);
        command.args(["--partitions", &self.partitions.to_string()]);
        command.args(["--topic", &self.topic()]);
        child::run("divvy topic create", &mut command, PATIENCE).map(drop)
    }

    fn write(&self, site: &Site, messages: u64) -> Result<()> {
        let batch_bytes = BATCH_OVERHEAD + self.batch() * (self.size + MESSAGE_OVERHEAD);
        let mut command = Command::new(site.program("divvy")?);
        command.args(["bench", "produce", "--json", "--acks", "1"]);
        command.args(["--bootstrap", &site.bootstrap, "--topic", &self.topic()]);
        command.args(["--messages", &messages.to_string()]);
        command.args(["--size", &self.size.to_string()]);
        command.args(["--compression", &self.codec]);
        command.args(["--batch-bytes", &batch_bytes.to_string(), "--linger", "1m"]);
        command.args(["--max-in-flight-bytes", &BUFFER_BYTES.to_string()]);
        child::run("divvy bench produce", &mut command, PATIENCE).map(drop)
    }

    /// How many messages the topic holds; none if there is no such topic.
    pub(crate) fn count(&self, site: &Site) -> Result<Option<u64>> {
        let mut command = Command::new(site.program("divvy")?);
        command.args(["topic", "list", "--bootstrap", &site.bootstrap]);
        let topics = child::run("divvy topic list", &mut command, PATIENCE)?;
        if !topics.stdout.lines().any(|topic| topic == self.topic()) {
            return Ok(None);
        }
        let mut command = Command::new(site.program("divvy")?);
        command.args([
            "topic",
            "describe",
            "--json",
            "--bootstrap",
            &site.bootstrap,
        ]);
        command.args(["--topic", &self.topic()]);
        let described = child::run("divvy topic describe", &mut command, PATIENCE)?;
        let mut count = 0;
        for line in described.stdout.lines() {
            let partition: Value = serde_json::from_str(line)?;
            let offset = |field: &str| partition[field].as_u64();
            let (first, next) = (offset("first_offset"), offset("next_offset"));
            count += next
                .zip(first)
                .map(|(next, first)| next - first)
                .context("no offsets")?;
        }
        Ok(Some(count))
    }
}
