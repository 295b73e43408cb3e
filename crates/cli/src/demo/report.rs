//! The account at the end, for people.

use std::time::Duration;

use super::account::{Kill, median};
use super::names::{self, count, moment, time};
use super::show::Show;

/// The lines of the account.
pub(super) fn report(show: &Show, took: Duration) -> Vec<String> {
    let (account, sums) = (&show.account, show.account.sums());
    let mut lines = vec![
        format!(
            "{} members on {} partitions, {} of them killed, in {}",
            show.members.len(),
            show.partitions.len(),
            account.kills().len(),
            moment(took)
        ),
        line("produced", sums.produced, "acknowledged by the brokers"),
        line(
            "consumed",
            sums.consumed,
            "printed by the members at least once",
        ),
        line("lost", sums.lost, "acknowledged, and printed by nobody"),
        line("duplicates", sums.duplicates, "printed more than once"),
    ];
    if sums.unacknowledged > 0 {
        let what = "printed, although their acknowledgement never came";
        lines.push(line("besides", sums.unacknowledged, what));
    }
    if sums.unknown > 0 {
        let what = "lines that are no message that was written";
        lines.push(line("unknown", sums.unknown, what));
    }
    lines.extend(account.kills().iter().map(takeover));
    let all = account.takeovers();
    if let (Some(median), Some(worst)) = (median(&all), all.last()) {
        lines.push(format!(
            "takeovers   until another member printed: median {}, worst {}",
            time(median),
            time(*worst)
        ));
    }
    lines
}

fn line(name: &str, number: u64, what: &str) -> String {
    format!("{name:<10} {:>9}  {what}", count(number))
}

fn takeover(kill: &Kill) -> String {
    let times = kill.times();
    let how = match (median(&times), times.last()) {
        (Some(median), Some(worst)) => format!("median {}, worst {}", time(median), time(*worst)),
        _ => "not taken over".to_owned(),
    };
    let unread = kill.takeovers.len() - times.len();
    let unread = match unread {
        0 => String::new(),
        unread => format!(", {unread} not taken over"),
    };
    format!(
        "{} killed at {:>7}, owned {}: {how}{unread}",
        names::member(kill.member),
        moment(kill.at),
        names::partitions(kill.takeovers.keys())
    )
}
