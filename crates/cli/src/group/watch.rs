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
use crate::screen::{Line, Screen, Style};
use crate::signals;
use crate::table::{self, Table, number, or_dash, text};

/// Over how long rates are counted: offsets are committed in steps.
const RATES_OVER: Duration = Duration::from_secs(15);

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
    let terminal = Screen::open()?;
    while left > 0 {
        left -= 1;
        let view = args.group.describe(&admin).await?;
        looks.push_back((Instant::now(), view));
        while looks.len() > 2 && looks[1].0.elapsed() > RATES_OVER {
            looks.pop_front();
        }
        if let Err(error) = show(&looks, terminal.as_ref()) {
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
    if terminal.is_some() {
        drop(terminal);
        // The screen is the shell's again; what was seen last stays.
        if let Some((view, change)) = latest(&looks) {
            let columns = table::width().unwrap_or(usize::MAX);
            let lines = screen(view, change.as_ref(), columns, usize::MAX);
            table::print(lines.iter().map(Line::text))?;
        }
    }
    Ok(())
}

fn show(looks: &VecDeque<(Instant, GroupView)>, terminal: Option<&Screen>) -> io::Result<()> {
    let Some((view, change)) = latest(looks) else {
        return Ok(());
    };
    match terminal {
        Some(terminal) => {
            terminal.draw(|columns, rows| screen(view, change.as_ref(), columns, rows))
        }
        None => writeln!(io::stdout(), "{}", line(view, change.as_ref())),
    }
}

/// What was seen last, and what has changed.
fn latest(looks: &VecDeque<(Instant, GroupView)>) -> Option<(&GroupView, Option<LagChange>)> {
    let ((began, first), (at, view)) = (looks.front()?, looks.back()?);
    let change = (looks.len() > 1).then(|| LagChange::between(first, view, *at - *began));
    Some((view, change))
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
fn screen(view: &GroupView, change: Option<&LagChange>, columns: usize, rows: usize) -> Vec<Line> {
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
    lines.truncate(rows);
    let lines = lines.into_iter().enumerate().map(|(index, line)| {
        // The sums and the headings.
        let style = if [0, 2].contains(&index) {
            Style::Strong
        } else {
            Style::Plain
        };
        Line::new(style, line).fit(columns)
    });
    lines.collect()
}
