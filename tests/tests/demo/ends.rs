//! However the demo ends, none of its processes outlives it.

use std::time::Duration;

use anyhow::Result;
use divvy_tests::{Divvy, wait_for, warden};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::PATIENCE;
use crate::processes::{descendants, still_there};

/// How long processes may take to notice that their demo was killed. The producer tries to deliver for 5 s.
const NOTICING: Duration = Duration::from_secs(15);

/// A demo that is at work: four members with their helpers, and a producer. Its logs, which one that is killed leaves behind, are
/// in the folder.
fn at_work() -> Result<(Divvy, TempDir)> {
    let logs = warden::temporary_directory()?;
    let demo = Divvy::command(["demo", "--seconds", "600"]);
    let divvy = demo.env("TMPDIR", logs.path()).spawn()?;
    divvy
        .stdout()
        .wait_for(PATIENCE, "the demo to be at work", |line| {
            line.contains("owners ") && !line.contains("produced 0 ")
        })?;
    Ok((divvy, logs))
}

#[test]
fn a_demo_that_is_killed_leaves_no_process() -> Result<()> {
    let (divvy, _logs) = at_work()?;
    let processes = descendants(divvy.pid());
    let with = |text: &str| {
        processes
            .iter()
            .filter(|process| process.command.contains(text))
            .count()
    };
    assert_eq!(
        (with(" consume "), with(" produce ")),
        (4, 1),
        "{processes:?}"
    );
    // The helpers that free the partitions of members that die.
    assert_eq!(processes.len(), 9, "{processes:?}");
    divvy.kill();
    wait_for(NOTICING, "the end of every process", || {
        still_there(&processes).is_empty()
    })
    .map_err(|error| error.context(format!("{:?}", still_there(&processes))))
}

#[test]
fn ctrl_c_ends_it_with_the_account_so_far() -> Result<()> {
    for signal in [Signal::INT, Signal::TERM] {
        let (divvy, _logs) = at_work()?;
        let processes = descendants(divvy.pid());
        divvy.signal(signal)?;
        divvy.wait_success(PATIENCE)?;
        let lines = divvy.stdout().texts();
        let lost = lines.iter().find(|line| line.starts_with("lost "));
        let lost = lost.and_then(|line| line.split_whitespace().nth(1));
        assert_eq!(lost, Some("0"), "{}", lines.join("\n"));
        wait_for(NOTICING, "the end of every process", || {
            still_there(&processes).is_empty()
        })?;
    }
    Ok(())
}

#[test]
fn a_reader_that_goes_away_ends_it() -> Result<()> {
    let logs = warden::temporary_directory()?;
    let mut shell = std::process::Command::new("sh");
    shell
        .env("TMPDIR", logs.path())
        .args(["-c", r#""$0" demo --seconds 600 | head -n 20"#])
        .arg(Divvy::program()?);
    let shell = divvy_tests::Process::spawn("sh", &mut shell)?;
    shell.stdout().wait_for(PATIENCE, "its members", |line| {
        line.contains("D has joined")
    })?;
    let processes = descendants(shell.pid());
    shell.wait_success(PATIENCE)?;
    wait_for(NOTICING, "the end of every process", || {
        still_there(&processes).is_empty()
    })
}

#[test]
fn a_member_that_dies_unasked_is_told() -> Result<()> {
    let divvy = Divvy::command(["demo", "--seconds", "600", "--kills", "0"]).spawn()?;
    divvy
        .stdout()
        .wait_for(PATIENCE, "the demo to be at work", |line| {
            line.contains("owners ")
        })?;
    let members = descendants(divvy.pid());
    let member = members
        .iter()
        .find(|process| process.command.contains(" consume "));
    let pid = member.and_then(|member| i32::try_from(member.pid).ok());
    let pid = pid
        .and_then(rustix::process::Pid::from_raw)
        .expect("a member");
    rustix::process::kill_process(pid, Signal::KILL)?;
    divvy
        .stdout()
        .wait_for(PATIENCE, "the member's end", |line| {
            line.contains("ended unasked")
        })?;
    divvy.term()?;
    let status = divvy.wait(PATIENCE)?;
    assert_eq!(status.code(), Some(1));
    let stderr = divvy.stderr().texts().join("\n");
    assert!(
        stderr.contains("the logs of the processes are in "),
        "{stderr}"
    );
    let logs = stderr.split("the logs of the processes are in ").nth(1);
    let logs = logs.and_then(|rest| rest.lines().next()).expect("a folder");
    assert!(
        std::path::Path::new(logs).join("member-A.log").exists(),
        "{stderr}"
    );
    std::fs::remove_dir_all(logs)?;
    Ok(())
}
