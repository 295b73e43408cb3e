//! Options that several commands share.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use divvy::{
    BrokerVersion, BrokerVersionSetting, Client, ClientConfig, ConsumerConfig, FetchConfig,
    HostPort, OffsetReset, OffsetStorage, ProducerConfig, ZooKeeper, ZooKeeperConfig,
};

use crate::errors::usage;

/// How to reach the cluster.
#[derive(Args, Clone, Debug)]
pub(crate) struct ClusterOptions {
    /// Brokers to ask first, host:port[,host:port…].
    #[arg(short, long, value_name = "HOST:PORT,…", env = "DIVVY_BOOTSTRAP")]
    pub(crate) bootstrap: Option<String>,

    /// ZooKeeper servers with an optional chroot, host:port[,host:port…][/chroot].
    #[arg(short, long, value_name = "CONNECT", env = "DIVVY_ZOOKEEPER")]
    pub(crate) zookeeper: Option<String>,

    /// Connect elsewhere than a broker says, as through tunnels and to containers: what it calls itself, and where it is reached;
    /// may be given several times.
    #[arg(long = "map-broker", value_name = "HOST:PORT=HOST:PORT", env = "DIVVY_MAP_BROKER", value_delimiter = ',', value_parser = mapping)]
    map_brokers: Vec<(HostPort, HostPort)>,

    /// The brokers' version: auto finds it out; 0.8.2, 0.9, 0.10.2, 0.11 … is taken as it is.
    #[arg(long, value_name = "VERSION", default_value = "auto", value_parser = broker_version, env = "DIVVY_BROKER_VERSION")]
    pub(crate) broker_version: BrokerVersionSetting,

    /// How old what is known of the cluster may grow; new partitions are seen at most this late.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration, env = "DIVVY_METADATA_MAX_AGE")]
    pub(crate) metadata_max_age: Duration,

    /// How long a broker may take to answer.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration, env = "DIVVY_REQUEST_TIMEOUT")]
    pub(crate) request_timeout: Duration,
}

impl ClusterOptions {
    /// The ZooKeeper configuration, where one is given.
    pub(crate) fn zookeeper(&self, session_timeout: Duration) -> Option<ZooKeeperConfig> {
        let connect = self.zookeeper.clone()?;
        let mut config = ZooKeeperConfig::new(connect);
        config.session_timeout = session_timeout;
        Some(config)
    }

    pub(crate) async fn connect(&self, session_timeout: Duration) -> Result<Client> {
        let mut config = match (&self.bootstrap, self.zookeeper(session_timeout)) {
            (Some(bootstrap), zookeeper) => {
                let mut config = ClientConfig::bootstrap([bootstrap.as_str()]);
                config.zookeeper = zookeeper.map(ZooKeeper::new).transpose()?;
                config
            }
            (None, Some(zookeeper)) => ClientConfig::zookeeper(ZooKeeper::new(zookeeper)?),
            (None, None) => {
                return Err(usage(
                    "say where the cluster is: --bootstrap HOST:PORT or --zookeeper HOST:PORT",
                ));
            }
        };
        config.map_brokers = self.map_brokers.iter().cloned().collect();
        config.broker_version = self.broker_version;
        config.metadata_max_age = self.metadata_max_age;
        config.request_timeout = self.request_timeout;
        Ok(Client::connect(config).await?)
    }
}

/// How messages are read and offsets kept.
#[derive(Args, Clone, Debug)]
pub(crate) struct ReadOptions {
    /// Where a group's offsets are kept; in ZooKeeper by default, for groups in PyKafka's dialect in Kafka.
    #[arg(long, value_name = "STORE", env = "DIVVY_OFFSETS")]
    pub(crate) offsets: Option<Storage>,

    /// How often offsets are committed.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration, env = "DIVVY_COMMIT_INTERVAL")]
    pub(crate) commit_interval: Duration,

    /// How many bytes of messages may be queued in all.
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20, env = "DIVVY_MAX_QUEUED_BYTES")]
    pub(crate) max_queued_bytes: usize,

    /// How many bytes of a partition are asked for at a time; grows where a message is larger.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, env = "DIVVY_FETCH_MESSAGE_MAX_BYTES")]
    pub(crate) fetch_message_max_bytes: usize,

    #[command(flatten)]
    pub(crate) backend: BackendOptions,
}

impl ReadOptions {
    pub(crate) fn consumer(
        &self,
        group: Option<&str>,
        reset: OffsetReset,
    ) -> Result<ConsumerConfig> {
        let fetch = FetchConfig::default();
        self.backend.apply(ConsumerConfig {
            group: group.map(str::to_owned),
            offset_storage: self.offsets.unwrap_or(Storage::Zookeeper).into(),
            auto_offset_reset: reset,
            auto_commit_interval: Some(self.commit_interval),
            fetch: FetchConfig {
                max_queued_bytes: self.max_queued_bytes,
                fetch_message_max_bytes: self.fetch_message_max_bytes,
                fetch_message_max_bytes_cap: fetch
                    .fetch_message_max_bytes_cap
                    .max(self.fetch_message_max_bytes),
                ..fetch
            },
            ..ConsumerConfig::default()
        })
    }
}

/// Who talks to the brokers.
#[derive(Args, Clone, Debug)]
pub(crate) struct BackendOptions {
    /// Talk to the brokers through librdkafka, in a build that has it.
    #[arg(long)]
    pub(crate) use_rdkafka: bool,

    /// Set a property of librdkafka; may be given several times. Those that would break a guarantee are refused.
    #[arg(long = "rdkafka-property", value_name = "NAME=VALUE", requires = "use_rdkafka", value_parser = property)]
    rdkafka_properties: Vec<(String, String)>,
}

impl BackendOptions {
    /// The same configuration with what was chosen here. Refuses what this build lacks.
    pub(crate) fn apply(&self, config: ConsumerConfig) -> Result<ConsumerConfig> {
        self.check()?;
        Ok(ConsumerConfig {
            use_rdkafka: self.use_rdkafka,
            rdkafka_properties: self.rdkafka_properties.clone(),
            ..config
        })
    }

    /// As [`BackendOptions::apply`], for a producer.
    pub(crate) fn apply_to_producer(&self, config: ProducerConfig) -> Result<ProducerConfig> {
        self.check()?;
        Ok(ProducerConfig {
            use_rdkafka: self.use_rdkafka,
            rdkafka_properties: self.rdkafka_properties.clone(),
            ..config
        })
    }

    fn check(&self) -> Result<()> {
        match self.use_rdkafka && cfg!(not(feature = "rdkafka")) {
            true => Err(no_rdkafka("--use-rdkafka")),
            false => Ok(()),
        }
    }
}

/// What to tell who asks a build without librdkafka for it.
pub(crate) fn no_rdkafka(option: &str) -> anyhow::Error {
    usage(format!(
        "{option}: this divvy was built without librdkafka; build one with `cargo build --release -p divvy-cli --features rdkafka`"
    ))
}

fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// Where offsets are kept.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Storage {
    /// In ZooKeeper.
    Zookeeper,
    /// In Kafka's own topic.
    Kafka,
    /// In both.
    Dual,
}

impl From<Storage> for OffsetStorage {
    fn from(storage: Storage) -> Self {
        match storage {
            Storage::Zookeeper => Self::ZooKeeper,
            Storage::Kafka => Self::Kafka,
            Storage::Dual => Self::Dual,
        }
    }
}

/// Where reading begins without a stored offset.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Reset {
    /// At the first message.
    Earliest,
    /// At the end.
    Latest,
    /// Nowhere: it is an error.
    Error,
}

impl From<Reset> for OffsetReset {
    fn from(reset: Reset) -> Self {
        match reset {
            Reset::Earliest => Self::Earliest,
            Reset::Latest => Self::Latest,
            Reset::Error => Self::Error,
        }
    }
}

/// Reads `500ms`, `6s`, `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let read = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write a time like 500ms, 6s or 2m"))?;
    if read.is_zero() {
        return Err("must be longer than zero".to_owned());
    }
    Ok(read)
}

fn mapping(text: &str) -> Result<(HostPort, HostPort), String> {
    let (named, reached) = text.split_once('=').ok_or(
        "write HOST:PORT=HOST:PORT: what the broker calls itself, and where it is reached",
    )?;
    Ok((named.parse()?, reached.parse()?))
}

fn broker_version(text: &str) -> Result<BrokerVersionSetting, String> {
    if text == "auto" {
        return Ok(BrokerVersionSetting::Auto);
    }
    let version: BrokerVersion = text
        .parse()
        .map_err(|error| format!("{error}; write auto, or a version like 0.8.2"))?;
    Ok(BrokerVersionSetting::Fixed(version))
}
