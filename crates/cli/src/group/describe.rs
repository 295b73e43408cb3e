use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use divvy::TopicPartition;
use divvy::admin::{GroupMember, GroupView, LagChange, PartitionView};
use serde_json::{Value, json};

use super::lag::{look, rates};
use super::{GroupOptions, admin_with_or_without_brokers, age};
use crate::options::duration;
use crate::table::{Table, number, or_dash, print, text, width};

/// Print a group's members, and for each partition its owner, the stored offset, the end of its log and the lag.
#[derive(Args)]
pub(crate) struct Describe {
    #[command(flatten)]
    group: GroupOptions,

    /// Look twice, so far apart, and print rates. Members that commit less often seem to stand still.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    interval: Option<Duration>,
}

pub(crate) async fn run(args: Describe) -> Result<()> {
    let options = &args.group;
    let (admin, no_broker) = admin_with_or_without_brokers(&options.cluster).await?;
    if let Some(error) = no_broker {
        // With a closed stderr there is nobody left to tell.
        let _ = writeln!(
            io::stderr(),
            "divvy: logs and offsets in Kafka are not known: {error:#}"
        );
    }
    let (view, change) = look(options, &admin, args.interval).await?;
    if !view.is_known() {
        bail!(
            "group `{}` has no trace in ZooKeeper; if its offsets are in Kafka alone, name its topics with --topic; if brokers coordinate it, `divvy group list --managed` knows it",
            view.group
        );
    }
    match options.json {
        true => print(json_lines(&view, change.as_ref())),
        false => print(lines(&view, change.as_ref())),
    }
}

fn lines(view: &GroupView, change: Option<&LagChange>) -> Vec<String> {
    let mut lines = members(view);
    lines.push(String::new());
    lines.extend(partitions(view, change));
    let orphans = view.orphans();
    if !orphans.is_empty() {
        let names: Vec<String> = orphans.iter().map(ToString::to_string).collect();
        lines.extend([
            String::new(),
            format!("without an owner: {}", names.join(", ")),
        ]);
    }
    for topic in &view.missing_topics {
        lines.push(format!("topic {topic} does not exist"));
    }
    for node in &view.forbidden {
        lines.push(format!("not allowed to read {node}"));
    }
    lines
}

fn members(view: &GroupView) -> Vec<String> {
    if view.members.is_empty() {
        return vec!["no member is registered".to_owned()];
    }
    let columns = ["member", "dialect", "host"].map(text);
    let columns = columns.into_iter().chain([number("age"), text("streams")]);
    let mut table = Table::new(columns);
    for member in &view.members {
        table.row([
            member.consumer_id.clone(),
            member.kind.name().to_owned(),
            or_dash(member.host.as_deref()),
            age(member.registered_ms),
            streams(member),
        ]);
    }
    table.lines(width())
}

fn streams(member: &GroupMember) -> String {
    let streams = member.subscription.iter();
    let streams: Vec<String> = streams.map(|(topic, n)| format!("{topic}:{n}")).collect();
    match streams.is_empty() {
        true => "-".to_owned(),
        false => streams.join(","),
    }
}

fn partitions(view: &GroupView, change: Option<&LagChange>) -> Vec<String> {
    let mut columns = vec![text("topic"), number("partition")];
    columns.extend(["committed", "log end", "lag"].map(number));
    if change.is_some() {
        columns.extend(["in/s", "out/s"].map(number));
    }
    columns.push(text("owner"));
    let mut table = Table::new(columns);
    for (tp, partition) in &view.partitions {
        let mut row = vec![tp.topic.to_string(), tp.partition.to_string()];
        let offsets = [partition.committed(), partition.log_end, partition.lag()];
        row.extend(offsets.map(or_dash));
        row.extend(change.map(|change| rates(change, tp)).into_iter().flatten());
        row.push(owners(partition));
        table.row(row);
    }
    let mut lines = table.lines(width());
    let (lag, unknown) = view.lag();
    lines.extend([String::new(), sum(lag, unknown)]);
    lines
}

/// Everybody who has claimed a partition, in either dialect's nodes.
pub(super) fn owners(partition: &PartitionView) -> String {
    let mut owners: Vec<&str> = partition.claims.iter().map(|c| c.owner.as_str()).collect();
    owners.dedup();
    match owners.is_empty() {
        true => "-".to_owned(),
        false => owners.join(" and "),
    }
}

/// The sum of the lag, and of how many partitions it does not tell.
pub(super) fn sum(lag: i64, unknown: usize) -> String {
    match unknown {
        0 => format!("lag {lag}"),
        n => format!("lag {lag}, and that of {n} partitions is not known"),
    }
}

fn json_lines(view: &GroupView, change: Option<&LagChange>) -> Vec<String> {
    let member = |member: &GroupMember| {
        json!({
            "kind": "member", "group": view.group, "member": member.consumer_id,
            "dialect": member.kind.name(), "host": member.host,
            "registered_ms": member.registered_ms, "streams": member.subscription.iter()
                .map(|(topic, streams)| (topic.to_string(), Value::from(*streams)))
                .collect::<serde_json::Map<_, _>>(),
        })
    };
    let members = view.members.iter().map(member);
    let partitions = view
        .partitions
        .iter()
        .map(|(tp, p)| json_partition(view, change, tp, p));
    let missing = view.missing_topics.iter();
    let missing = missing.map(|topic| json!({"kind": "missing_topic", "topic": &**topic}));
    let forbidden = view.forbidden.iter();
    let forbidden = forbidden.map(|node| json!({"kind": "forbidden", "node": node}));
    let all = members.chain(partitions).chain(missing).chain(forbidden);
    all.map(|line| line.to_string()).collect()
}

/// A line for one partition, with its rates where there are two looks.
pub(super) fn json_partition(
    view: &GroupView,
    change: Option<&LagChange>,
    tp: &TopicPartition,
    partition: &PartitionView,
) -> Value {
    let owners: Vec<&str> = partition.claims.iter().map(|c| c.owner.as_str()).collect();
    let mut line = json!({
        "kind": "partition", "group": view.group, "topic": &*tp.topic, "partition": tp.partition,
        "leader": partition.leader, "owners": owners,
        "orphan": owners.is_empty() && view.streams(&tp.topic) > 0,
        "committed": partition.committed(),
        "in_zookeeper": partition.in_zookeeper.map(|stored| stored.offset),
        "in_kafka": partition.in_kafka,
        "log_start": partition.log_start, "log_end": partition.log_end,
        "lag": partition.lag(), "trouble": partition.trouble,
    });
    if let Some(growth) = change.and_then(|change| change.partitions.get(tp)) {
        line["produced_per_second"] = growth.produced.into();
        line["consumed_per_second"] = growth.consumed.into();
    }
    line
}
