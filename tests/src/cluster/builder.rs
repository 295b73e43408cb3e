//! Starting a cluster.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::embedded::Embedded;
use super::jvm::{Jvm, Role};
use super::links::Link;
use super::node::Body;
use super::{Cluster, Node, addresses};
use crate::jars::{Jars, KafkaVersion};
use crate::ports::PortLease;
use crate::proxy::Proxy;
use crate::{paths, warden};

/// What makes a JVM start fast and stay small; these brokers do little.
const JAVA_OPTS: &str = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto -XX:-UsePerfData";
/// How often a cluster is started anew because a port was taken by somebody who does not lock his.
const ATTEMPTS: usize = 3;

/// What a cluster shall be like. Made by [`Cluster::builder`].
#[derive(Clone, Debug)]
pub struct ClusterBuilder {
    pub(super) version: KafkaVersion,
    pub(super) brokers: usize,
    zookeepers: usize,
    pub(super) tick_ms: u32,
    chroot: String,
    properties: Vec<(String, String)>,
    linked: bool,
    pub(super) brokers_behind_proxies: bool,
    measured: bool,
}

impl Default for ClusterBuilder {
    fn default() -> Self {
        ClusterBuilder {
            version: KafkaVersion::V0_8_2_2,
            brokers: 1,
            zookeepers: 1,
            tick_ms: 500,
            chroot: String::new(),
            properties: Vec::new(),
            linked: false,
            brokers_behind_proxies: false,
            measured: false,
        }
    }
}

impl ClusterBuilder {
    /// Kafka's version. Default: 0.8.2.2.
    pub fn kafka(mut self, version: KafkaVersion) -> Self {
        self.version = version;
        self
    }

    /// How many brokers, with the ids from 0 on; with none, there is ZooKeeper alone. Default: 1.
    pub fn brokers(mut self, brokers: usize) -> Self {
        self.brokers = brokers;
        self
    }

    /// How many ZooKeeper servers; more than one form an ensemble. Default: 1.
    pub fn zookeepers(mut self, zookeepers: usize) -> Self {
        self.zookeepers = zookeepers;
        self
    }

    /// ZooKeeper's `tickTime` in ms. Sessions last from 2 to 20 ticks. Default: 500.
    pub fn tick_ms(mut self, tick_ms: u32) -> Self {
        self.tick_ms = tick_ms;
        self
    }

    /// Where below ZooKeeper's root Kafka keeps its nodes, such as `/kafka`. Default: the root itself.
    pub fn chroot(mut self, chroot: impl Into<String>) -> Self {
        self.chroot = chroot.into();
        self
    }

    /// A property of every broker. It wins over what the harness sets.
    pub fn property(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.properties.push((key.into(), value.to_string()));
        self
    }

    /// Lets the servers of an ensemble reach one another through proxies, so that they can be
    /// [separated](Cluster::separate).
    pub fn linked(mut self) -> Self {
        self.linked = true;
        self
    }

    /// Lets clients, and brokers among themselves, reach every broker through a proxy, [`Node::proxy`], whose address it
    /// advertises.
    pub fn brokers_behind_proxies(mut self) -> Self {
        self.brokers_behind_proxies = true;
        self
    }

    /// Gives the brokers what they have in production, for measurements: every compiler of the JVM, and Kafka's own number of
    /// threads. Default: what starts fast and stays small.
    pub fn measured(mut self) -> Self {
        self.measured = true;
        self
    }

    /// Starts the cluster, and returns when every broker serves and knows all others.
    ///
    /// # Errors
    ///
    /// When the jars cannot be had, or a node does not serve in time; the error shows the end of its log.
    pub fn start(self) -> Result<Cluster> {
        ensure!(self.zookeepers > 0, "a cluster needs a ZooKeeper server");
        ensure!(
            self.chroot.is_empty() || self.chroot.starts_with('/'),
            "a chroot begins with a slash"
        );
        if self.version.is_embedded() {
            return self.start_embedded();
        }
        let jars = Jars::resolve(self.version)?;
        let mut attempt = 1;
        loop {
            let cluster = self.lay_out(jars.clone())?;
            match start_nodes(&cluster) {
                Ok(()) => return Ok(cluster),
                Err(_) if attempt < ATTEMPTS && port_was_taken(&cluster) => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn start_embedded(self) -> Result<Cluster> {
        let directory = warden::temporary_directory()?;
        let (embedded, [zookeepers, brokers]) = Embedded::start(&self)?;
        Ok(Cluster {
            version: self.version,
            jars: Jars::resolve(self.version)?,
            chroot: String::new(),
            layout: self,
            links: Vec::new(),
            embedded: Some(embedded),
            brokers,
            zookeepers,
            directory,
        })
    }

    /// Demands nothing that an embedded cluster has not.
    pub(super) fn suits_embedded(&self) -> Result<()> {
        ensure!(
            self.zookeepers == 1 && self.chroot.is_empty(),
            "an embedded cluster has one ZooKeeper server and no chroot"
        );
        Ok(())
    }

    /// How many partitions a topic gets that is asked for and is not there; none where no topic is made so.
    pub(super) fn auto_created_partitions(&self) -> Result<Option<usize>> {
        // Kafka creates them unless it is told otherwise.
        if self.own_property("auto.create.topics.enable") == Some("false") {
            return Ok(None);
        }
        let partitions = self.own_property("num.partitions");
        Ok(Some(partitions.map_or(Ok(1), str::parse)?))
    }

    /// After how long brokers close a connection on which nothing happens, where that was asked for.
    pub(super) fn connections_max_idle(&self) -> Result<Option<Duration>> {
        let time = self.own_property("connections.max.idle.ms");
        let time = time.map(str::parse).transpose()?;
        Ok(time.map(Duration::from_millis))
    }

    fn own_property(&self, wanted: &str) -> Option<&str> {
        let found = self.properties.iter().rev().find(|(key, _)| key == wanted);
        found.map(|(_, value)| value.as_str())
    }

    fn lay_out(&self, jars: Jars) -> Result<Cluster> {
        let directory = warden::temporary_directory()?;
        let mut links = Vec::new();
        let zookeepers = self.zookeeper_nodes(directory.path(), &jars, &mut links)?;
        let connect = addresses(&zookeepers) + &self.chroot;
        let brokers = (0..self.brokers)
            .map(|id| self.broker_node(id, directory.path(), &jars, &connect, &zookeepers))
            .collect::<Result<_>>()?;
        Ok(Cluster {
            layout: self.clone(),
            links,
            embedded: None,
            version: self.version,
            jars,
            chroot: self.chroot.clone(),
            brokers,
            zookeepers,
            directory,
        })
    }

    fn zookeeper_nodes(
        &self,
        directory: &Path,
        jars: &Jars,
        links: &mut Vec<Link>,
    ) -> Result<Vec<Node>> {
        let mut quorum_ports = Vec::new();
        for _ in 0..self.zookeepers {
            quorum_ports.push([PortLease::new()?, PortLease::new()?]);
        }
        if self.linked {
            for from in 0..self.zookeepers {
                for (to, ports) in quorum_ports.iter().enumerate() {
                    if from != to {
                        links.push(Link::start(from, to, ports)?);
                    }
                }
            }
        }
        let servers: Vec<String> = (0..self.zookeepers)
            .map(|server| servers_as_seen_by(server, &quorum_ports, links))
            .collect();
        (1..)
            .zip(quorum_ports)
            .zip(servers)
            .map(|((id, ports), servers)| self.zookeeper_node(id, directory, jars, &servers, ports))
            .collect()
    }

    fn zookeeper_node(
        &self,
        id: usize,
        directory: &Path,
        jars: &Jars,
        servers: &str,
        ports: [PortLease; 2],
    ) -> Result<Node> {
        let port = PortLease::new()?;
        let data = directory.join(format!("zookeeper-{id}"));
        // Nothing here has to survive a power failure, and waiting for the disk would dominate every test.
        let options = format!("{JAVA_OPTS} -Dzookeeper.forceSync=no");
        let mut environment = environment(jars, &data, "128m", options);
        environment.extend([
            ("CLIENT_PORT", port.port().to_string()),
            ("CLIENT_ADDRESS", "127.0.0.1".to_owned()),
            ("TICK_TIME", self.tick_ms.to_string()),
        ]);
        if self.zookeepers > 1 {
            environment.extend([("MYID", id.to_string()), ("SERVERS", servers.to_owned())]);
        }
        let jvm = Jvm {
            name: format!("ZooKeeper server {id}"),
            role: Role::ZooKeeper,
            port,
            _ports: ports.into(),
            script: paths::docker("bin/start-zookeeper.sh"),
            environment: Mutex::new(environment),
            log: directory.join(format!("zookeeper-{id}.log")),
            log_start: AtomicUsize::new(0),
            process: Mutex::new(None),
        };
        Ok(Node {
            proxy: None,
            body: Body::Jvm(Box::new(jvm)),
        })
    }

    fn broker_node(
        &self,
        id: usize,
        directory: &Path,
        jars: &Jars,
        connect: &str,
        zookeepers: &[Node],
    ) -> Result<Node> {
        let port = PortLease::new()?;
        let proxy = match self.brokers_behind_proxies {
            true => Some(Proxy::start(port.address())?),
            false => None,
        };
        let data = directory.join(format!("broker-{id}"));
        // Compression libraries unpack their native parts there.
        let (options, heap) = match self.measured {
            true => ("-XX:-UsePerfData", "1g"),
            false => (JAVA_OPTS, "384m"),
        };
        let options = format!("{options} -Djava.io.tmpdir={}", directory.display());
        let mut environment = environment(jars, &data, heap, options);
        environment.extend([
            ("BROKER_ID", id.to_string()),
            ("PORT", port.port().to_string()),
            ("HOST", "127.0.0.1".to_owned()),
            ("ADVERTISED_HOST", "127.0.0.1".to_owned()),
            ("ZOOKEEPER_CONNECT", connect.to_owned()),
            (
                "KAFKA_PROPERTIES",
                self.broker_properties(self.version, proxy.as_ref(), &[]),
            ),
        ]);
        let jvm = Jvm {
            name: format!("broker {id}"),
            role: Role::Broker {
                registration: format!("{}/brokers/ids/{id}", self.chroot),
                zookeepers: zookeepers.iter().map(Node::address).collect(),
            },
            port,
            _ports: Vec::new(),
            script: paths::docker("bin/start-kafka.sh"),
            environment: Mutex::new(environment),
            log: directory.join(format!("broker-{id}.log")),
            log_start: AtomicUsize::new(0),
            process: Mutex::new(None),
        };
        Ok(Node {
            proxy,
            body: Body::Jvm(Box::new(jvm)),
        })
    }

    /// The properties of a broker of some version before some proxy; `extra` wins over all others.
    pub(super) fn broker_properties(
        &self,
        version: KafkaVersion,
        proxy: Option<&Proxy>,
        extra: &[(&str, &str)],
    ) -> String {
        let replicas = self.brokers.min(3).to_string();
        let defaults = [
            // A killed broker is noticed after this time, so short sessions make quick tests; but a broker that
            // has to wait for a processor must not be given up.
            ("zookeeper.session.timeout.ms", "4000"),
            ("num.partitions", "1"),
            ("offsets.topic.num.partitions", "4"),
            ("offsets.topic.replication.factor", &replicas),
            // Every five minutes is too seldom for a test of what happens then.
            ("log.retention.check.interval.ms", "1000"),
        ];
        // Each thread and buffer multiplies with the clusters that run at the same time.
        let small = [
            ("num.network.threads", "2"),
            ("num.io.threads", "4"),
            ("background.threads", "2"),
            ("log.cleaner.dedupe.buffer.size", "8388608"),
        ];
        let small = if self.measured { &[] } else { small.as_slice() };
        // Later brokers only; earlier ones would say that they do not know them.
        let newer = [
            ("group.initial.rebalance.delay.ms", "0"),
            ("transaction.state.log.replication.factor", "1"),
            ("transaction.state.log.min.isr", "1"),
            ("transaction.state.log.num.partitions", "1"),
        ];
        let newer = if version >= KafkaVersion::V0_11_0_3 {
            newer.as_slice()
        } else {
            &[]
        };
        let own = self
            .properties
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let advertised = proxy.map(|proxy| proxy.address().port().to_string());
        let lines: Vec<String> = defaults
            .into_iter()
            .chain(small.iter().copied())
            .chain(newer.iter().copied())
            .chain(advertised.as_deref().map(|port| ("advertised.port", port)))
            .chain(own)
            .chain(extra.iter().copied())
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        lines.join("\n")
    }
}

fn environment(
    jars: &Jars,
    data: &Path,
    heap: &str,
    options: String,
) -> Vec<(&'static str, String)> {
    vec![
        ("JARS", jars.directory().display().to_string()),
        ("DATA_DIR", data.display().to_string()),
        ("HEAP", heap.to_owned()),
        ("JAVA_OPTS", options),
    ]
}

/// Every server with the ports by which one of them reaches it: those of a link, or its own.
fn servers_as_seen_by(viewer: usize, own_ports: &[[PortLease; 2]], links: &[Link]) -> String {
    let servers = own_ports.iter().enumerate().map(|(server, own)| {
        let link = links.iter().find(|link| link.leads(viewer, server));
        let [follow, elect] = link.map_or_else(|| own.each_ref().map(PortLease::port), Link::ports);
        format!("{}=127.0.0.1:{follow}:{elect}", server + 1)
    });
    servers.collect::<Vec<_>>().join(" ")
}

/// Starts the servers side by side, then the brokers: neither an ensemble nor a cluster needs an order within.
fn start_nodes(cluster: &Cluster) -> Result<()> {
    for nodes in [&cluster.zookeepers, &cluster.brokers] {
        for node in nodes {
            node.jvm()?.spawn()?;
        }
        for node in nodes {
            node.jvm()?.wait_until_serving()?;
        }
    }
    cluster.wait_until_settled("every broker to know all others", |_| true)
}

fn port_was_taken(cluster: &Cluster) -> bool {
    cluster
        .zookeepers
        .iter()
        .chain(&cluster.brokers)
        .any(|node| node.log().contains("Address already in use"))
}
