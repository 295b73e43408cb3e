//! What librdkafka has to be told of a cluster.

use divvy_client::{Backoff, Client, Error, Result};
use divvy_protocol::ApiKey;

/// librdkafka's names for the lines whose brokers must not be asked for what they speak.
const LINE_0_8_2: &str = "0.8.2.2";
const LINE_0_9: &str = "0.9.0.1";

/// Where the brokers are, and what they speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// `host:port`, with commas between.
    pub(crate) servers: String,
    /// The oldest brokers' line as librdkafka names it, where there are brokers that must not be asked for what they speak.
    pub(crate) legacy: Option<&'static str>,
}

impl Cluster {
    /// Finds it out, however long that takes.
    pub(crate) async fn find(client: &Client) -> Self {
        let config = client.config();
        let mut backoff = Backoff::new(config.backoff, config.backoff_max);
        loop {
            match find(client).await {
                Ok(cluster) => return cluster,
                Err(error) => {
                    let pause = backoff.fail();
                    tracing::warn!(%error, ?pause, "what the brokers speak cannot be found out, trying again");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

/// Asks the brokers that can be reached: one that cannot is taken to be like the others.
async fn find(client: &Client) -> Result<Cluster> {
    let known = client.metadata();
    let servers: Vec<String> = match known.brokers.is_empty() {
        true => client.config().bootstrap.clone(),
        false => known.brokers.values().map(ToString::to_string).collect(),
    };
    let (mut legacy, mut asked, mut failure) = (None, 0, None);
    for broker in client.brokers() {
        match broker.versions().await {
            Ok(versions) => {
                asked += 1;
                if versions.range(ApiKey::ApiVersions).is_none() {
                    let line = match versions.range(ApiKey::ListGroups) {
                        Some(_) => LINE_0_9,
                        None => LINE_0_8_2,
                    };
                    legacy = Some(legacy.map_or(line, |other: &str| other.min(line)));
                }
            }
            Err(error) => failure = Some(error),
        }
    }
    match (asked, failure) {
        (0, Some(error)) => Err(error),
        (0, None) => Err(Error::NoBroker {
            tried: servers.join(", "),
        }),
        _ => Ok(Cluster {
            servers: servers.join(","),
            legacy,
        }),
    }
}
