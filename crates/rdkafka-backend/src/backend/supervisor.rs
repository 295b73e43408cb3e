//! What the backend does on the client's runtime: finding out what the brokers speak, and telling the thread of room.

use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;

use divvy_client::{Backoff, Client, Error, Result};
use divvy_protocol::ApiKey;

use super::config::Cluster;
use super::poller::{Command, Shared};

/// librdkafka's names for the lines whose brokers must not be asked for what they speak.
const LINE_0_8_2: &str = "0.8.2.2";
const LINE_0_9: &str = "0.9.0.1";

/// Runs until it is aborted.
pub(super) async fn run(client: Client, shared: Shared, commands: Sender<Command>) {
    let config = client.config();
    let mut backoff = Backoff::new(config.backoff, config.backoff_max);
    let cluster = loop {
        match find(&client).await {
            Ok(cluster) => break cluster,
            Err(error) => {
                let pause = backoff.fail();
                tracing::warn!(%error, ?pause, "what the brokers speak cannot be found out, trying again");
                tokio::time::sleep(pause).await;
            }
        }
    };
    tracing::debug!(?cluster, "librdkafka fetches");
    // It fails only if the thread has ended.
    let _ = commands.send(Command::Cluster(cluster));
    shared.waker.wake();
    loop {
        // Watched from before the look, so that nothing is missed in between.
        let demand = shared.prefetch.demand().notified();
        tokio::pin!(demand);
        demand.as_mut().enable();
        if shared.starved.load(Ordering::Relaxed) {
            shared.waker.wake();
        }
        demand.await;
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
