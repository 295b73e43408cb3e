use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::EmbeddedCluster;
use crate::server::broker::{Limits, Node, Release, Settings, Shared};
use crate::server::error::{Error, Result};
use crate::server::network::Task;
use crate::server::zookeeper::{Hub, ZooKeeperServer};

/// How an [`EmbeddedCluster`] is to be.
#[derive(Clone, Debug)]
pub struct EmbeddedClusterBuilder {
    brokers: u16,
    first_port: u16,
    /// The ids and ports of brokers that were chosen one by one.
    chosen: Vec<(i32, u16)>,
    /// The ports that clients are told, by broker, where they are others.
    advertised: BTreeMap<i32, u16>,
    zookeeper_port: u16,
    tick: Duration,
    settings: Settings,
}

impl Default for EmbeddedClusterBuilder {
    fn default() -> Self {
        Self {
            brokers: 1,
            first_port: 0,
            chosen: Vec::new(),
            advertised: BTreeMap::new(),
            zookeeper_port: 0,
            tick: Duration::from_millis(500),
            settings: Settings {
                release: Release::default(),
                limits: Limits {
                    segment: 16 << 20,
                    retention: 256 << 20,
                    retention_ms: None,
                },
                log_dir: None,
                session_ms: 6_000,
                most_idle: Duration::from_secs(600),
                auto_create: None,
            },
        }
    }
}

impl EmbeddedClusterBuilder {
    /// How many brokers; their ids begin at 1. Default: 1.
    #[must_use]
    pub fn brokers(mut self, brokers: u16) -> Self {
        self.brokers = brokers;
        self
    }

    /// A broker with an id and a port of its own, 0 for a free one; can be called for each of several. The brokers that are chosen
    /// so are there in place of those of [`brokers`](Self::brokers) and [`port`](Self::port). Kafka: `broker.id`, `port`.
    #[must_use]
    pub fn broker(mut self, id: u16, port: u16) -> Self {
        self.chosen.push((id.into(), port));
        self
    }

    /// The port at which clients are told to find a broker, where something stands before the one that it listens on. Kafka:
    /// `advertised.port`. Default: the latter.
    #[must_use]
    pub fn advertised_port(mut self, id: u16, port: u16) -> Self {
        self.advertised.insert(id.into(), port);
        self
    }

    /// After how long brokers close a connection on which nothing happens, also that of a client that waits for messages. Kafka:
    /// `connections.max.idle.ms`. Default: 10 minutes.
    #[must_use]
    pub fn connections_max_idle(mut self, time: Duration) -> Self {
        self.settings.most_idle = time;
        self
    }

    /// How long a broker that was killed stays registered. ZooKeeper's tick bounds it. Kafka: `zookeeper.session.timeout.ms`.
    /// Default: 6 s.
    #[must_use]
    pub fn broker_session_timeout(mut self, timeout: Duration) -> Self {
        self.settings.session_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        self
    }

    /// Which brokers to behave as. Default: [`Release::V0_8_2`].
    #[must_use]
    pub fn kafka(mut self, release: Release) -> Self {
        self.settings.release = release;
        self
    }

    /// The port of the first broker; the others have those behind it. Kafka: `port`. Default: free ones.
    #[must_use]
    pub fn port(mut self, first: u16) -> Self {
        self.first_port = first;
        self
    }

    /// The port of ZooKeeper. ZooKeeper: `clientPort`. Default: a free one.
    #[must_use]
    pub fn zookeeper_port(mut self, port: u16) -> Self {
        self.zookeeper_port = port;
        self
    }

    /// The length of ZooKeeper's tick: sessions last from 2 to 20 of them. From 100 ms to an hour. ZooKeeper: `tickTime`. Default:
    /// 500 ms.
    #[must_use]
    pub fn tick(mut self, tick: Duration) -> Self {
        self.tick = tick.clamp(Duration::from_millis(100), Duration::from_secs(3600));
        self
    }

    /// Whether a topic is created when somebody asks for its metadata, with how many partitions and replicas. Kafka:
    /// `auto.create.topics.enable`, `num.partitions`, `default.replication.factor`. Default: it is not, unlike Kafka's.
    #[must_use]
    pub fn auto_create_topics(mut self, partitions: usize, replication_factor: usize) -> Self {
        self.settings.auto_create = Some((partitions, replication_factor));
        self
    }

    /// How many bytes a segment of a log has before the next begins; at least 1 MiB, so that every message fits. Offsets by time
    /// are to the grain of segments. A topic's own setting may be smaller. Kafka: `log.segment.bytes`. Default: 16 MiB.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: usize) -> Self {
        self.settings.limits.segment = bytes.max(1 << 20);
        self
    }

    /// How many bytes of a partition are kept at least; the oldest segment goes where the others have as many. This bounds the
    /// memory, or the disk, that the cluster takes. A topic's own setting may be smaller. Kafka: `log.retention.bytes`. Default: 256 MiB.
    #[must_use]
    pub fn retention_bytes(mut self, bytes: usize) -> Self {
        self.settings.limits.retention = bytes;
        self
    }

    /// How long messages are kept; the oldest segment goes where nothing was appended to it for as long. Kafka: `log.retention.ms`.
    /// Default: for ever.
    #[must_use]
    pub fn retention(mut self, time: Duration) -> Self {
        self.settings.limits.retention_ms = i64::try_from(time.as_millis()).ok();
        self
    }

    /// Where logs are kept on disk, in Kafka's own layout: a folder `TOPIC-PARTITION` for each partition, and in it a file for each
    /// segment, as brokers of 0.8.2 and 0.9 write it. The folder is made where there is none, and is this cluster's alone
    /// while it runs. Kafka: `log.dirs`. Default: logs are in memory.
    ///
    /// A cluster that is started on a folder with logs has their topics, partitions and messages again, and the same brokers for
    /// them as far as they are there. Nothing else is kept: ZooKeeper's tree is empty, so that groups, their offsets in either
    /// store, and topics' own settings are gone. All brokers use the one folder, because the replicas of a partition are one log.
    ///
    /// What was acknowledged outlives the process, however it ends; nothing is flushed to the disk, so that what the machine had
    /// not written when it lost its power is lost. At the start the last segment of each partition is cut off behind its last
    /// whole message, as Kafka does after a broker has died, and so also where a message was [damaged](EmbeddedCluster::corrupt).
    #[must_use]
    pub fn log_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.log_dir = Some(path.into());
        self
    }

    /// Starts ZooKeeper and the brokers on 127.0.0.1, on the current runtime of tokio, which needs time and I/O, and returns when
    /// all brokers are registered.
    ///
    /// # Errors
    /// [`Error::Listen`] where a port is taken; [`Error::Log`], [`Error::LogInUse`], [`Error::MissingLog`] and
    /// [`Error::InvalidTopic`] where the [logs on disk](Self::log_dir) cannot be used. Nothing runs then.
    pub async fn start(self) -> Result<EmbeddedCluster> {
        let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let places = self.places();
        let hub = Arc::new(Hub::new(self.tick));
        let address = (host, self.zookeeper_port).into();
        let zookeeper = ZooKeeperServer::builder().address(address);
        let zookeeper = ZooKeeperServer::start(&zookeeper, Arc::clone(&hub)).await?;
        let shared = Shared::new(self.settings, hub)?;
        let shared = Arc::new(shared);
        shared.lay_out().map_err(Error::ZooKeeper)?;
        let mut nodes = BTreeMap::new();
        for (id, port) in places {
            let address = SocketAddr::new(host, port);
            let advertised = self.advertised.get(&id).copied();
            let node = Node::start(id, address, advertised, Arc::clone(&shared));
            nodes.insert(id, node.await?);
        }
        let brokers: Vec<i32> = nodes.keys().copied().collect();
        shared.restore_topics(&brokers)?;
        shared.look().map_err(Error::ZooKeeper)?;
        let controller = Task::spawn(Arc::clone(&shared).control());
        Ok(EmbeddedCluster {
            zookeeper,
            shared,
            nodes,
            controller,
        })
    }

    /// The ids and ports of the brokers.
    fn places(&self) -> Vec<(i32, u16)> {
        if !self.chosen.is_empty() {
            return self.chosen.clone();
        }
        let port = |index| match self.first_port {
            0 => 0,
            first => first.saturating_add(index),
        };
        (0..self.brokers)
            .map(|index| (i32::from(index) + 1, port(index)))
            .collect()
    }
}
