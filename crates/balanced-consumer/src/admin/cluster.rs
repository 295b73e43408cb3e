//! Which brokers are registered, and which of those that are not answer all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use divvy_client::{Client, ClientConfig};
use divvy_simple_consumer::Result;

use super::GroupAdmin;

/// How long a broker that is only looked for may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// The brokers of a cluster, as ZooKeeper and they themselves see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterView {
    /// The ids below `/brokers/ids`.
    pub registered: BTreeSet<i32>,
    /// The brokers that answer although they are not registered, with their address.
    pub unregistered: BTreeMap<i32, String>,
}

impl GroupAdmin {
    /// Looks for brokers that answer and are not registered. Only those can be found that are asked: at `addresses`, `host:port`
    /// each, and at those that the brokers of the client's metadata name.
    ///
    /// # Errors
    /// ZooKeeper's. Brokers that do not answer are no error.
    pub async fn cluster(&self, addresses: &[String]) -> Result<ClusterView> {
        let session = self.session().await?;
        let brokers = session.brokers().await;
        let brokers = brokers.map_err(divvy_client::Error::from)?;
        let mut view = ClusterView {
            registered: brokers.iter().map(|broker| broker.id).collect(),
            unregistered: BTreeMap::new(),
        };
        let mut asked: BTreeSet<String> = addresses.iter().cloned().collect();
        if let Some(client) = &self.client {
            let metadata = client.metadata();
            asked.extend(metadata.brokers.values().map(ToString::to_string));
        }
        for address in asked {
            // Each is asked by itself: a broker that is cut off from ZooKeeper knows of itself, and the others do not know of it.
            let Ok(client) = Client::connect(self.asking(&address)).await else {
                continue;
            };
            let metadata = client.metadata();
            for (id, known_as) in &metadata.brokers {
                if view.registered.contains(id) || view.unregistered.contains_key(id) {
                    continue;
                }
                if answers(&client, *id).await {
                    view.unregistered.insert(*id, known_as.to_string());
                }
            }
        }
        Ok(view)
    }

    fn asking(&self, address: &str) -> ClientConfig {
        let usual = ClientConfig::bootstrap([address]);
        let config = match &self.client {
            Some(client) => ClientConfig {
                bootstrap: usual.bootstrap,
                zookeeper: None,
                ..client.config().clone()
            },
            None => usual,
        };
        ClientConfig {
            bootstrap_timeout: PATIENCE,
            connect_timeout: config.connect_timeout.min(PATIENCE),
            ..config
        }
    }
}

async fn answers(client: &Client, id: i32) -> bool {
    match client.broker(id) {
        Ok(broker) => broker.versions().await.is_ok(),
        Err(_) => false,
    }
}
