use std::collections::BTreeMap;
use std::time::Duration;

use divvy_protocol::BrokerVersion;
use divvy_zookeeper::ZooKeeper;

use crate::address::HostPort;
use crate::error::{Error, Result};

/// How a [`Client`](crate::Client) reaches its cluster.
///
/// A plain struct: make one with [`ClientConfig::bootstrap`] or [`ClientConfig::zookeeper`] and change single fields with
/// struct update. Nothing is checked and nothing is connected before [`Client::connect`](crate::Client::connect).
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Brokers to ask first for the cluster's metadata, `host:port` each. Kafka: `bootstrap.servers`, `metadata.broker.list`;
    /// PyKafka: `hosts`. Where this is empty, [`ClientConfig::zookeeper`] must be given; where both are given, the brokers come
    /// from here, because a group's ZooKeeper need not be the cluster's.
    pub bootstrap: Vec<String>,
    /// The cluster's ZooKeeper, from which brokers and their versions are read. Kafka: `zookeeper.connect`; PyKafka:
    /// `zookeeper_hosts`. Default: none.
    pub zookeeper: Option<ZooKeeper>,
    /// Where to connect instead of a broker's own address, for brokers that are reached through a tunnel or a container's port:
    /// they name themselves in metadata and in ZooKeeper by addresses that lead nowhere from here. Reports go on calling them by
    /// their own. Addresses that are missing here are used as they are. The native backend and producer alone know of it. Default:
    /// none.
    pub map_brokers: BTreeMap<HostPort, HostPort>,
    /// Which versions the brokers speak. Default: [`BrokerVersionSetting::Auto`]. librdkafka: `broker.version.fallback`; PyKafka:
    /// `broker_version`.
    pub broker_version: BrokerVersionSetting,
    /// The name under which requests are sent. Kafka: `client.id`. Default: `divvy`.
    pub client_id: String,
    /// How long a broker may take to answer before its connection is given up. Kafka: `request.timeout.ms`,
    /// `socket.timeout.ms`; PyKafka: `socket_timeout_ms`. Default: 30 s.
    pub request_timeout: Duration,
    /// How long connecting to one address may take, and the negotiation of versions after it. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long the first contact with the cluster may take in all, over every known broker. Default: 8 s.
    pub bootstrap_timeout: Duration,
    /// The first pause after a failed connection or a retriable error; it doubles with each failure and is jittered. Kafka:
    /// `reconnect.backoff.ms`, `retry.backoff.ms`. Default: 100 ms.
    pub backoff: Duration,
    /// The longest such pause. Kafka: `reconnect.backoff.max.ms`. Default: 10 s.
    pub backoff_max: Duration,
    /// How old the known metadata may grow before it is asked for again; new partitions are seen at most this late. Kafka:
    /// `metadata.max.age.ms`. Default: 30 s.
    pub metadata_max_age: Duration,
    /// The largest answer that is accepted, in bytes. librdkafka: `receive.message.max.bytes`. Default: 256 MiB.
    pub max_response_bytes: usize,
    /// How connections are secured. Default: [`Security::Plaintext`], the only one there is yet.
    pub security: Security,
}

/// Which versions of the protocol the brokers are taken to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BrokerVersionSetting {
    /// Found out for each connection, without a request that could disturb an old broker: from the broker's registration in
    /// ZooKeeper, or else by a Metadata request that every version answers.
    #[default]
    Auto,
    /// Every broker is taken to be of this version, and is not asked.
    Fixed(BrokerVersion),
}

/// How the connections to brokers are secured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Security {
    /// Plain TCP.
    #[default]
    Plaintext,
}

impl ClientConfig {
    /// A cluster that is found through some of its brokers, `host:port` each.
    pub fn bootstrap<S: Into<String>>(servers: impl IntoIterator<Item = S>) -> Self {
        Self {
            bootstrap: servers.into_iter().map(Into::into).collect(),
            ..Self::empty()
        }
    }

    /// A cluster that is found through the ZooKeeper in which its brokers are registered.
    pub fn zookeeper(zookeeper: ZooKeeper) -> Self {
        Self {
            zookeeper: Some(zookeeper),
            ..Self::empty()
        }
    }

    fn empty() -> Self {
        Self {
            bootstrap: Vec::new(),
            zookeeper: None,
            map_brokers: BTreeMap::new(),
            broker_version: BrokerVersionSetting::Auto,
            client_id: "divvy".to_owned(),
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            bootstrap_timeout: Duration::from_secs(8),
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
            metadata_max_age: Duration::from_secs(30),
            max_response_bytes: 256 << 20,
            security: Security::Plaintext,
        }
    }

    /// Checks every field and says which one is wrong.
    pub fn validate(&self) -> Result<()> {
        if self.bootstrap.is_empty() && self.zookeeper.is_none() {
            return Err(Error::config(
                "bootstrap",
                "neither bootstrap servers nor a ZooKeeper are given",
            ));
        }
        self.bootstrap_addresses()?;
        if self.client_id.len() > 1000 {
            return Err(Error::config("client_id", "is longer than 1000 bytes"));
        }
        for (field, value) in [
            ("request_timeout", self.request_timeout),
            ("connect_timeout", self.connect_timeout),
            ("bootstrap_timeout", self.bootstrap_timeout),
            ("backoff", self.backoff),
            ("metadata_max_age", self.metadata_max_age),
        ] {
            if value.is_zero() {
                return Err(Error::config(field, "must be longer than zero"));
            }
        }
        if self.backoff_max < self.backoff {
            return Err(Error::config("backoff_max", "is shorter than backoff"));
        }
        if self.max_response_bytes < 1 << 20 {
            return Err(Error::config("max_response_bytes", "is below 1 MiB"));
        }
        Ok(())
    }

    pub(crate) fn bootstrap_addresses(&self) -> Result<Vec<HostPort>> {
        self.bootstrap
            .iter()
            .flat_map(|list| list.split(','))
            .map(|server| {
                server
                    .trim()
                    .parse()
                    .map_err(|why: String| Error::config("bootstrap", why))
            })
            .collect()
    }
}
