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

/// Lines above and below the partitions: the sums and the headings, and how many partitions are left out.
const FRAME: usize = 4;

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
        let trouble = match args.group.describe(&admin).await {
            Ok(view) => {
                looks.push_back((Instant::now(), view));
                None
            }
            // What was seen once comes back, most likely: that is what somebody watches for.
            Err(error) if !looks.is_empty() => Some(format!("nothing new is seen: {error:#}")),
            Err(error) => return Err(error),
        };
        while looks.len() > 2 && looks[1].0.elapsed() > RATES_OVER {
            looks.pop_front();
        }
        if let Err(error) = show(&looks, trouble.as_deref(), terminal.as_ref()) {
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
            let lines = screen(view, change.as_ref(), None, (columns, usize::MAX));
            table::print(lines.iter().map(Line::text))?;
        }
    }
    Ok(())
}

fn show(
    looks: &VecDeque<(Instant, GroupView)>,
    trouble: Option<&str>,
    terminal: Option<&Screen>,
) -> io::Result<()> {
    let Some((view, change)) = latest(looks) else {
        return Ok(());
    };
    let change = change.as_ref();
    match (terminal, trouble) {
        (Some(terminal), _) => {
            terminal.draw(|columns, rows| screen(view, change, trouble, (columns, rows)))
        }
        (None, Some(trouble)) => writeln!(io::stdout(), "{}: {trouble}", view.group),
        (None, None) => writeln!(io::stdout(), "{}", line(view, change)),
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
fn screen(
    view: &GroupView,
    change: Option<&LagChange>,
    trouble: Option<&str>,
    (columns, rows): (usize, usize),
) -> Vec<Line> {
    let plain = |text| Line::new(Style::Plain, text);
    let alarm = |text| Line::new(Style::Alarm, text);
    let reason = change.and_then(LagChange::reason);
    let reason = reason.map_or_else(String::new, |reason| reason.to_string());
    let mut below: Vec<Line> = wrapped(&reason, columns).into_iter().map(plain).collect();
    below.extend(
        wrapped(trouble.unwrap_or_default(), columns)
            .into_iter()
            .map(alarm),
    );

    let room = rows.saturating_sub(FRAME + below.len()).max(1);
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
    let mut lines = vec![
        Line::new(Style::Strong, line(view, change)),
        Line::default(),
    ];
    for (index, row) in table.lines(Some(columns)).into_iter().enumerate() {
        let style = if index == 0 {
            Style::Strong
        } else {
            Style::Plain
        };
        lines.push(Line::new(style, row));
    }
    if left_out > 0 {
        lines.push(plain(format!(
            "and {left_out} partitions that are less behind"
        )));
    }
    lines.extend(below);
    lines.truncate(rows);
    lines.into_iter().map(|line| line.fit(columns)).collect()
}

/// A text in lines of so many columns, cut between words.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let length = word.chars().count() + 1;
        match lines.last_mut() {
            Some(line) if line.chars().count() + length <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests;
