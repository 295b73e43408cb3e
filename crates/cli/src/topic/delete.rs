use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use divvy::protocol::ApiKey;
use divvy::protocol::api::DeleteTopicsRequest;
use divvy::zookeeper::paths;
use divvy::{Client, ClientError, ErrorCode, ZooKeeper};

use super::{Name, SESSION_TIMEOUT, controller};
use crate::errors::usage;
use crate::options::ClusterOptions;

/// How long a topic may take to go.
const DELETED_WITHIN: Duration = Duration::from_secs(20);

/// Delete a topic and wait until it is gone. Brokers before 0.10.1 are told through ZooKeeper.
///
/// Brokers delete topics where their delete.topic.enable is true, which it is not by default before 1.0. Offsets that groups have
/// stored stay.
#[derive(Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    cluster: ClusterOptions,
    #[command(flatten)]
    topic: Name,
}

pub(crate) async fn run(args: Delete) -> Result<()> {
    let topic = args.topic.as_str();
    paths::validate_topic(topic).map_err(|error| usage(error.to_string()))?;
    if topic.starts_with("__") {
        return Err(usage(format!(
            "topic `{topic}` is Kafka's own and is not deleted"
        )));
    }
    let client = args.cluster.connect(SESSION_TIMEOUT).await?;
    if !is_there(&client, topic).await? {
        let topic = topic.to_owned();
        return Err(ClientError::UnknownTopic { topic }.into());
    }
    match &client.config().zookeeper {
        Some(zookeeper) => mark(zookeeper, topic).await?,
        None => ask(&client, topic).await?,
    }
    wait_until_gone(&client, topic).await
}

async fn is_there(client: &Client, topic: &str) -> Result<bool> {
    Ok(client.list_topics().await?.topics.contains_key(topic))
}

/// Tells the controller through ZooKeeper. A topic that is marked already is only waited for.
async fn mark(zookeeper: &ZooKeeper, topic: &str) -> Result<()> {
    let session = zookeeper.session().await?;
    session.delete_topic(topic).await?;
    Ok(())
}

async fn ask(client: &Client, topic: &str) -> Result<()> {
    let broker = controller(client).await?;
    let versions = broker.versions().await?;
    if versions.choose(ApiKey::DeleteTopics).is_none() {
        return Err(usage(
            "these brokers cannot be asked to delete topics (that came with 0.10.1): give --zookeeper HOST:PORT, where they look for it",
        ));
    }
    let request = DeleteTopicsRequest {
        topics: vec![topic.to_owned()],
        timeout_ms: 15_000,
    };
    let response = broker.call(&request).await?;
    let deleted = response.topics.into_iter().next();
    let deleted = deleted.context("the broker's answer names no topic")?;
    match deleted.error {
        ErrorCode::NONE => Ok(()),
        code => bail!(
            "topic `{topic}` cannot be deleted: {code}: {}",
            code.description()
        ),
    }
}

async fn wait_until_gone(client: &Client, topic: &str) -> Result<()> {
    let deadline = Instant::now() + DELETED_WITHIN;
    while is_there(client, topic).await? {
        if Instant::now() >= deadline {
            bail!(
                "topic `{topic}` is marked for deletion and still there after {DELETED_WITHIN:?}: brokers delete topics only where delete.topic.enable is true, and while all that hold them run"
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
