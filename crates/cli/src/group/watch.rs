use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use divvy::TopicPartition;
use divvy::admin::{GroupView, LagChange, PartitionView};

use super::GroupOptions;
use super::describe::owners;
use super::lag::{rates, summary};
use crate::options::duration;
use crate::signals;
use crate::table::{Table, number, or_dash, size, text};

/// Over how long rates are counted: offsets are committed in steps.
const RATES_OVER: Duration = Duration::from_secs(15);

/// Clears the screen from its upper left corner on.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Lines besides the partitions.
const FRAME: usize = 6;

/// Show a group again and again: in place on a terminal, a line each time elsewhere.
#[derive(Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    group: GroupOptions,

    /// How often.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    interval: Duration,

    /// End after so many looks.
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
}

pub(crate) async fn run(args: Watch) -> Result<()> {
    let admin = args.group.admin().await?;
    let mut looks: VecDeque<(Instant, GroupView)> = VecDeque::new();
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut ended = std::pin::pin!(signals::asked_to_end());
    while left > 0 {
        left -= 1;
        let view = args.group.describe(&admin).await?;
        looks.push_back((Instant::now(), view));
        while looks.len() > 2 && looks[1].0.elapsed() > RATES_OVER {
            looks.pop_front();
        }
        if let Err(error) = show(&looks) {
            // A reader that wants no more is no failure.
            return match error.kind() {
                io::ErrorKind::BrokenPipe => Ok(()),
                _ => Err(error.into()),
            };
        }
        if left == 0 {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(args.interval) => {}
            _ = &mut ended => break,
        }
    }
    Ok(())
}

fn show(looks: &VecDeque<(Instant, GroupView)>) -> io::Result<()> {
    let (Some((began, first)), Some((at, view))) = (looks.front(), looks.back()) else {
        return Ok(());
    };
    let change = (looks.len() > 1).then(|| LagChange::between(first, view, *at - *began));
    let mut out = io::stdout().lock();
    match size() {
        Some((columns, rows)) => {
            write!(out, "{CLEAR}")?;
            for line in screen(view, change.as_ref(), columns, rows) {
                writeln!(out, "{line}")?;
            }
        }
        None => writeln!(out, "{}", line(view, change.as_ref()))?,
    }
    out.flush()
}

fn line(view: &GroupView, change: Option<&LagChange>) -> String {
    let owned = view.partitions.values().filter(|p| !p.claims.is_empty());
    let owned = owned.count();
    format!(
        "{}: {} members own {owned} of {} partitions; {}",
        view.group,
        view.members.len(),
        view.partitions.len(),
        summary(view, change)
    )
}

/// What fits on a screen: the partitions that are furthest behind, if not all.
fn screen(
    view: &GroupView,
    change: Option<&LagChange>,
    columns: usize,
    rows: usize,
) -> Vec<String> {
    let room = rows.saturating_sub(FRAME).max(1);
    let mut shown: Vec<(&TopicPartition, &PartitionView)> = view.partitions.iter().collect();
    let left_out = shown.len().saturating_sub(room);
    if left_out > 0 {
        shown.sort_by_key(|(_, partition)| std::cmp::Reverse(partition.lag().unwrap_or(i64::MAX)));
        shown.truncate(room);
    }
    let numbers = ["committed", "lag", "in/s", "out/s"].map(number);
    let headings = [text("partition")].into_iter().chain(numbers);
    let mut table = Table::new(headings.chain([text("owner")]));
    for (tp, partition) in shown {
        let [comes, goes] = match change {
            Some(change) => rates(change, tp),
            None => ["-", "-"].map(str::to_owned),
        };
        table.row([
            tp.to_string(),
            or_dash(partition.committed()),
            or_dash(partition.lag()),
            comes,
            goes,
            owners(partition),
        ]);
    }
    let mut lines = vec![line(view, change), String::new()];
    lines.extend(table.lines(Some(columns)));
    if left_out > 0 {
        lines.push(format!("and {left_out} partitions that are less behind"));
    }
    let reason = change.and_then(LagChange::reason);
    lines.extend(reason.map(|reason| reason.to_string()));
    lines.truncate(rows.saturating_sub(1).max(1));
    let fits = |line: String| line.chars().take(columns).collect();
    lines.into_iter().map(fits).collect()
}
