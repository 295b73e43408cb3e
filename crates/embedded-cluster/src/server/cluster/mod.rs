//! ZooKeeper and brokers together.

mod builder;
mod faults;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use divvy_zookeeper::documents::TopicAssignment;
use divvy_zookeeper::paths;

use super::broker::{Node, Shared};
use super::error::{Error, Result};
use super::network::Task;
use super::zookeeper::ZooKeeperServer;
pub use builder::EmbeddedClusterBuilder;

/// How long the brokers may take to see what was written, which they do at once unless the machine stands still.
const PATIENCE: Duration = Duration::from_secs(30);

/// A ZooKeeper and brokers of Kafka 0.8.2 or 0.9 in this process, on loopback sockets.
///
/// ```
/// use divvy_embedded_cluster::server::{EmbeddedCluster, Release};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), divvy_embedded_cluster::server::Error> {
/// let cluster = EmbeddedCluster::builder()
///     .brokers(3)
///     .kafka(Release::V0_8_2)
///     .start()
///     .await?;
/// cluster.create_topic("events", 8, 3).await?;
/// // Point the consumer under test at these.
/// println!("{} {}", cluster.zookeeper_connect(), cluster.bootstrap());
/// cluster.move_leader("events", 0, 2)?;
/// cluster.shutdown().await;
/// # Ok(())
/// # }
/// ```
///
/// Clients find on the wire and in ZooKeeper what they would find of a real cluster: topics are created by writing their nodes,
/// also by Kafka's own tools, and deleted through `/admin/delete_topics`; leaders and in-sync replicas stand in each partition's
/// state; offsets are kept in ZooKeeper (version 0 of the requests) or in Kafka.
///
/// What is different: the replicas of a partition are one log, so that all brokers that are alive are in sync and no message is
/// lost with a broker; that log is bounded ([`EmbeddedClusterBuilder::retention_bytes`]), and in memory unless it [is to be on
/// disk](EmbeddedClusterBuilder::log_dir), where it is all that outlives the cluster; the topic `__consumer_offsets` says who keeps
/// which group's offsets and is empty, and committed offsets do not expire; of a topic's own settings only `segment.bytes`,
/// `retention.bytes` and `retention.ms` count; the groups that 0.9's brokers coordinate (JoinGroup) do not exist; there are no quotas,
/// no compaction, no TLS and no SASL.
///
/// It serves as long as this value lives and the runtime that it was started on runs.
#[derive(Debug)]
pub struct EmbeddedCluster {
    zookeeper: ZooKeeperServer,
    shared: Arc<Shared>,
    nodes: BTreeMap<i32, Node>,
    controller: Task,
}

impl EmbeddedCluster {
    /// How a cluster is to be.
    pub fn builder() -> EmbeddedClusterBuilder {
        EmbeddedClusterBuilder::default()
    }

    /// What `zookeeper.connect` takes, such as `127.0.0.1:2181`.
    pub fn zookeeper_connect(&self) -> String {
        self.zookeeper.address().to_string()
    }

    /// What `bootstrap.servers` and `metadata.broker.list` take: all brokers, running or not.
    pub fn bootstrap(&self) -> String {
        let addresses = self.nodes.values().map(|node| node.address().to_string());
        addresses.collect::<Vec<_>>().join(",")
    }

    /// The brokers by their ids, and where they listen.
    pub fn brokers(&self) -> BTreeMap<i32, SocketAddr> {
        let nodes = self.nodes.iter();
        nodes.map(|(id, node)| (*id, node.address())).collect()
    }

    /// The ZooKeeper, for its sessions and its faults.
    pub fn zookeeper(&self) -> &ZooKeeperServer {
        &self.zookeeper
    }

    /// Creates a topic, and returns when all its partitions have leaders.
    ///
    /// # Errors
    /// [`Error::InvalidTopic`] for a name or numbers that no topic can have, [`Error::TopicExists`], [`Error::NoLeader`],
    /// [`Error::ZooKeeper`].
    pub async fn create_topic(
        &self,
        topic: &str,
        partitions: usize,
        replication_factor: usize,
    ) -> Result<()> {
        let invalid = |why: String| Error::InvalidTopic {
            topic: topic.to_owned(),
            why,
        };
        paths::validate_topic(topic).map_err(|error| invalid(error.to_string()))?;
        let alive: Vec<i32> = self.shared.alive().into_keys().collect();
        let assignment = TopicAssignment::deal(&alive, partitions, replication_factor, 0, 0)
            .map_err(|why| invalid(why.to_string()))?;
        match self.shared.create_topic(topic, &assignment) {
            Ok(true) => self.await_leaders(topic, partitions).await,
            Ok(false) => Err(Error::TopicExists(topic.to_owned())),
            Err(error) => Err(Error::ZooKeeper(error)),
        }
    }

    /// Gives a topic more partitions, as many as `partitions` in all, and returns when they have leaders.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such topic, [`Error::InvalidTopic`] where it has as many already,
    /// [`Error::NoLeader`], [`Error::ZooKeeper`].
    pub async fn grow_topic(&self, topic: &str, partitions: usize) -> Result<()> {
        let invalid = |why: String| Error::InvalidTopic {
            topic: topic.to_owned(),
            why,
        };
        let before = self
            .shared
            .assignment(topic)
            .ok_or_else(|| not_found(topic, "node"))?;
        let factor = before.values().next().map_or(1, Vec::len);
        if partitions <= before.len() {
            return Err(invalid(format!(
                "it has {} partitions already",
                before.len()
            )));
        }
        let brokers: Vec<i32> = self.nodes.keys().copied().collect();
        let dealt = TopicAssignment::deal(&brokers, partitions, factor, 0, 0)
            .map_err(|why| invalid(why.to_string()))?;
        let added = dealt.replicas().iter().skip(before.len()).cloned();
        let replicas = before.into_values().chain(added).collect();
        let grown = TopicAssignment::new(replicas).map_err(|why| invalid(why.to_string()))?;
        self.shared
            .reassign(topic, &grown)
            .map_err(Error::ZooKeeper)?;
        self.await_leaders(topic, partitions).await
    }

    /// Deletes a topic with its messages, and returns when the brokers have forgotten it. Nothing happens where there is none.
    ///
    /// # Errors
    /// [`Error::ZooKeeper`].
    pub async fn delete_topic(&self, topic: &str) -> Result<()> {
        self.shared.delete_topic(topic).map_err(Error::ZooKeeper)?;
        self.wait(topic, || self.shared.assignment(topic).is_none())
            .await
    }

    /// Whether a broker is registered in ZooKeeper, as one that was killed is until its session is over.
    pub fn is_registered(&self, broker: i32) -> bool {
        self.shared.is_registered(broker)
    }

    /// The broker that leads a partition; `None` where there is none, or no such partition.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.shared.leader(topic, partition)
    }

    /// The first offset of a partition, and the one that its next message gets; `None` where there is no such partition.
    pub fn offsets(&self, topic: &str, partition: i32) -> Option<(i64, i64)> {
        self.shared.range(topic, partition)
    }

    /// Stops everything, and returns when the ports are closed.
    pub async fn shutdown(mut self) {
        self.controller.end().await;
        for node in self.nodes.values_mut() {
            node.stop(false).await;
        }
        self.shared.release();
        self.zookeeper.shutdown().await;
    }

    async fn await_leaders(&self, topic: &str, partitions: usize) -> Result<()> {
        self.wait(topic, || self.shared.led(topic) >= partitions)
            .await
    }

    /// Waits for what the controller will bring about.
    async fn wait(&self, topic: &str, is_so: impl Fn() -> bool) -> Result<()> {
        let mut changes = self.shared.changes();
        // The sender lives in `shared`.
        let waiting = changes.wait_for(|()| is_so());
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::NoLeader(topic.to_owned())),
        }
    }
}

fn not_found(topic: &str, what: impl Into<String>) -> Error {
    Error::NotFound {
        topic: topic.to_owned(),
        what: what.into(),
    }
}
