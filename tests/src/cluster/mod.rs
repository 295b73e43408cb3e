//! Clusters: ZooKeeper servers and Kafka brokers on loopback ports, as JVMs or embedded.

mod builder;
mod damage;
mod embedded;
mod jvm;
mod links;
mod node;
mod records;
mod sessions;
mod shared;
mod tools;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

pub use self::builder::ClusterBuilder;
use self::embedded::Embedded;
use self::links::Link;
pub use self::node::{Node, four_letter_word};
pub use self::records::JavaRecord;
pub use self::tools::{CheckedOffset, JavaConsumer};
use crate::jars::{Jars, KafkaVersion};
use crate::metadata::{self, Metadata};
use crate::wait_for;

/// How long a change of the cluster (an election, a new topic) may take to be known everywhere.
const SETTLE_PATIENCE: Duration = Duration::from_secs(60);

/// A running cluster. Dropping it ends its nodes and removes its data.
#[derive(Debug)]
pub struct Cluster {
    layout: ClusterBuilder,
    version: KafkaVersion,
    jars: Jars,
    chroot: String,
    // Dropped in this order: brokers, servers, data.
    brokers: Vec<Node>,
    zookeepers: Vec<Node>,
    links: Vec<Link>,
    /// What the nodes are parts of, where they are no JVMs.
    embedded: Option<Arc<Embedded>>,
    directory: TempDir,
}

impl Cluster {
    /// Describes a cluster: one broker of 0.8.2.2 and one ZooKeeper server, unless told otherwise.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// The cluster that all tests of this process share: one broker, one ZooKeeper server, started when it is
    /// first asked for. It ends with the process (see [`warden`](crate::warden)).
    ///
    /// Use [`unique`](crate::unique) names on it, and strike none of its nodes.
    ///
    /// # Errors
    ///
    /// When it could not be started, and then each time.
    pub fn shared(version: KafkaVersion) -> Result<&'static Cluster> {
        shared::shared(version)
    }

    /// Kafka's version.
    pub fn version(&self) -> KafkaVersion {
        self.version
    }

    /// The brokers; broker `n` has id `n`.
    pub fn brokers(&self) -> &[Node] {
        &self.brokers
    }

    /// Stops a broker in order, and starts it again on its data as another version, with further properties, such as
    /// `inter.broker.protocol.version`.
    ///
    /// # Errors
    ///
    /// When it does not stop, its jars cannot be had, or it does not serve again; or it is no JVM.
    pub fn replace_broker(
        &self,
        broker: usize,
        version: KafkaVersion,
        properties: &[(&str, &str)],
    ) -> Result<()> {
        let node = &self.brokers[broker];
        let properties = self
            .layout
            .broker_properties(version, node.proxy(), properties);
        let jars = Jars::resolve(version)?.directory().display().to_string();
        node.term()?;
        node.jvm()?
            .set_environment([("JARS", jars), ("KAFKA_PROPERTIES", properties)]);
        node.start()
    }

    /// The ZooKeeper servers.
    pub fn zookeepers(&self) -> &[Node] {
        &self.zookeepers
    }

    /// The ZooKeeper server that leads the ensemble, or the only one.
    ///
    /// # Errors
    ///
    /// When there is none just now.
    pub fn zookeeper_leader(&self) -> Result<&Node> {
        self.zookeepers
            .iter()
            .find(|server| {
                four_letter_word(server.address(), "srvr").is_ok_and(|answer| {
                    answer.contains("Mode: leader") || answer.contains("Mode: standalone")
                })
            })
            .context("no ZooKeeper server leads")
    }

    /// Where below ZooKeeper's root Kafka keeps its nodes; empty for the root itself.
    pub fn chroot(&self) -> &str {
        &self.chroot
    }

    /// What clients set as `zookeeper.connect`: every server, then the chroot.
    pub fn zookeeper_connect(&self) -> String {
        addresses(&self.zookeepers) + &self.chroot
    }

    /// What clients set as `bootstrap.servers`: every broker.
    pub fn bootstrap(&self) -> String {
        addresses(&self.brokers)
    }

    /// The file in which a broker that is a JVM keeps the first messages of a partition.
    pub fn log_segment(&self, broker: usize, topic: &str, partition: i32) -> PathBuf {
        let logs = self.directory.path().join(format!("broker-{broker}/logs"));
        logs.join(format!("{topic}-{partition}"))
            .join("00000000000000000000.log")
    }

    /// The cluster as its first broker that answers sees it.
    ///
    /// # Errors
    ///
    /// When no broker answers.
    pub fn metadata(&self) -> Result<Metadata> {
        self.brokers
            .iter()
            .filter(|broker| broker.is_running())
            .find_map(|broker| metadata::fetch(broker.address()).ok())
            .context("no broker answers")
    }

    /// Waits until every running broker sees exactly the running brokers, and `settled` holds for what it sees.
    ///
    /// # Errors
    ///
    /// When that takes more than a minute; the error names `what`.
    pub fn wait_until_settled(
        &self,
        what: &str,
        settled: impl Fn(&Metadata) -> bool,
    ) -> Result<()> {
        wait_for(SETTLE_PATIENCE, what, || {
            let running = || self.brokers.iter().filter(|broker| broker.is_running());
            running().all(|broker| {
                metadata::fetch(broker.address()).is_ok_and(|metadata| {
                    // 0.8 names no broker at all before there is a topic.
                    let is_new = metadata == Metadata::default();
                    (is_new || metadata.brokers.len() == running().count()) && settled(&metadata)
                })
            })
        })
    }

    /// Waits until every partition has a leader and all its replicas are in sync, as after a broker was restarted.
    ///
    /// # Errors
    ///
    /// When that takes more than a minute.
    pub fn wait_until_in_sync(&self) -> Result<()> {
        self.wait_until_settled("every partition to have a leader", |metadata| {
            metadata
                .topics
                .values()
                .flat_map(BTreeMap::values)
                .all(|partition| partition.leader.is_some())
        })?;
        if self.embedded.is_some() {
            // The replicas of a partition are one log there.
            return Ok(());
        }
        // Brokers of 0.8 do not tell one another when a replica is in sync again; ZooKeeper knows.
        let behind = ["--describe", "--under-replicated-partitions"];
        wait_for(SETTLE_PATIENCE, "every replica to be in sync", || {
            self.topic_command(&behind)
                .is_ok_and(|output| output.trim().is_empty())
        })
    }
}

fn addresses(nodes: &[Node]) -> String {
    nodes
        .iter()
        .map(|node| node.address().to_string())
        .collect::<Vec<_>>()
        .join(",")
}
