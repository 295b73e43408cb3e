use std::sync::Arc;
use std::time::Duration;

use divvy_protocol::api::Request;
use divvy_protocol::{ApiVersionTable, BrokerVersion};
use divvy_zookeeper::documents;
use divvy_zookeeper::{ZooKeeper, paths};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::Instrument;

use crate::address::HostPort;
use crate::backoff::Backoff;
use crate::config::{BrokerVersionSetting, ClientConfig};
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::metrics;
use crate::negotiate::{self, Hint};
use crate::transport;

/// How long a negotiated legacy line is believed for further connections to the same address. It spares 0.8.2 brokers a stack
/// trace in their log for each connection; a broker upgraded meanwhile still understands the older requests.
const LEGACY_LINE_VALID: Duration = Duration::from_secs(300);

/// How long a broker's registration is waited for; the broker itself can be asked as well.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(1);

/// One broker of the cluster: its address, and the control connection that metadata, offsets and produce requests share.
///
/// The connection is made when it is first needed and made again, with growing pauses, when it has ended.
#[derive(Debug)]
pub struct Broker {
    address: HostPort,
    id: Option<i32>,
    config: Arc<ClientConfig>,
    /// The ZooKeeper in which the broker is registered, where the cluster was found through one.
    registry: Option<ZooKeeper>,
    runtime: tokio::runtime::Handle,
    control: Mutex<Control>,
    legacy_line: Mutex<Option<(BrokerVersion, Instant)>>,
}

#[derive(Debug)]
struct Control {
    connection: Option<Connection>,
    backoff: Backoff,
    /// The last failure and when the next attempt may be made.
    failed: Option<(Error, Instant)>,
}

impl Broker {
    pub(crate) fn new(
        address: HostPort,
        id: Option<i32>,
        config: Arc<ClientConfig>,
        registry: Option<ZooKeeper>,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        let backoff = Backoff::new(config.backoff, config.backoff_max);
        Self {
            address,
            id,
            config,
            registry,
            runtime,
            control: Mutex::new(Control {
                connection: None,
                backoff,
                failed: None,
            }),
            legacy_line: Mutex::new(None),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> &HostPort {
        &self.address
    }

    /// Its `broker.id`, or `None` for a bootstrap server whose id is not known yet.
    pub fn id(&self) -> Option<i32> {
        self.id
    }

    /// Sends a request over the control connection, in the highest version that both sides know, and waits for the answer.
    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Response> {
        self.call_within(request, self.config.request_timeout).await
    }

    /// [`Broker::call`] with another deadline for the answer.
    pub async fn call_within<R: Request>(
        &self,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response> {
        self.control().await?.call(request, timeout).await
    }

    /// [`Broker::call`] in one given version, which must be known to be understood.
    pub(crate) async fn call_version<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<R::Response> {
        self.control()
            .await?
            .call_version(request, version, timeout)
            .await
    }

    /// Which versions were negotiated on the control connection.
    pub async fn versions(&self) -> Result<ApiVersionTable> {
        Ok(self.control().await?.versions())
    }

    /// The control connection, made anew where it has ended.
    pub(crate) async fn control(&self) -> Result<Connection> {
        let mut control = self.control.lock().await;
        if let Some(connection) = &control.connection {
            if !connection.is_closed() {
                return Ok(connection.clone());
            }
            control.connection = None;
        }
        if let Some((error, retry_at)) = &control.failed
            && *retry_at > Instant::now()
        {
            return Err(error.clone());
        }
        match self.connect().await {
            Ok(connection) => {
                control.failed = None;
                control.backoff.succeed();
                control.connection = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                let pause = control.backoff.fail();
                control.failed = Some((error.clone(), Instant::now() + pause));
                Err(error)
            }
        }
    }

    /// A connection of its own, with its versions negotiated, for whoever must not wait behind others.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        let connection = self.open().await?;
        let hint = self.hint().await;
        let timeout = self.config.connect_timeout;
        let found = negotiate::versions(&connection, hint, timeout, || self.open()).await?;
        if let Some(line) = found.line {
            *self.legacy_line.lock().await = Some((line, Instant::now()));
        }
        tracing::debug!(broker = %self.address, id = self.id, line = ?found.line, "connected");
        connection.set_versions(found.versions);
        Ok(connection)
    }

    async fn hint(&self) -> Hint {
        if let BrokerVersionSetting::Fixed(line) = self.config.broker_version {
            return Hint::Line(line);
        }
        if let Some(version) = self.registered_version().await {
            return Hint::from_registration(version);
        }
        match *self.legacy_line.lock().await {
            Some((line, at)) if at.elapsed() < LEGACY_LINE_VALID => Hint::Line(line),
            _ => Hint::Unknown,
        }
    }

    /// The version of the broker's document in ZooKeeper. Asked for at each connect, because a rolling upgrade changes it; where
    /// ZooKeeper does not answer, the broker itself is asked.
    async fn registered_version(&self) -> Option<i32> {
        let (zookeeper, id) = (self.registry.as_ref()?, self.id?);
        let read = async { zookeeper.session().await?.get(&paths::broker_id(id)).await };
        match tokio::time::timeout(REGISTRY_TIMEOUT, read).await {
            Ok(Ok(node)) => {
                let broker = documents::Broker::parse(id, &node?.data).ok()?;
                Some(broker.version)
            }
            Ok(Err(error)) => {
                tracing::debug!(id, %error, "the broker's registration cannot be read");
                None
            }
            Err(_) => None,
        }
    }

    /// Connects, before anything is known of the other side.
    async fn open(&self) -> Result<Connection> {
        let config = &self.config;
        let mapped = config.map_brokers.get(&self.address);
        let address = mapped.unwrap_or(&self.address);
        let stream = transport::connect(address, config.security, config.connect_timeout)
            .await
            .inspect_err(|_| metrics::not_connected(&self.address.to_string()))
            .map_err(|source| Error::Connect {
                broker: match mapped {
                    Some(address) => format!("{} (mapped to {address})", self.address),
                    None => self.address.to_string(),
                },
                source: Arc::new(source),
            })?;
        let (connection, driver) = Connection::new(
            stream,
            self.address.to_string(),
            config.client_id.clone(),
            ApiVersionTable::for_broker(BrokerVersion::V0_8_2),
            config.max_response_bytes,
        );
        let span = tracing::debug_span!("connection", broker = %self.address);
        self.runtime.spawn(driver.instrument(span));
        Ok(connection)
    }
}
