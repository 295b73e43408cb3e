//! `divvy offsets`: single offsets of a group, and where logs begin and end.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::{Args, Subcommand};
use divvy::admin::{GroupAdmin, ResetTo};
use divvy::{OffsetSpec, OffsetStorage, TopicPartition};
use serde_json::json;

use crate::errors::usage;
use crate::group::{admin, report_plan};
use crate::options::{ClusterOptions, Storage};
use crate::table::{Table, number, or_dash, print, text, width};
use crate::tail::{Place, look_up, place};

/// Look at stored offsets and at logs, or store offsets.
#[derive(Subcommand)]
pub(crate) enum Offsets {
    /// Print a group's offsets in both stores; without a group, the offsets of a topic at a place.
    Get(Get),
    /// Store offsets for a group that has no members.
    Set(Set),
}

/// Print a group's offsets in both stores; without a group, the offsets of a topic at a place.
#[derive(Args)]
pub(crate) struct Get {
    #[command(flatten)]
    cluster: ClusterOptions,

    /// The group.
    #[arg(short, long)]
    group: Option<String>,

    /// The topic; may be given several times. A group's topics are known where ZooKeeper has a trace of them.
    #[arg(
        short,
        long = "topic",
        value_name = "TOPIC",
        required_unless_present = "group"
    )]
    topics: Vec<String>,

    /// Which offsets of the topic: earliest, latest, or those of a time.
    #[arg(
        long,
        value_name = "PLACE",
        default_value = "latest",
        conflicts_with = "group",
        allow_hyphen_values = true
    )]
    at: String,

    /// Print one JSON object a line.
    #[arg(short, long)]
    json: bool,
}

/// Store offsets for a group that has no members.
#[derive(Args)]
pub(crate) struct Set {
    #[command(flatten)]
    cluster: ClusterOptions,

    /// The group.
    #[arg(short, long, env = "DIVVY_GROUP")]
    group: String,

    /// The topic.
    #[arg(short, long)]
    topic: String,

    /// The offset of the next message to read in each partition, PARTITION=OFFSET.
    #[arg(required = true, value_name = "PARTITION=OFFSET", value_parser = assignment)]
    values: Vec<(i32, i64)>,

    /// In which store; without it where the group has offsets now.
    #[arg(long, value_name = "STORE")]
    offsets: Option<Storage>,

    /// Do it although the group has members, which will overwrite it.
    #[arg(long)]
    force: bool,

    /// Print one JSON object a line.
    #[arg(short, long)]
    json: bool,
}

pub(crate) async fn run(offsets: Offsets) -> Result<()> {
    match offsets {
        Offsets::Get(args) => match args.group.clone() {
            Some(group) => get_stored(&args, &group).await,
            None => get_places(&args).await,
        },
        Offsets::Set(args) => set(args).await,
    }
}

async fn get_stored(args: &Get, group: &str) -> Result<()> {
    let admin: GroupAdmin = admin(&args.cluster).await?;
    let view = admin.describe(group, &args.topics).await?;
    let wanted = |topic: &str| args.topics.is_empty() || args.topics.iter().any(|t| t == topic);
    let partitions = view.partitions.iter().filter(|(tp, _)| wanted(&tp.topic));
    if args.json {
        return print(partitions.map(|(tp, partition)| {
            json!({
                "group": group, "topic": &*tp.topic, "partition": tp.partition,
                "in_zookeeper": partition.in_zookeeper.map(|stored| stored.offset),
                "in_kafka": partition.in_kafka,
            })
            .to_string()
        }));
    }
    let columns = [
        text("topic"),
        number("partition"),
        number("in zookeeper"),
        number("in kafka"),
    ];
    let mut table = Table::new(columns);
    for (tp, partition) in partitions {
        table.row([
            tp.topic.to_string(),
            tp.partition.to_string(),
            or_dash(partition.in_zookeeper.map(|stored| stored.offset)),
            or_dash(partition.in_kafka),
        ]);
    }
    print(table.lines(width()))
}

async fn get_places(args: &Get) -> Result<()> {
    let at = place("--at", &args.at)?;
    if let Place::Offset(_) | Place::Look(OffsetSpec::Time(i64::MIN..0)) = at {
        return Err(usage("--at takes earliest, latest or a time"));
    }
    let client = args.cluster.connect(crate::group::SESSION_TIMEOUT).await?;
    client.use_topics(&args.topics).await?;
    let metadata = client.metadata();
    let mut tps = Vec::new();
    for topic in &args.topics {
        let partitions = metadata.partitions(topic).unwrap_or_default();
        tps.extend(
            partitions
                .into_iter()
                .map(|id| TopicPartition::new(topic.as_str(), id)),
        );
    }
    let found = look_up(&client, &tps, at).await?;
    if args.json {
        return print(tps.iter().map(|tp| {
            let offset = found.get(tp);
            json!({"topic": &*tp.topic, "partition": tp.partition, "offset": offset}).to_string()
        }));
    }
    let mut table = Table::new([text("topic"), number("partition"), number("offset")]);
    for tp in &tps {
        let offset = or_dash(found.get(tp));
        table.row([tp.topic.to_string(), tp.partition.to_string(), offset]);
    }
    print(table.lines(width()))
}

async fn set(args: Set) -> Result<()> {
    let tp = |id: &i32| TopicPartition::new(args.topic.as_str(), *id);
    let offsets: BTreeMap<_, _> = args.values.iter().map(|(id, at)| (tp(id), *at)).collect();
    if offsets.len() < args.values.len() {
        return Err(usage("a partition is given twice"));
    }
    let admin = admin(&args.cluster).await?;
    let topics = [args.topic.clone()];
    let view = admin.describe(&args.group, &topics).await?;
    let tps: Vec<TopicPartition> = offsets.keys().cloned().collect();
    let store = args.offsets.map(OffsetStorage::from);
    let to = ResetTo::Offsets(offsets);
    let plan = admin.plan_reset(&view, store, &tps, &to).await?;
    if let Some((tp, why)) = plan.left_out.first() {
        return Err(usage(format!("no offset can be stored for {tp}: {why}")));
    }
    if let Some(change) = plan.changes.iter().find(|change| change.clamped) {
        return Err(usage(format!(
            "the log of {} does not hold that offset; its nearest end is {}",
            change.tp, change.to
        )));
    }
    admin.execute(&plan, args.force).await?;
    report_plan(&plan, true, args.json)
}

fn assignment(text: &str) -> Result<(i32, i64), String> {
    let wrong = || format!("`{text}` is not PARTITION=OFFSET, such as 0=42");
    let (partition, offset) = text.split_once('=').ok_or_else(wrong)?;
    let partition: i32 = partition.parse().map_err(|_| wrong())?;
    let offset: i64 = offset.parse().map_err(|_| wrong())?;
    if partition < 0 || offset < 0 {
        return Err(wrong());
    }
    Ok((partition, offset))
}
