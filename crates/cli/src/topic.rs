use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use divvy::protocol::ApiKey;
use divvy::protocol::api::{CreateTopic, CreateTopicsRequest};
use divvy::zookeeper::CreatePersistent;
use divvy::zookeeper::documents::TopicAssignment;
use divvy::{Client, ErrorCode, Metadata, OffsetSpec, TopicPartition};
use serde_json::json;

use crate::errors::usage;
use crate::options::ClusterOptions;
use crate::table::{or_dash, print};

const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// How long a new topic may take to get its leaders.
const CREATED_WITHIN: Duration = Duration::from_secs(20);

/// List, describe or create topics.
#[derive(Subcommand)]
pub(crate) enum Topic {
    /// Print the names of all topics.
    List {
        #[command(flatten)]
        cluster: ClusterOptions,
        /// Print one JSON object a line.
        #[arg(short, long)]
        json: bool,
    },
    /// Print the partitions of a topic: leader, replicas, in-sync replicas, first and next offset.
    Describe {
        #[command(flatten)]
        cluster: ClusterOptions,
        /// Print one JSON object a line.
        #[arg(short, long)]
        json: bool,
        #[command(flatten)]
        topic: Name,
    },
    /// Create a topic and wait until it can be used. Brokers before 0.10.1 are told through ZooKeeper.
    Create(Create),
}

/// What to create.
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

/// A topic, named as an argument or, as in the other commands, as an option.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Name {
    /// The topic.
    #[arg(value_name = "TOPIC")]
    topic: Option<String>,
    /// The topic, as in the other commands.
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    option: Option<String>,
}

impl Name {
    fn as_str(&self) -> &str {
        // One of them is there: the options' group requires it.
        self.topic
            .as_deref()
            .or(self.option.as_deref())
            .unwrap_or_default()
    }
}

pub(crate) async fn run(topic: Topic) -> Result<()> {
    match topic {
        Topic::List { cluster, json } => {
            let client = cluster.connect(SESSION_TIMEOUT).await?;
            list(&client.list_topics().await?, json)
        }
        Topic::Describe {
            cluster,
            json,
            topic,
        } => {
            let client = cluster.connect(SESSION_TIMEOUT).await?;
            describe(&client, topic.as_str(), json).await
        }
        Topic::Create(args) => create(args).await,
    }
}

fn list(metadata: &Metadata, as_json: bool) -> Result<()> {
    print(metadata.topics.iter().map(|(name, topic)| {
        if as_json {
            json!({"topic": name, "partitions": topic.partitions.len()}).to_string()
        } else {
            name.clone()
        }
    }))
}

async fn describe(client: &Client, topic: &str, as_json: bool) -> Result<()> {
    client.use_topics([topic]).await?;
    let metadata = client.metadata();
    let Some(known) = metadata.topics.get(topic) else {
        return Err(divvy::ClientError::UnknownTopic {
            topic: topic.to_owned(),
        }
        .into());
    };
    let ends = async |spec| {
        let wanted = known
            .partitions
            .keys()
            .map(|id| (TopicPartition::new(topic, *id), spec))
            .collect();
        client.list_offsets(&wanted).await
    };
    let (first, next) = (
        ends(OffsetSpec::Earliest).await,
        ends(OffsetSpec::Latest).await,
    );
    let heading = "partition  leader  replicas  isr  first offset  next offset";
    let rows = known.partitions.iter().map(|(id, partition)| {
        let tp = TopicPartition::new(topic, *id);
        let offset = |found: &divvy::PerPartition<Option<i64>>| {
            found
                .get(&tp)
                .and_then(|found| found.as_ref().ok().copied().flatten())
        };
        let (first, next) = (offset(&first), offset(&next));
        if as_json {
            let line = json!({
                "topic": topic, "partition": id, "leader": partition.leader,
                "replicas": partition.replicas, "isr": partition.isr,
                "first_offset": first, "next_offset": next,
            });
            line.to_string()
        } else {
            format!(
                "{id:>9}  {:>6}  {:>8}  {:>3}  {:>12}  {:>11}",
                or_dash(partition.leader),
                ids(&partition.replicas),
                ids(&partition.isr),
                or_dash(first),
                or_dash(next),
            )
        }
    });
    let heading = (!as_json).then(|| heading.to_owned());
    print(heading.into_iter().chain(rows))
}

fn ids(ids: &[i32]) -> String {
    let ids: Vec<String> = ids.iter().map(i32::to_string).collect();
    ids.join(",")
}

async fn create(args: Create) -> Result<()> {
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
    let metadata = client.metadata();
    let controller = metadata.controller.and_then(|id| client.broker(id).ok());
    let broker = controller
        .or_else(|| client.brokers().into_iter().next())
        .context("the cluster has no broker")?;
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
