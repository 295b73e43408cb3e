use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use divvy::protocol::ApiKey;
use divvy::protocol::api::{CreateTopic, CreateTopicsRequest};
use divvy::zookeeper::CreatePersistent;
use divvy::zookeeper::documents::TopicAssignment;
use divvy::{Client, ErrorCode, TopicPartition};

use super::{Name, SESSION_TIMEOUT, controller};
use crate::errors::usage;
use crate::options::ClusterOptions;

/// How long a new topic may take to get its leaders.
const CREATED_WITHIN: Duration = Duration::from_secs(20);

/// Create a topic and wait until it can be used. Brokers before 0.10.1 are told through ZooKeeper.
#[derive(Args)]
pub(crate) struct Create {
    #[command(flatten)]
    cluster: ClusterOptions,
    /// How many partitions.
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=100_000))]
    partitions: i32,
    /// On how many brokers each is kept.
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i16).range(1..=1000))]
    replication_factor: i16,
    /// Do nothing where the topic exists already.
    #[arg(long)]
    if_not_exists: bool,
    #[command(flatten)]
    topic: Name,
}

pub(crate) async fn run(args: Create) -> Result<()> {
    let topic = args.topic.as_str();
    divvy::zookeeper::paths::validate_topic(topic).map_err(|error| usage(error.to_string()))?;
    let client = args.cluster.connect(SESSION_TIMEOUT).await?;
    let existed = match &client.config().zookeeper {
        Some(_) => create_in_zookeeper(&client, &args).await?,
        None => create_through_broker(&client, &args).await?,
    };
    if existed && !args.if_not_exists {
        bail!("topic `{topic}` exists already");
    }
    // How many partitions a topic has that was there before is not for this command to say.
    let partitions = if existed { 1 } else { args.partitions };
    wait_for_leaders(&client, topic, partitions).await
}

/// Gives whether the topic existed.
async fn create_in_zookeeper(client: &Client, args: &Create) -> Result<bool> {
    let Some(zookeeper) = &client.config().zookeeper else {
        return Err(usage(
            "a topic is created through ZooKeeper: give --zookeeper HOST:PORT",
        ));
    };
    let session = zookeeper.session().await?;
    if session.topic(args.topic.as_str()).await?.is_some() {
        return Ok(true);
    }
    let brokers: Vec<i32> = session
        .brokers()
        .await?
        .iter()
        .map(|broker| broker.id)
        .collect();
    let (start, shift) = (rand_place(), rand_place());
    let assignment = TopicAssignment::deal(
        &brokers,
        usize::try_from(args.partitions)?,
        usize::try_from(args.replication_factor)?,
        start,
        shift,
    )
    .with_context(|| format!("topic `{}` cannot be created", args.topic.as_str()))?;
    Ok(session
        .create_topic(args.topic.as_str(), &assignment)
        .await?
        == CreatePersistent::Exists)
}

/// A place to begin dealing partitions out to brokers; any will do that differs from topic to topic.
fn rand_place() -> usize {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.subsec_nanos() as usize / 1000)
}

async fn create_through_broker(client: &Client, args: &Create) -> Result<bool> {
    let broker = controller(client).await?;
    if broker
        .versions()
        .await?
        .choose(ApiKey::CreateTopics)
        .is_none()
    {
        return Err(usage(
            "these brokers cannot be asked to create topics (that came with 0.10.1): give --zookeeper HOST:PORT, where they look for new ones",
        ));
    }
    let request = CreateTopicsRequest {
        topics: vec![CreateTopic {
            name: args.topic.as_str().to_owned(),
            num_partitions: args.partitions,
            replication_factor: args.replication_factor,
            ..CreateTopic::default()
        }],
        timeout_ms: 15_000,
        validate_only: false,
    };
    let response = broker.call(&request).await?;
    let created = response
        .topics
        .into_iter()
        .next()
        .context("the broker's answer names no topic")?;
    match created.error {
        ErrorCode::NONE => Ok(false),
        ErrorCode::TOPIC_ALREADY_EXISTS => Ok(true),
        code => bail!(
            "topic `{}` cannot be created: {code}: {}",
            args.topic.as_str(),
            created
                .message
                .unwrap_or_else(|| code.description().to_owned())
        ),
    }
}

async fn wait_for_leaders(client: &Client, topic: &str, partitions: i32) -> Result<()> {
    let deadline = Instant::now() + CREATED_WITHIN;
    loop {
        // Until it is known everywhere it counts as unknown.
        let known = client.use_topics([topic]).await.is_ok();
        client.refresh().await?;
        let metadata = client.metadata();
        let led =
            (0..partitions).all(|id| metadata.leader(&TopicPartition::new(topic, id)).is_some());
        if known && led {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!(
                "topic `{topic}` was created, but not every partition has a leader after {CREATED_WITHIN:?}; see the controller's log"
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
