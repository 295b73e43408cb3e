use anyhow::Result;
use clap::Args;
use divvy::admin::{GroupView, ResetPlan, ResetTo};
use divvy::{OffsetSpec, OffsetStorage, TopicPartition};
use serde_json::json;

use super::GroupOptions;
use crate::errors::usage;
use crate::options::Storage;
use crate::table::{Table, number, or_dash, print, text, width};
use crate::tail::{Place, place};

/// Move a group's stored offsets. Says what it would do, and does it with --execute.
///
/// Without --offsets it is where the group has stored offsets, in both stores if it has in both. Offsets never leave the log.
#[derive(Args)]
pub(crate) struct Reset {
    #[command(flatten)]
    group: GroupOptions,

    #[command(flatten)]
    to: To,

    /// Only these partitions; may be given several times.
    #[arg(short, long = "partition", value_name = "N")]
    partitions: Vec<i32>,

    /// In which store.
    #[arg(long, value_name = "STORE")]
    offsets: Option<Storage>,

    /// Do it.
    #[arg(long)]
    execute: bool,

    /// Do it although the group has members, which will overwrite it.
    #[arg(long, requires = "execute")]
    force: bool,
}

/// Where to move offsets.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct To {
    /// earliest, latest, an offset, or a time like 2026-11-20T08:00:00Z, @MILLISECONDS or -2h.
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
    to: Option<String>,

    /// By so many messages; backwards where it is negative.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    shift: Option<i64>,
}

impl To {
    fn parsed(&self) -> Result<ResetTo> {
        let Some(text) = &self.to else {
            return Ok(ResetTo::Shift(self.shift.unwrap_or(0)));
        };
        Ok(match place("--to", text)? {
            Place::Offset(offset) => ResetTo::Offset(offset),
            Place::Look(OffsetSpec::Earliest) => ResetTo::Earliest,
            Place::Look(OffsetSpec::Latest) => ResetTo::Latest,
            Place::Look(OffsetSpec::Time(millis)) => ResetTo::Time(millis),
        })
    }
}

pub(crate) async fn run(args: Reset) -> Result<()> {
    let to = args.to.parsed()?;
    let admin = args.group.admin().await?;
    let view = args.group.describe(&admin).await?;
    let partitions = chosen(&view, &args.partitions)?;
    let storage = args.offsets.map(OffsetStorage::from);
    let plan = admin.plan_reset(&view, storage, &partitions, &to).await?;
    if args.execute {
        admin.execute(&plan, args.force).await?;
    }
    report(&plan, args.execute, args.group.json)?;
    if !args.execute && !args.group.json {
        let live = view.is_live();
        let live = if live {
            "; the group is live, so stop its members first"
        } else {
            ""
        };
        print([format!("nothing is done yet: add --execute to do it{live}")])?;
    }
    Ok(())
}

fn chosen(view: &GroupView, only: &[i32]) -> Result<Vec<TopicPartition>> {
    let tps = view.partitions.keys();
    let tps: Vec<_> = tps
        .filter(|tp| only.is_empty() || only.contains(&tp.partition))
        .cloned()
        .collect();
    match tps.is_empty() {
        false => Ok(tps),
        true => Err(usage(format!(
            "group `{}` has no such partition; name its topics with --topic",
            view.group
        ))),
    }
}

/// Prints what a plan does, or has done.
pub(crate) fn report(plan: &ResetPlan, done: bool, as_json: bool) -> Result<()> {
    let store = match plan.storage {
        OffsetStorage::ZooKeeper => "zookeeper",
        OffsetStorage::Kafka => "kafka",
        OffsetStorage::Dual => "dual",
    };
    if as_json {
        let changes = plan.changes.iter().map(|change| {
            json!({
                "group": plan.group, "topic": &*change.tp.topic, "partition": change.tp.partition,
                "from": change.from, "to": change.to, "clamped": change.clamped,
                "store": store, "done": done,
            })
        });
        let left_out = plan.left_out.iter().map(|(tp, why)| {
            json!({
                "group": plan.group, "topic": &*tp.topic, "partition": tp.partition,
                "left_out": why, "done": false,
            })
        });
        return print(changes.chain(left_out).map(|line| line.to_string()));
    }
    let columns = [
        text("topic"),
        number("partition"),
        number("from"),
        number("to"),
    ];
    let columns = columns.into_iter().chain([number("by"), text("")]);
    let mut table = Table::new(columns);
    for change in &plan.changes {
        let by = change
            .from
            .map(|from| format!("{:+}", change.to.saturating_sub(from)));
        let note = if change.clamped {
            "the log's end that is nearest"
        } else {
            ""
        };
        table.row([
            change.tp.topic.to_string(),
            change.tp.partition.to_string(),
            or_dash(change.from),
            change.to.to_string(),
            or_dash(by),
            note.to_owned(),
        ]);
    }
    let mut lines = table.lines(width());
    let left_out = plan.left_out.iter();
    lines.extend(left_out.map(|(tp, why)| format!("{tp} is left out: {why}")));
    lines.push(format!("store: {store}"));
    print(lines)
}
