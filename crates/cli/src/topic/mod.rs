//! `divvy topic`.

mod create;
mod delete;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use divvy::{Broker, Client, Metadata, OffsetSpec, TopicPartition};
use serde_json::json;

use crate::options::ClusterOptions;
use crate::table::{or_dash, print};

const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// List, describe, create or delete topics.
#[derive(Subcommand)]
pub(crate) enum Topic {
    /// Print the names of all topics; with --json also how many partitions and replicas they have.
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
    Create(create::Create),
    /// Delete a topic and wait until it is gone. Brokers before 0.10.1 are told through ZooKeeper.
    Delete(delete::Delete),
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
        Topic::Create(args) => create::run(args).await,
        Topic::Delete(args) => delete::run(args).await,
    }
}

fn list(metadata: &Metadata, as_json: bool) -> Result<()> {
    print(metadata.topics.iter().map(|(name, topic)| {
        if as_json {
            let replicas = topic.partitions.values().map(|one| one.replicas.len());
            json!({
                "topic": name, "partitions": topic.partitions.len(), "replication_factor": replicas.max(),
            })
            .to_string()
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

/// The broker that creates and deletes topics. Any will do where nobody says which: it names the controller.
async fn controller(client: &Client) -> Result<Arc<Broker>> {
    let metadata = client.metadata();
    let controller = metadata.controller.and_then(|id| client.broker(id).ok());
    if let Some(broker) = controller.or_else(|| client.brokers().into_iter().next()) {
        return Ok(broker);
    }
    let seeds = client.seeds().await?;
    seeds
        .into_iter()
        .next()
        .context("the cluster has no broker")
}
