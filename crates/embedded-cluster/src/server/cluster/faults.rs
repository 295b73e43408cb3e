//! What a test does to a cluster.

use std::ops::Range;

use super::{EmbeddedCluster, not_found};
use crate::server::broker::Node;
use crate::server::error::{Error, Result};
use crate::server::weather::Faults;

/// Faults. Those of ZooKeeper are [`ZooKeeperServer`](crate::server::ZooKeeperServer)'s, under
/// [`zookeeper`](EmbeddedCluster::zookeeper).
impl EmbeddedCluster {
    fn node(&self, broker: i32) -> Result<&Node> {
        self.nodes.get(&broker).ok_or(Error::NoBroker(broker))
    }

    fn node_mut(&mut self, broker: i32) -> Result<&mut Node> {
        self.nodes.get_mut(&broker).ok_or(Error::NoBroker(broker))
    }

    /// Stops a broker in good order: its connections end, its registration goes, and others lead its partitions at once. Nothing
    /// happens where it does not run.
    ///
    /// # Errors
    /// [`Error::NoBroker`].
    pub async fn stop_broker(&mut self, broker: i32) -> Result<()> {
        self.node_mut(broker)?.stop(true).await;
        self.shared.look().map_err(Error::ZooKeeper)
    }

    /// Kills a broker: its connections end, and its registration stays until its session is over, after 6 s unless [told
    /// otherwise](super::EmbeddedClusterBuilder::broker_session_timeout). Until then it leads its
    /// partitions, as far as others know.
    ///
    /// # Errors
    /// [`Error::NoBroker`].
    pub async fn kill_broker(&mut self, broker: i32) -> Result<()> {
        self.node_mut(broker)?.stop(false).await;
        Ok(())
    }

    /// Starts a broker that was stopped or killed, where it listened before. It does not take leaders back.
    ///
    /// # Errors
    /// [`Error::NoBroker`]; [`Error::Listen`] where the port has been taken meanwhile.
    pub async fn restart_broker(&mut self, broker: i32) -> Result<()> {
        self.node_mut(broker)?.restart().await?;
        self.shared.look().map_err(Error::ZooKeeper)
    }

    /// Ends a broker's session in ZooKeeper, as if it had been silent for too long. Others lead its partitions until it registers
    /// again, within a second; the leaders stay where they are then.
    ///
    /// # Errors
    /// [`Error::NoBroker`].
    pub fn expire_broker(&self, broker: i32) -> Result<()> {
        if let Some(session) = self.node(broker)?.session() {
            self.zookeeper.expire_session(session);
        }
        self.shared.look().map_err(Error::ZooKeeper)
    }

    /// Kills ZooKeeper, and closes its connections. Brokers go on, and nobody is elected.
    pub async fn stop_zookeeper(&mut self) {
        self.zookeeper.stop().await;
    }

    /// Starts ZooKeeper again with what it held; see [`ZooKeeperServer::restart`](crate::server::ZooKeeperServer::restart).
    ///
    /// # Errors
    /// [`Error::Listen`] where the port has been taken meanwhile.
    pub async fn restart_zookeeper(&mut self) -> Result<()> {
        self.zookeeper.restart().await
    }

    /// Makes another broker the leader of a partition. The former one answers that it is not.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such partition, or the broker is none of its replicas that are alive.
    pub fn move_leader(&self, topic: &str, partition: i32, broker: i32) -> Result<()> {
        let moved = self.shared.move_leader(topic, partition, broker);
        match moved.map_err(Error::ZooKeeper)? {
            true => Ok(()),
            false => {
                let what = format!("replica of partition {partition} on broker {broker}");
                Err(not_found(topic, what))
            }
        }
    }

    /// Closes every connection of a broker. Clients may connect again at once.
    ///
    /// # Errors
    /// [`Error::NoBroker`].
    pub fn cut_connections(&self, broker: i32) -> Result<()> {
        self.node(broker)?.weather().cut();
        Ok(())
    }

    /// What goes wrong between a broker and all its clients from now on, in place of what did before. It outlasts restarts.
    ///
    /// # Errors
    /// [`Error::NoBroker`].
    pub fn set_faults(&self, broker: i32, faults: Faults) -> Result<()> {
        self.node(broker)?.weather().set(faults);
        Ok(())
    }

    /// Closes every connection of a client with the brokers. It may connect again at once. Kafka: `client.id`.
    pub fn cut_client(&self, client_id: &str) {
        self.nodes
            .values()
            .for_each(|node| node.weather().cut_off(client_id));
    }

    /// What goes wrong between the brokers and a client from now on, in place of what did before, and besides what does for [all
    /// clients](Self::set_faults). A client is known from its first request. Kafka: `client.id`.
    pub fn set_client_faults(&self, client_id: &str, faults: Faults) {
        self.nodes
            .values()
            .for_each(|node| node.weather().set_for(client_id, faults));
    }

    /// Damages the message at an offset of a partition: its checksum is wrong from now on. Where the message is within a
    /// compressed one, that one is damaged. Gives the offsets of all messages that are damaged so.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such message; [`Error::Log`] where it is on disk and cannot be changed.
    pub fn corrupt(&self, topic: &str, partition: i32, offset: i64) -> Result<Range<i64>> {
        let damaged = self.shared.corrupt(topic, partition, offset)?;
        damaged
            .ok_or_else(|| not_found(topic, format!("message {offset} in partition {partition}")))
    }
}
