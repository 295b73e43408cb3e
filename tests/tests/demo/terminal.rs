//! What a person sees: screens of a real terminal, tmux, at 80 and at 120 columns.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Divvy, Process, unique, wait_some, warden};
use tempfile::TempDir;

use crate::PATIENCE;

/// How long partitions may be on their way; the demo is longer.
const SETTLING: Duration = Duration::from_secs(2);

const SIZES: [(usize, usize); 2] = [(80, 24), (120, 40)];

/// A program on a terminal. Both end when this is dropped, and with the test process at the latest.
struct Terminal {
    folder: TempDir,
    server: Process,
}

impl Terminal {
    fn start(columns: usize, rows: usize, arguments: &[&str]) -> Result<Terminal> {
        let folder = warden::temporary_directory()?;
        let mut server = Command::new("tmux");
        // In the foreground, so that it is a child like others.
        server
            .arg("-D")
            .arg("-S")
            .arg(folder.path().join("socket"))
            .args(["-f", "/dev/null"])
            // For the logs of a demo that does not come to its end.
            .env("TMPDIR", folder.path());
        let server = Process::spawn("tmux", &mut server)
            .context("tmux is missing; tests/run installs it")?;
        let terminal = Terminal { folder, server };
        wait_some(PATIENCE, "tmux to listen", || {
            terminal.tmux(&["set", "-g", "remain-on-exit", "on"]).ok()
        })?;
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let program = Divvy::program()?.display().to_string();
        let mut new = vec!["new-session", "-d", "-x", &columns, "-y", &rows, &program];
        new.extend(arguments);
        terminal.tmux(&new)?;
        Ok(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("tmux");
        command
            .arg("-S")
            .arg(self.folder.path().join("socket"))
            .args(arguments);
        let output = command.env_remove("TMUX").output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The screen as it is now.
    fn screen(&self) -> Result<Vec<String>> {
        let shown = self.tmux(&["capture-pane", "-p"])?;
        Ok(shown.lines().map(str::to_owned).collect())
    }

    /// Waits for a screen on which all of these are to be seen.
    fn wait_for(&self, wanted: &[&str]) -> Result<Vec<String>> {
        let mut last = Vec::new();
        let found = wait_some(PATIENCE, &format!("{wanted:?} on the screen"), || {
            last = self.screen().unwrap_or_default();
            let is_there = |part: &&str| last.iter().any(|line| line.contains(part));
            wanted.iter().all(is_there).then(|| last.clone())
        });
        found.with_context(|| format!("the screen is\n{}", last.join("\n")))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Its programs are told by their terminal's end.
        let _ = self.tmux(&["kill-server"]);
        let _ = self.server.wait(Duration::from_secs(10));
    }
}

/// The lines below the one that begins so, as many as there are until an empty one.
fn below<'a>(screen: &'a [String], heading: &str) -> Result<&'a [String]> {
    let starts = |line: &String| line.trim_start().starts_with(heading);
    let at = screen.iter().position(starts);
    let at = at.with_context(|| format!("no {heading:?} in\n{}", screen.join("\n")))?;
    let rest = &screen[at + 1..];
    let end = rest.iter().position(|line| line.trim().is_empty());
    Ok(&rest[..end.unwrap_or(rest.len())])
}

#[test]
fn the_demo_is_readable() -> Result<()> {
    for (columns, rows) in SIZES {
        let arguments = ["demo", "--seconds", "8", "--kills", "1"];
        let terminal = Terminal::start(columns, rows, &arguments)?;
        terminal.wait_for(&[" of A are read by others, after ", "E has joined"])?;
        // A moment later, when what E's joining has moved has its owners.
        let mut last = String::new();
        let readable = wait_some(SETTLING, "a readable screen", || {
            let screen = terminal.screen().ok()?;
            let checked = check_demo(&screen, columns, rows);
            last = format!("{checked:?} at {columns} columns:\n{}", screen.join("\n"));
            checked.ok()
        });
        readable.with_context(|| last)?;
        // The screen is given back, and the account stays.
        let screen = terminal.wait_for(&["lost ", "takeovers"])?;
        assert!(screen.iter().all(|line| !line.contains("owners over time")));
        let lost = screen.iter().find(|line| line.starts_with("lost "));
        let lost = lost.and_then(|line| line.split_whitespace().nth(1));
        assert_eq!(lost, Some("0"), "{}", screen.join("\n"));
    }
    Ok(())
}

/// A line that had been wrapped would be two, of which the second would be out of place.
fn check_demo(screen: &[String], columns: usize, rows: usize) -> Result<()> {
    ensure!(screen.len() <= rows);
    ensure!(screen[0].starts_with("divvy demo: 4 members share 8 partitions"));
    ensure!(screen[0].ends_with(" of 8 s") && screen[0].chars().count() == columns);
    ensure!(screen[1].starts_with("produced "));
    let partitions = below(screen, "partition  owner")?;
    ensure!(partitions.len() == 8, "{} partitions", partitions.len());
    for (id, line) in partitions.iter().enumerate() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [partition, owner, lag, scale] = fields[..] else {
            anyhow::bail!("{line}");
        };
        ensure!(partition.parse() == Ok(id), "{line}");
        ensure!(["B", "C", "D", "E"].contains(&owner), "{line}");
        ensure!(lag.parse::<u64>().is_ok(), "{line}");
        ensure!(scale.chars().all(|cell| "ABCDE.×".contains(cell)), "{line}");
        ensure!(scale.chars().count() <= columns - 26, "{line}");
    }
    let killed = |line: &&String| line.contains('×');
    ensure!(partitions.iter().filter(killed).count() == 2, "A owned two");
    let members = below(screen, "member ")?;
    ensure!(members.len() == 5, "{} members", members.len());
    ensure!(members[0].ends_with(" s") && members[0].contains("  killed at "));
    for line in &members[1..4] {
        let fields: Vec<&str> = line.split_whitespace().collect();
        ensure!(fields.len() >= 5, "{line}");
        ensure!(fields[2].parse::<u64>()? > 0, "no rate: {line}");
    }
    Ok(())
}

#[test]
fn a_screen_that_is_made_smaller_is_drawn_anew() -> Result<()> {
    let terminal = Terminal::start(120, 40, &["demo", "--seconds", "600", "--kills", "0"])?;
    let large = terminal.wait_for(&["divvy demo: 4 members", "D has joined"])?;
    assert_eq!(large[0].chars().count(), 120);
    terminal.tmux(&["resize-window", "-x", "70", "-y", "24"])?;
    let small = wait_some(PATIENCE, "a smaller screen", || {
        let screen = terminal.screen().ok()?;
        (screen.first()?.chars().count() == 70).then_some(screen)
    })?;
    assert_eq!(
        below(&small, "partition  owner")?.len(),
        8,
        "{}",
        small.join("\n")
    );
    Ok(())
}

/// So long that its members' names do not fit on a narrow screen.
const GROUP: &str = "watched-by-the-members-of-the-night-shift";

#[test]
fn watching_a_group_is_readable() -> Result<()> {
    let embedded = Divvy::command(["embedded", "--port", "0", "--zookeeper-port", "0"]).spawn()?;
    let line = embedded
        .stdout()
        .wait_for(PATIENCE, "its addresses", |_| true)?;
    let text = line.text().into_owned();
    let zookeeper = text
        .split(' ')
        .next()
        .and_then(|part| part.strip_prefix("zookeeper="));
    let zookeeper = zookeeper.context(text.clone())?;
    let topic = unique("watched");
    let create = [
        "topic",
        "create",
        "--zookeeper",
        zookeeper,
        "--topic",
        &topic,
        "--partitions",
        "4",
    ];
    let (status, divvy) = Divvy::command(create).run(b"", PATIENCE)?;
    ensure!(status.success(), "{}", divvy.stderr().tail(5));
    let member = [
        "consume",
        "--zookeeper",
        zookeeper,
        "--group",
        GROUP,
        "--topic",
        &topic,
    ];
    let members = [(); 2].map(|()| Divvy::command(member).spawn());
    let members = members.into_iter().collect::<Result<Vec<_>>>()?;
    let produce = ["produce", "--zookeeper", zookeeper, "--topic", &topic];
    let numbers: String = (1..=400).map(|number| format!("{number}\n")).collect();
    let (status, divvy) = Divvy::command(produce).run(numbers.as_bytes(), PATIENCE)?;
    ensure!(status.success(), "{}", divvy.stderr().tail(5));
    for (columns, rows) in SIZES {
        let watch = [
            "group",
            "watch",
            "--zookeeper",
            zookeeper,
            "--group",
            GROUP,
            "--interval",
            "300ms",
        ];
        let terminal = Terminal::start(columns, rows, &watch)?;
        let screen = terminal.wait_for(&["2 members own 4 of 4 partitions", "out/s"])?;
        let partitions = below(&screen, "partition ")?;
        assert_eq!(partitions.len(), 4, "{}", screen.join("\n"));
        for (id, line) in partitions.iter().enumerate() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(fields.len(), 6, "{line}");
            assert_eq!(fields[0], format!("{topic}-{id}"), "{line}");
            assert_eq!(fields[5].contains('…'), columns == 80, "{line}");
            assert!(fields[5].starts_with("watched-by-"), "{line}");
        }
    }
    drop(members);
    Ok(())
}
