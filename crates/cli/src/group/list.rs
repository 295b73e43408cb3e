use anyhow::Result;
use clap::Args;
use divvy::ClientError;
use divvy::admin::{BrokerGroup, broker_groups};
use serde_json::json;

use super::{SESSION_TIMEOUT, admin_with_or_without_brokers};
use crate::errors::usage;
use crate::options::ClusterOptions;
use crate::table::{Table, number, print, text, width};

/// Print every group, and how many members it has.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    cluster: ClusterOptions,

    /// Leave out groups without members.
    #[arg(long)]
    live: bool,

    /// Print the groups that brokers coordinate instead, from 0.9 on: those of newer consumers, which the other commands do not
    /// know. Groups that only store offsets in Kafka are among them on newer brokers.
    #[arg(long)]
    managed: bool,

    /// Of those only the ones that subscribe this topic.
    #[arg(short, long, value_name = "TOPIC", requires = "managed")]
    topic: Option<String>,

    /// Print one JSON object a line.
    #[arg(short, long)]
    json: bool,
}

pub(crate) async fn run(args: List) -> Result<()> {
    match args.managed {
        true => list_managed(&args).await,
        false => list_in_zookeeper(&args).await,
    }
}

async fn list_in_zookeeper(args: &List) -> Result<()> {
    let (admin, _) = admin_with_or_without_brokers(&args.cluster).await?;
    let mut groups = admin.groups().await?;
    groups.retain(|group| group.members > 0 || !args.live);
    if args.json {
        return print(groups.iter().map(|group| {
            let live = group.members > 0;
            json!({"group": group.group, "members": group.members, "live": live}).to_string()
        }));
    }
    let mut table = Table::new([text("group"), number("members")]);
    for group in groups {
        table.row([group.group, group.members.to_string()]);
    }
    print(table.lines(width()))
}

async fn list_managed(args: &List) -> Result<()> {
    let client = args.cluster.connect(SESSION_TIMEOUT).await?;
    let mut groups = match broker_groups(&client).await {
        Err(ClientError::Unsupported { .. }) => {
            return Err(usage(
                "these brokers coordinate no groups (that came with 0.9): all groups are coordinated through ZooKeeper, and `divvy group list` prints them",
            ));
        }
        groups => groups?,
    };
    let subscribed = |group: &BrokerGroup| {
        let topic = args.topic.as_ref();
        topic.is_none_or(|topic| group.topics.contains(topic))
    };
    groups.retain(|group| subscribed(group) && (group.members > 0 || !args.live));
    if args.json {
        return print(groups.iter().map(|group| {
            json!({
                "group": group.group, "coordinator": group.coordinator, "state": group.state,
                "protocol_type": group.protocol_type, "protocol": group.protocol,
                "members": group.members, "live": group.members > 0, "topics": group.topics,
            })
            .to_string()
        }));
    }
    let columns = ["group", "state", "protocol", "protocol type"].map(text);
    let columns = columns
        .into_iter()
        .chain([number("members"), text("topics")]);
    let mut table = Table::new(columns);
    for group in groups {
        table.row([
            group.group,
            group.state,
            group.protocol,
            group.protocol_type,
            group.members.to_string(),
            Vec::from_iter(group.topics).join(","),
        ]);
    }
    print(table.lines(width()))
}
