use super::*;
use crate::demo::heard::{Heard, Who};

const LENGTH: Duration = Duration::from_secs(30);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Four members on so many partitions. The first is killed after 10 s, which the second takes over; the fifth is joining.
fn show(partitions: usize) -> Show {
    let mut show = Show::new(partitions, 100_000);
    let names = |member: i32| {
        (0..)
            .take(partitions)
            .filter(move |id| id % 4 == member)
            .collect()
    };
    for member in 0..4 {
        show.join(1_234_567, at(0));
        let id = usize::try_from(member).unwrap();
        show.hear(Who::Member(id), Heard::Assigned(names(member)), at(0));
    }
    for tick in 0..20 {
        if tick == 10 {
            show.kill(0, at(10));
        }
        if tick == 12 {
            show.hear(Who::Member(1), Heard::Assigned(names(0)), at(12));
        }
        show.tick(at(tick));
    }
    show.join(1_234_568, at(20));
    for number in 1..=5000 {
        show.hear(Who::Producer, Heard::Acknowledged(number), at(20));
    }
    show
}

fn lines(partitions: usize, columns: usize, rows: usize) -> Vec<String> {
    let lines = frame(&show(partitions), at(20), LENGTH, (columns, rows));
    lines.iter().map(Line::text).collect()
}

#[test]
fn it_fits_whatever_the_terminal() {
    for (columns, rows) in [
        (80, 24),
        (80, 25),
        (120, 24),
        (120, 50),
        (200, 60),
        (80, 12),
    ] {
        for partitions in [1, 8, 12, 64] {
            let lines = lines(partitions, columns, rows);
            assert!(
                lines.len() <= rows,
                "{partitions} partitions in {columns}x{rows}"
            );
            for line in &lines {
                assert!(line.chars().count() <= columns, "{columns} columns: {line}");
            }
        }
    }
    // The smallest screens show what fits, and nothing panics.
    for size in 0..30 {
        lines(8, size, size);
    }
}

#[test]
fn owners_are_shown_over_time() {
    let lines = lines(8, 86, 24);
    assert!(lines[0].starts_with("divvy demo: 3 members share 8 partitions"));
    assert!(lines[0].ends_with("20.0 s of 30 s"));
    assert!(lines[1].starts_with("produced 5,000 ("));
    assert!(lines[3].ends_with("30 s"));
    // Two columns a second; A's kill, and a dot until B has taken over.
    let scale = |line: &str| line.chars().skip(LEFT).collect::<String>();
    let first = format!("{}×...{}", "A".repeat(20), "B".repeat(15));
    assert_eq!(scale(&lines[4]), first);
    assert!(lines[4].starts_with("        0    B  "));
    assert_eq!(scale(&lines[5]), "B".repeat(39));
}

#[test]
fn members_show_what_they_do() {
    let lines = lines(8, 80, 24);
    let member = |name: &str| {
        let line = lines
            .iter()
            .find(|line| line.trim_start().starts_with(name));
        line.expect("a line of that member").clone()
    };
    assert!(member("A    ").ends_with("killed at 10.0 s"));
    assert!(member("B    ").ends_with("  0 1 4 5"));
    assert!(member("B    ").contains(" 1234567 "));
    assert!(member("E    ").ends_with("joining"));
    assert!(lines.last().unwrap().ends_with("E is started, pid 1234568"));
}

#[test]
fn those_that_are_gone_make_room() {
    let is_there = |lines: &[String], text: &str| lines.iter().any(|line| line.contains(text));
    let roomy = lines(8, 80, 24);
    assert!(is_there(&roomy, "killed at 10.0 s"));
    let tight = lines(8, 80, 22);
    assert!(!is_there(&tight, "killed at 10.0 s"));
    assert!(is_there(&tight, "joining"));
    assert!(!is_there(&tight, "more partitions"));
    let tighter = lines(64, 80, 24);
    // Ten fit beside four members and three events, the last of which says how many do not.
    assert!(is_there(&tighter, "and 55 more partitions"));
    assert_eq!(tighter.len(), 24);
}

#[test]
fn one_line_says_it_all_where_there_is_no_screen() {
    let status = status(&show(8), at(20));
    assert!(status.starts_with(" 20.0 s  produced 5,000 ("), "{status}");
    assert!(status.ends_with("owners BBCDBBCD"), "{status}");
}
