use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use divvy::TopicPartition;
use divvy::admin::{GroupAdmin, GroupView, LagChange, LagReason};
use serde_json::json;

use super::GroupOptions;
use super::describe::{json_partition, sum};
use crate::options::duration;
use crate::table::{Table, number, or_dash, print, text, width};

/// Print how far a group is behind, and with --interval how fast that changes and why.
#[derive(Args)]
pub(crate) struct Lag {
    #[command(flatten)]
    group: GroupOptions,

    /// Look twice, so far apart, and print rates. Members that commit less often seem to stand still.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    interval: Option<Duration>,
}

pub(crate) async fn run(args: Lag) -> Result<()> {
    let admin = args.group.admin().await?;
    let (view, change) = look(&args.group, &admin, args.interval).await?;
    if args.group.json {
        return print(json_lines(&view, change.as_ref()));
    }
    let mut lines = lines(&view, change.as_ref());
    lines.extend([String::new(), summary(&view, change.as_ref())]);
    if let Some(reason) = change.and_then(|change| change.reason()) {
        lines.push(reason.to_string());
    }
    print(lines)
}

/// A look at a group; with an interval a second one, and what happened in between.
pub(super) async fn look(
    options: &GroupOptions,
    admin: &GroupAdmin,
    interval: Option<Duration>,
) -> Result<(GroupView, Option<LagChange>)> {
    let (before, at) = (options.describe(admin).await?, Instant::now());
    let Some(interval) = interval else {
        return Ok((before, None));
    };
    tokio::time::sleep(interval).await;
    let after = options.describe(admin).await?;
    let change = LagChange::between(&before, &after, at.elapsed());
    Ok((after, Some(change)))
}

/// Lag and rates of the whole group in a line.
pub(super) fn summary(view: &GroupView, change: Option<&LagChange>) -> String {
    let (lag, unknown) = view.lag();
    let sum = sum(lag, unknown);
    match change {
        None => sum,
        Some(change) => format!(
            "{sum}; {:.1}/s come, {:.1}/s are finished",
            change.produced(),
            change.consumed()
        ),
    }
}

/// Each partition, and the sum of each topic that has several.
fn lines(view: &GroupView, change: Option<&LagChange>) -> Vec<String> {
    let columns = [text("topic"), number("partition")];
    let columns = columns
        .into_iter()
        .chain(["committed", "log end", "lag"].map(number));
    let mut table = match change {
        Some(_) => Table::new(columns.chain(["in/s", "out/s"].map(number))),
        None => Table::new(columns),
    };
    let mut topics: BTreeMap<&str, (i64, usize)> = BTreeMap::new();
    for (tp, partition) in &view.partitions {
        let topic = topics.entry(&*tp.topic).or_default();
        topic.0 += partition.lag().unwrap_or(0).max(0);
        topic.1 += 1;
        let row = [
            tp.topic.to_string(),
            tp.partition.to_string(),
            or_dash(partition.committed()),
            or_dash(partition.log_end),
            or_dash(partition.lag()),
        ];
        let rates = change.map(|change| rates(change, tp));
        table.row(row.into_iter().chain(rates.into_iter().flatten()));
    }
    let mut lines = table.lines(width());
    let several = topics
        .into_iter()
        .filter(|(_, (_, partitions))| *partitions > 1);
    let sums: Vec<String> = several
        .map(|(topic, (lag, _))| format!("{topic}: {lag}"))
        .collect();
    if !sums.is_empty() {
        lines.push(String::new());
        lines.extend(sums);
    }
    lines
}

/// What comes and what is finished in a second.
pub(super) fn rates(change: &LagChange, tp: &TopicPartition) -> [String; 2] {
    let growth = change.partitions.get(tp);
    [
        or_dash(growth.map(|growth| format!("{:.1}", growth.produced))),
        or_dash(growth.map(|growth| format!("{:.1}", growth.consumed))),
    ]
}

fn json_lines(view: &GroupView, change: Option<&LagChange>) -> Vec<String> {
    let partition = |(tp, partition)| json_partition(view, change, tp, partition).to_string();
    let (lag, unknown) = view.lag();
    let reason = change.and_then(LagChange::reason);
    let sum = json!({
        "kind": "group", "group": view.group, "lag": lag, "partitions_unknown": unknown,
        "produced_per_second": change.map(LagChange::produced),
        "consumed_per_second": change.map(LagChange::consumed),
        "cause": reason.as_ref().map(LagReason::name),
        "reason": reason.map(|reason| reason.to_string()),
    });
    let partitions = view.partitions.iter().map(partition);
    partitions.chain([sum.to_string()]).collect()
}
