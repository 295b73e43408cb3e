//! The embedded cluster in the place of JVMs.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use divvy_embedded_cluster::server::{EmbeddedCluster, Error, Faults, Release};
use tokio::runtime::{self, Runtime};

use super::node::Body;
use super::{ClusterBuilder, Node};
use crate::KafkaVersion;
use crate::ports::PortLease;
use crate::proxy::Proxy;
use crate::wait_for;

/// How long the session of a broker that was killed may outlast it, on a machine that is busy with other tests.
const SESSION_PATIENCE: Duration = Duration::from_secs(60);
/// As that of the JVMs.
const BROKER_SESSION: Duration = Duration::from_secs(4);

/// A cluster in this process, on threads of its own.
#[derive(Debug)]
pub(super) struct Embedded {
    /// None once this is dropped.
    runtime: Option<Runtime>,
    /// None once this is dropped.
    cluster: Mutex<Option<EmbeddedCluster>>,
}

impl Embedded {
    /// Starts a cluster as described, as far as an embedded one can be so.
    pub(super) fn start(layout: &ClusterBuilder) -> Result<(Arc<Embedded>, [Vec<Node>; 2])> {
        layout.suits_embedded()?;
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let zookeeper = PortLease::new()?;
        let brokers = (0..layout.brokers).map(|_| PortLease::new());
        let brokers: Vec<PortLease> = brokers.collect::<Result<_>>()?;
        let mut builder = EmbeddedCluster::builder()
            .brokers(0)
            .kafka(match layout.version {
                KafkaVersion::Embedded0_9 => Release::V0_9,
                _ => Release::V0_8_2,
            })
            .tick(Duration::from_millis(layout.tick_ms.into()))
            .broker_session_timeout(BROKER_SESSION)
            .zookeeper_port(zookeeper.port());
        let mut proxies = Vec::new();
        for (id, lease) in (0..).zip(&brokers) {
            builder = builder.broker(id, lease.port());
            let is_hidden = layout.brokers_behind_proxies;
            let proxy = is_hidden.then(|| Proxy::start(lease.address()));
            let proxy = proxy.transpose()?;
            if let Some(proxy) = &proxy {
                builder = builder.advertised_port(id, proxy.address().port());
            }
            proxies.push(proxy);
        }
        if let Some(partitions) = layout.auto_created_partitions()? {
            builder = builder.auto_create_topics(partitions, 1);
        }
        if let Some(time) = layout.connections_max_idle()? {
            builder = builder.connections_max_idle(time);
        }
        let cluster = on_a_thread(|| Ok(runtime.block_on(builder.start())?))?;
        let embedded = Arc::new(Embedded {
            runtime: Some(runtime),
            cluster: Mutex::new(Some(cluster)),
        });
        let node = |which, port, proxy| Node {
            proxy,
            body: Body::Embedded(Part {
                embedded: Arc::clone(&embedded),
                which,
                port,
                runs: Mutex::new(true),
            }),
        };
        let zookeepers = vec![node(Which::ZooKeeper, zookeeper, None)];
        let brokers = (0..).zip(brokers.into_iter().zip(proxies));
        let brokers = brokers.map(|(id, (lease, proxy))| node(Which::Broker(id), lease, proxy));
        let brokers = brokers.collect();
        Ok((embedded, [zookeepers, brokers]))
    }

    /// Does something with the cluster, also where the caller is a task, which must not wait for others.
    pub(super) fn act<T: Send>(
        &self,
        act: impl AsyncFnOnce(&mut EmbeddedCluster) -> Result<T, Error> + Send,
    ) -> Result<T> {
        let runtime = self.runtime.as_ref().context("the cluster is gone")?;
        on_a_thread(|| {
            let mut cluster = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
            let cluster = cluster.as_mut().context("the cluster is gone")?;
            Ok(runtime.block_on(act(cluster))?)
        })
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // What it ran ends with it, and nobody waits: this may be a task.
            runtime.shutdown_background();
        }
    }
}

fn on_a_thread<T: Send>(act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| scope.spawn(act).join())
        .map_err(|_| anyhow!("the embedded cluster panicked"))?
}

/// A server of an embedded cluster.
#[derive(Debug)]
pub(super) struct Part {
    embedded: Arc<Embedded>,
    which: Which,
    port: PortLease,
    runs: Mutex<bool>,
}

#[derive(Clone, Copy, Debug)]
enum Which {
    ZooKeeper,
    Broker(i32),
}

impl Part {
    pub(super) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    pub(super) fn is_running(&self) -> bool {
        *self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_running(&self, runs: bool) {
        *self.runs.lock().unwrap_or_else(PoisonError::into_inner) = runs;
    }

    /// As a JVM, a broker waits for the end of its earlier registration.
    pub(super) fn start(&self) -> Result<()> {
        ensure!(!self.is_running(), "{self} runs already");
        let which = self.which;
        if let Which::Broker(id) = which {
            let is_registered = || {
                let registered = self
                    .embedded
                    .act(async |cluster| Ok(cluster.is_registered(id)));
                registered.unwrap_or(true)
            };
            let what = format!("the old registration of {self} to end");
            wait_for(SESSION_PATIENCE, &what, || !is_registered())?;
        }
        self.embedded.act(async |cluster| match which {
            Which::ZooKeeper => cluster.restart_zookeeper().await,
            Which::Broker(id) => cluster.restart_broker(id).await,
        })?;
        self.set_running(true);
        Ok(())
    }

    pub(super) fn kill(&self) {
        let which = self.which;
        // Without the cluster it is dead already.
        let _ = self.embedded.act(async |cluster| match which {
            Which::ZooKeeper => {
                cluster.stop_zookeeper().await;
                Ok(())
            }
            Which::Broker(id) => cluster.kill_broker(id).await,
        });
        self.set_running(false);
    }

    pub(super) fn term(&self) -> Result<()> {
        let which = self.which;
        ensure!(self.is_running(), "{self} does not run");
        self.embedded.act(async |cluster| match which {
            Which::ZooKeeper => {
                cluster.stop_zookeeper().await;
                Ok(())
            }
            Which::Broker(id) => cluster.stop_broker(id).await,
        })?;
        self.set_running(false);
        Ok(())
    }

    /// Stands still, or goes on.
    pub(super) fn freeze(&self, freeze: bool) -> Result<()> {
        self.set_faults(Faults {
            freeze,
            ..Faults::default()
        })
    }

    /// Answers so much later.
    pub(super) fn delay(&self, delay: Duration) -> Result<()> {
        self.set_faults(Faults {
            delay,
            ..Faults::default()
        })
    }

    fn set_faults(&self, faults: Faults) -> Result<()> {
        let which = self.which;
        ensure!(self.is_running(), "{self} does not run");
        self.embedded.act(async |cluster| match which {
            Which::ZooKeeper => {
                cluster.zookeeper().set_faults(faults);
                Ok(())
            }
            Which::Broker(id) => cluster.set_faults(id, faults),
        })
    }
}

impl Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.which {
            Which::ZooKeeper => write!(f, "embedded ZooKeeper at {}", self.address()),
            Which::Broker(id) => write!(f, "embedded broker {id} at {}", self.address()),
        }
    }
}
