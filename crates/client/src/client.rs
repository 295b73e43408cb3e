use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use divvy_protocol::ApiKey;
use divvy_protocol::api::{MetadataRequest, MetadataResponse};
use divvy_zookeeper::ZooKeeper;
use rand::seq::SliceRandom;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::address::HostPort;
use crate::broker::Broker;
use crate::config::ClientConfig;
use crate::error::{Error, Result};
use crate::metadata::Metadata;
use crate::sync::lock;

/// How long a broker that names no broker at all, itself included, is taken to be just starting.
const STARTING: Duration = Duration::from_secs(2);

/// A cluster: its metadata, and one control connection to each of its brokers.
///
/// Cheap to clone; consumers and producers that were given clones share connections and metadata. Its tasks run on the runtime on
/// which [`Client::connect`] was called and end when the last clone is dropped.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<ClientConfig>,
    seeds: Seeds,
    runtime: tokio::runtime::Handle,
    metadata: watch::Sender<Arc<Metadata>>,
    /// Topics that somebody uses: newer brokers are asked for these alone.
    topics: Mutex<BTreeSet<String>>,
    brokers: Mutex<BTreeMap<i32, Arc<Broker>>>,
    /// Brokers known by address alone, until metadata names them.
    by_address: Mutex<BTreeMap<HostPort, Arc<Broker>>>,
    /// When the last successful refresh began. The lock is held during a refresh, so that one serves all who wait for it.
    refreshed: tokio::sync::Mutex<Option<Instant>>,
}

/// Where the first brokers come from.
enum Seeds {
    Bootstrap(Vec<HostPort>),
    ZooKeeper(ZooKeeper),
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to a cluster: reads its metadata from the first broker that answers.
    ///
    /// # Errors
    ///
    /// A configuration error at once; [`Error::NoBroker`] with every address and reason, or ZooKeeper's error, within
    /// [`ClientConfig::bootstrap_timeout`].
    pub async fn connect(config: ClientConfig) -> Result<Self> {
        config.validate()?;
        let addresses = config.bootstrap_addresses()?;
        let seeds = match &config.zookeeper {
            Some(zookeeper) if addresses.is_empty() => Seeds::ZooKeeper(zookeeper.clone()),
            _ => Seeds::Bootstrap(addresses),
        };
        let client = Self {
            inner: Arc::new(Inner {
                seeds,
                runtime: tokio::runtime::Handle::current(),
                metadata: watch::Sender::new(Arc::default()),
                topics: Mutex::default(),
                brokers: Mutex::default(),
                by_address: Mutex::default(),
                refreshed: tokio::sync::Mutex::new(None),
                config: Arc::new(config),
            }),
        };
        client.first_contact().await?;
        client
            .inner
            .runtime
            .spawn(refresh_while_used(Arc::downgrade(&client.inner)));
        Ok(client)
    }

    /// Tries until a broker answers or [`ClientConfig::bootstrap_timeout`] has passed: the brokers of a cluster that is just
    /// starting are not registered yet.
    async fn first_contact(&self) -> Result<()> {
        let deadline = Instant::now() + self.inner.config.bootstrap_timeout;
        loop {
            let error = match timeout_at(deadline, self.refresh()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error @ Error::NoBrokerRegistered { .. })) => error,
                Ok(Err(error)) => return Err(error),
                Err(_) => Error::NoBroker {
                    tried: format!(
                        "{} (no answer within {:?})",
                        self.describe_seeds(),
                        self.inner.config.bootstrap_timeout
                    ),
                },
            };
            if Instant::now() + self.inner.config.backoff >= deadline {
                return Err(error);
            }
            tokio::time::sleep(self.inner.config.backoff).await;
        }
    }

    fn describe_seeds(&self) -> String {
        match &self.inner.seeds {
            Seeds::Bootstrap(addresses) => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                addresses.join(", ")
            }
            Seeds::ZooKeeper(zookeeper) => {
                format!(
                    "the brokers registered in ZooKeeper at {}",
                    zookeeper.config().connect
                )
            }
        }
    }

    /// The configuration.
    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// The runtime on which the client's connections live.
    pub fn runtime(&self) -> &tokio::runtime::Handle {
        &self.inner.runtime
    }

    /// What is known of the cluster now.
    pub fn metadata(&self) -> Arc<Metadata> {
        self.inner.metadata.borrow().clone()
    }

    /// Sees each change of the metadata.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Metadata>> {
        self.inner.metadata.subscribe()
    }

    /// Names topics that will be used, and makes sure that the metadata knows them.
    ///
    /// A topic that does not exist is never created by asking.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTopic`] for the first that does not exist, or why nobody could be asked.
    pub async fn use_topics<S: AsRef<str>>(
        &self,
        topics: impl IntoIterator<Item = S>,
    ) -> Result<()> {
        let names: Vec<String> = topics
            .into_iter()
            .map(|topic| topic.as_ref().to_owned())
            .collect();
        lock(&self.inner.topics).extend(names.iter().cloned());
        let unknown = |metadata: &Metadata| {
            names
                .iter()
                .find(|name| metadata.partitions(name).is_none())
                .cloned()
        };
        let deadline = Instant::now() + STARTING;
        while unknown(&self.metadata()).is_some() {
            self.refresh().await?;
            // A broker that was just started knows neither brokers nor topics before the controller has told it.
            if !self.metadata().brokers.is_empty() || Instant::now() >= deadline {
                break;
            }
            tokio::time::sleep(self.inner.config.backoff).await;
        }
        let Some(topic) = unknown(&self.metadata()) else {
            return Ok(());
        };
        lock(&self.inner.topics).remove(&topic);
        Err(Error::UnknownTopic { topic })
    }

    /// Every topic of the cluster with its partitions, asked for now.
    pub async fn list_topics(&self) -> Result<Metadata> {
        let (_, response) = self.ask_any_broker(None).await?;
        Ok(Metadata::from_response(response))
    }

    /// Asks for the metadata again. Calls that come while one runs share its answer, unless that began before the call.
    pub async fn refresh(&self) -> Result<()> {
        let asked_at = Instant::now();
        let mut refreshed = self.inner.refreshed.lock().await;
        if refreshed.is_some_and(|began| began >= asked_at) {
            return Ok(());
        }
        let began = Instant::now();
        let used: Vec<String> = lock(&self.inner.topics).iter().cloned().collect();
        let (answered_by, response) = self.ask_any_broker(Some(used)).await?;
        self.adopt(Metadata::from_response(response), &answered_by);
        *refreshed = Some(began);
        Ok(())
    }

    /// The broker with this `broker.id`.
    pub fn broker(&self, id: i32) -> Result<Arc<Broker>> {
        lock(&self.inner.brokers)
            .get(&id)
            .cloned()
            .ok_or_else(|| Error::NoBroker {
                tried: format!("broker {id} (not in the cluster's metadata)"),
            })
    }

    /// The brokers of the cluster, in random order.
    pub fn brokers(&self) -> Vec<Arc<Broker>> {
        let mut brokers: Vec<_> = lock(&self.inner.brokers).values().cloned().collect();
        brokers.shuffle(&mut rand::rng());
        brokers
    }

    /// Asks the known brokers in random order, and then the seeds, until one has answered.
    async fn ask_any_broker(
        &self,
        topics: Option<Vec<String>>,
    ) -> Result<(Arc<Broker>, MetadataResponse)> {
        let mut failures = Vec::new();
        let mut asked = BTreeSet::new();
        let known = self.brokers();
        for round in [Ok(known), self.seeds().await] {
            let brokers = match round {
                Ok(brokers) => brokers,
                Err(error) if failures.is_empty() => return Err(error),
                Err(error) => {
                    failures.push((String::new(), error));
                    break;
                }
            };
            for broker in brokers {
                if !asked.insert(broker.address().clone()) {
                    continue;
                }
                match self.ask(&broker, topics.as_deref()).await {
                    Ok(response) => return Ok((broker, response)),
                    Err(error) => failures.push((broker.address().to_string(), error)),
                }
            }
        }
        Err(no_broker(failures))
    }

    /// Asks one broker. Old brokers are asked for all topics, because they would create one that is asked for by name.
    async fn ask(&self, broker: &Broker, topics: Option<&[String]>) -> Result<MetadataResponse> {
        let config = &self.inner.config;
        let within = config.request_timeout.min(config.connect_timeout);
        let attempt = async {
            let connection = broker.control().await?;
            let version = connection.version(ApiKey::Metadata)?;
            let request = MetadataRequest {
                topics: match topics {
                    Some(topics) if version >= 4 => Some(topics.to_vec()),
                    _ if version == 0 => Some(Vec::new()),
                    _ => None,
                },
                allow_auto_topic_creation: false,
            };
            connection.call_version(&request, version, within).await
        };
        let response = timeout(within, attempt).await.unwrap_or_else(|_| {
            Err(Error::Timeout {
                broker: broker.address().to_string(),
                request: ApiKey::Metadata.name(),
                after: within,
            })
        })?;
        Ok(response)
    }

    /// The brokers that were there to begin with: those that the configuration names, or those that are registered in ZooKeeper.
    /// [`Client::brokers`] is empty where brokers of 0.8.2 know of no topic yet: they do not even name themselves then.
    ///
    /// # Errors
    /// ZooKeeper's.
    pub async fn seeds(&self) -> Result<Vec<Arc<Broker>>> {
        let addresses = match &self.inner.seeds {
            Seeds::Bootstrap(addresses) => addresses.iter().map(|a| (None, a.clone())).collect(),
            Seeds::ZooKeeper(zookeeper) => self.registered(zookeeper).await?,
        };
        let mut known = lock(&self.inner.by_address);
        Ok(addresses
            .into_iter()
            .map(|(id, address)| {
                let make = || Arc::new(self.new_broker(address.clone(), id));
                Arc::clone(known.entry(address.clone()).or_insert_with(make))
            })
            .collect())
    }

    async fn registered(&self, zookeeper: &ZooKeeper) -> Result<Vec<(Option<i32>, HostPort)>> {
        let session = zookeeper.session().await?;
        let brokers = session.brokers().await?;
        let addresses: Vec<_> = brokers
            .into_iter()
            .filter_map(|broker| {
                let endpoint = broker.plaintext()?;
                let address = HostPort::new(endpoint.host.as_str(), endpoint.port);
                Some((Some(broker.id), address))
            })
            .collect();
        if addresses.is_empty() {
            return Err(Error::NoBrokerRegistered {
                zookeeper: zookeeper.config().connect.clone(),
            });
        }
        Ok(addresses)
    }

    fn new_broker(&self, address: HostPort, id: Option<i32>) -> Broker {
        let registry = match &self.inner.seeds {
            Seeds::ZooKeeper(zookeeper) => Some(zookeeper.clone()),
            Seeds::Bootstrap(_) => None,
        };
        let config = Arc::clone(&self.inner.config);
        Broker::new(address, id, config, registry, self.inner.runtime.clone())
    }

    /// Takes new metadata over: brokers keep their connections as long as id and address stay the same.
    ///
    /// An 0.8.2 cluster names no broker before it has its first topic, so that an empty list says nothing of those known.
    fn adopt(&self, mut metadata: Metadata, answered_by: &Arc<Broker>) {
        if metadata.brokers.is_empty() {
            metadata.brokers.clone_from(&self.metadata().brokers);
        }
        let mut brokers = lock(&self.inner.brokers);
        brokers.retain(|id, broker| metadata.brokers.get(id) == Some(broker.address()));
        for (id, address) in &metadata.brokers {
            brokers.entry(*id).or_insert_with(|| {
                if answered_by.address() == address
                    && answered_by.id().is_none_or(|known| known == *id)
                {
                    // The connection to a bootstrap server goes on as that to the broker that it turned out to be.
                    Arc::clone(answered_by)
                } else {
                    Arc::new(self.new_broker(address.clone(), Some(*id)))
                }
            });
        }
        drop(brokers);
        self.inner.metadata.send_if_modified(|current| {
            let changed = **current != metadata;
            if changed {
                *current = Arc::new(metadata);
            }
            changed
        });
    }
}

fn no_broker(failures: Vec<(String, Error)>) -> Error {
    // One broker whose trouble is not a connection's says more than a list.
    if let [(_, error @ (Error::Peer { .. } | Error::Broker { .. } | Error::Unsupported { .. }))] =
        failures.as_slice()
    {
        return error.clone();
    }
    let tried: Vec<String> = failures
        .into_iter()
        .map(|(address, error)| match error {
            Error::Connect { source, .. } => format!("{address} ({})", plain_reason(&source)),
            other => format!("{address} ({other})"),
        })
        .collect();
    Error::NoBroker {
        tried: tried.join(", "),
    }
}

/// The system's words without its error number.
fn plain_reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => error.to_string(),
    }
}

/// Asks again when the metadata has grown old, for as long as anybody holds the client.
async fn refresh_while_used(inner: std::sync::Weak<Inner>) {
    loop {
        let Some(age) = inner.upgrade().map(|inner| inner.config.metadata_max_age) else {
            return;
        };
        tokio::time::sleep(age).await;
        let Some(inner) = inner.upgrade() else {
            return;
        };
        let client = Client { inner };
        if let Err(error) = client.refresh().await {
            tracing::warn!(%error, "the cluster's metadata cannot be refreshed");
        }
    }
}
