//! Where there is no terminal: lines, and the account.

use anyhow::{Context as _, Result};
use divvy_tests::Divvy;
use serde_json::Value;

use crate::PATIENCE;

#[test]
fn a_short_demo_kills_two_members_and_loses_nothing() -> Result<()> {
    let arguments = ["demo", "--seconds", "5", "--kills", "2", "--rate", "500"];
    let divvy = Divvy::command(arguments).spawn()?;
    divvy.wait_success(PATIENCE)?;
    let lines = divvy.stdout().texts();
    let has = |wanted: &[&str]| {
        let line = lines
            .iter()
            .find(|line| wanted.iter().all(|part| line.contains(part)));
        line.with_context(|| format!("no line with {wanted:?} in\n{}", lines.join("\n")))
    };
    for wanted in [
        ["A is started, pid ", ""],
        ["every partition has an owner", ""],
        ["A is killed, which owned ", ""],
        [" of A are read by others, after ", " ms"],
        ["E has joined and owns ", " ms"],
        ["F has joined and owns ", " ms"],
        ["produced ", "owners "],
        ["6 members on 8 partitions, 2 of them killed", ""],
        ["takeovers", "median "],
    ] {
        has(&wanted)?;
    }
    let number = |name: &str| -> Result<u64> {
        let line = lines.iter().find(|line| line.starts_with(name));
        let line = line.with_context(|| format!("no {name} in\n{}", lines.join("\n")))?;
        let number = line.split_whitespace().nth(1).context("no number")?;
        Ok(number.replace(',', "").parse()?)
    };
    assert_eq!(number("lost ")?, 0);
    assert!(number("produced ")? > 1000, "{}", lines.join("\n"));
    assert_eq!(number("produced ")?, number("consumed ")?);
    // Nothing for a terminal where there is none.
    assert!(lines.iter().all(|line| !line.contains('\u{1b}')));
    Ok(())
}

#[test]
fn scripts_read_the_account_as_json() -> Result<()> {
    let arguments = [
        "demo",
        "--json",
        "--seconds",
        "3",
        "--kills",
        "1",
        "--members",
        "2",
        "--partitions",
        "3",
    ];
    // What is set for other clusters does not lead the members astray.
    let divvy = Divvy::command(arguments)
        .env("DIVVY_BOOTSTRAP", "127.0.0.1:1")
        .env("DIVVY_GROUP", "another")
        .spawn()?;
    divvy.wait_success(PATIENCE)?;
    let lines = divvy.stdout().texts();
    assert_eq!(lines.len(), 1, "{}", lines.join("\n"));
    let account: Value = serde_json::from_str(&lines[0])?;
    for (field, value) in [
        ("lost", 0),
        ("unknown", 0),
        ("unacknowledged", 0),
        ("members", 3),
        ("partitions", 3),
    ] {
        assert_eq!(account[field], value, "{field} in {account}");
    }
    let count = |field: &str| account[field].as_u64().unwrap_or_default();
    assert!(count("produced") > 1000, "{account}");
    assert_eq!(count("produced"), count("consumed"), "{account}");
    assert_eq!(
        count("printed"),
        count("consumed") + count("duplicates"),
        "{account}"
    );
    let kills = account["kills"].as_array().context("no kills")?;
    assert_eq!(kills.len(), 1, "{account}");
    let taken = kills[0]["takeover_ms"]
        .as_object()
        .context("no takeovers")?;
    assert!(!taken.is_empty(), "{account}");
    assert!(
        taken
            .values()
            .all(|took| took.as_f64().is_some_and(|took| took > 0.0)),
        "{account}"
    );
    assert!(
        divvy
            .stderr()
            .texts()
            .iter()
            .any(|line| line.contains("A is killed"))
    );
    Ok(())
}
