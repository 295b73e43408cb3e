//! The state of the demo as lines of a screen, or as one line.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::names::{self, count, moment};
use super::show::{Member, Show, State, Weight};
use crate::screen::{Line, Style};

/// What stands left of the picture of owners over time.
const LEFT: usize = 26;
/// How many events are shown at least; members that are gone make room for them, and then partitions.
const FEWEST_EVENTS: usize = 3;
/// Title, sums, and the headings and empty lines between the parts.
const AROUND: usize = 7;

/// What is shown at a moment of a demo of such a length.
pub(super) fn frame(
    show: &Show,
    now: Duration,
    length: Duration,
    size: (usize, usize),
) -> Vec<Line> {
    let (columns, rows) = size;
    let there: Vec<usize> = (0..show.members.len()).collect();
    let room = rows.saturating_sub(AROUND + FEWEST_EVENTS);
    let members = shown_members(show, there, room.saturating_sub(show.partitions.len()));
    let partitions = show
        .partitions
        .len()
        .min(room.saturating_sub(members.len()).max(1));
    let mut lines = vec![
        title(show, now, length, columns),
        sums(show),
        Line::default(),
    ];
    lines.push(partition_heading(length, columns));
    lines.extend((0..partitions).map(|id| partition(show, id, length, columns)));
    if let Some(last @ 1..) = show.partitions.len().checked_sub(partitions) {
        lines.pop();
        let more = format!("and {} more partitions", last + 1);
        lines.push(Line::new(Style::Faint, more));
    }
    lines.push(Line::default());
    lines.push(Line::new(
        Style::Strong,
        "   member      pid    rate/s    printed  owns",
    ));
    lines.extend(members.into_iter().filter_map(|id| {
        let member = show.members.get(id)?;
        Some(member_line(id, member))
    }));
    lines.push(Line::default());
    let left = rows.saturating_sub(lines.len());
    lines.extend(events(show, left));
    lines.truncate(rows);
    lines.into_iter().map(|line| line.fit(columns)).collect()
}

/// Those that fit, in their order; of those that are gone, the latest.
fn shown_members(show: &Show, mut ids: Vec<usize>, room: usize) -> Vec<usize> {
    let is_gone = |id: &usize| {
        let member = show.members.get(*id);
        member.is_none_or(|member| matches!(member.state, State::Killed(_) | State::Ended))
    };
    while ids.len() > room
        && let Some(oldest) = ids.iter().position(is_gone)
    {
        ids.remove(oldest);
    }
    ids
}

fn title(show: &Show, now: Duration, length: Duration, columns: usize) -> Line {
    let there = show.members.iter();
    let there = there.filter(|member| member.state == State::Joined).count();
    let title = format!(
        "divvy demo: {there} members share {} partitions",
        show.partitions.len()
    );
    let clock = format!("{} of {} s", moment(now), length.as_secs());
    let gap = columns.saturating_sub(title.len() + clock.len()).max(1);
    let style = Style::Strong;
    Line::new(style, title)
        .with(style, " ".repeat(gap))
        .with(style, clock)
}

fn sums(show: &Show) -> Line {
    let sums = show.account.sums();
    Line::new(
        Style::Plain,
        format!(
            "produced {} ({:.0}/s)  printed {} ({:.0}/s)  duplicates {}  lag {}",
            count(sums.produced),
            show.produced.rate(),
            count(sums.printed),
            show.printed.rate(),
            count(sums.duplicates),
            show.lag(),
        ),
    )
}

fn partition_heading(length: Duration, columns: usize) -> Line {
    let scale = columns.saturating_sub(LEFT);
    let end = format!("{} s", length.as_secs());
    let title = "0 s  owners over time";
    let gap = scale.saturating_sub(title.len() + end.len());
    let scale = format!("{title}{}{end}", " ".repeat(gap));
    Line::new(Style::Strong, "partition  owner     lag  ").with(Style::Faint, scale)
}

fn partition(show: &Show, id: usize, length: Duration, columns: usize) -> Line {
    let Some(partition) = show.partitions.get(id) else {
        return Line::default();
    };
    let line = Line::new(Style::Plain, format!("{id:>9}  "));
    let line = match partition.owner {
        Some(owner) => line.with(Style::Colour(owner), format!("{:^5}", names::member(owner))),
        None => line.with(Style::Alarm, format!("{:^5}", "-")),
    };
    let line = line.with(Style::Plain, format!("{:>8}  ", partition.lag()));
    let cells = cells(show, id, length, columns.saturating_sub(LEFT));
    // Neighbours of one look are one piece.
    cells.chunk_by(|a, b| a.0 == b.0).fold(line, |line, run| {
        let style = run.first().map_or(Style::Plain, |cell| cell.0);
        line.with(style, run.iter().map(|cell| cell.1).collect::<String>())
    })
}

/// Who owned a partition over time: a letter for each member, a dot while it had no owner, a cross where that one was killed.
fn cells(show: &Show, id: usize, length: Duration, width: usize) -> Vec<(Style, char)> {
    let mut cells = Vec::with_capacity(width);
    let column = |at: Duration| {
        let share = at.as_secs_f64() / length.as_secs_f64().max(f64::EPSILON);
        ((share * width as f64) as usize).min(width.saturating_sub(1))
    };
    for (at, owners) in &show.history {
        let cell = match owners.get(id).copied().flatten() {
            Some(owner) => (Style::Colour(owner), names::member(owner)),
            None => (Style::Alarm, '.'),
        };
        // A column shows its last tick, and without one what was before.
        let before = cells.last().copied().unwrap_or(cell);
        cells.resize(column(*at), before);
        cells.push(cell);
    }
    let is_here = |partition: &i32| usize::try_from(*partition) == Ok(id);
    for kill in show.account.kills() {
        if kill.takeovers.keys().any(is_here)
            && let Some(cell) = cells.get_mut(column(kill.at))
        {
            *cell = (Style::Alarm, '×');
        }
    }
    cells.truncate(width);
    cells
}

fn member_line(id: usize, member: &Member) -> Line {
    let owns = match member.state {
        State::Killed(at) => format!("killed at {}", moment(at)),
        State::Joining => "joining".to_owned(),
        State::Ended => "left".to_owned(),
        State::Joined | State::Leaving if member.owns.is_empty() => "nothing".to_owned(),
        State::Joined | State::Leaving => names::partitions(&member.owns),
    };
    let is_gone = matches!(member.state, State::Killed(_) | State::Ended);
    let style = if is_gone { Style::Faint } else { Style::Plain };
    let name = if is_gone {
        Style::Faint
    } else {
        Style::Colour(id)
    };
    let (pid, printed) = (member.pid, count(member.printed.count));
    let numbers = format!(
        "{pid:>9} {:>9.0} {printed:>10}  {owns}",
        member.printed.rate()
    );
    Line::new(name, format!("{:^9}", names::member(id))).with(style, numbers)
}

/// The latest events, without their details.
fn events(show: &Show, room: usize) -> impl Iterator<Item = Line> {
    let events = show.events.iter();
    let events = events.filter(|event| event.weight != Weight::Detail);
    let skipped = events.clone().count().saturating_sub(room);
    events.skip(skipped).map(|event| {
        let style = match event.weight {
            Weight::Alarm => Style::Alarm,
            Weight::Step | Weight::Detail => Style::Plain,
        };
        Line::new(Style::Faint, format!("{:>7}  ", moment(event.at)))
            .with(style, event.text.clone())
    })
}

/// The state in one line, where there is no screen.
pub(super) fn status(show: &Show, now: Duration) -> String {
    let owners = show.partitions.iter().map(|partition| {
        let owner = partition.owner.map(names::member);
        owner.unwrap_or('-')
    });
    format!(
        "{:>7}  {}  owners {}",
        moment(now),
        sums(show).text(),
        owners.collect::<String>()
    )
}
