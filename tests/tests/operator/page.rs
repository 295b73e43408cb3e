//! The page for those who come from PyKafka: everything of PyKafka's has its row, and what a row names as ours is there.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use divvy::{
    BalancedConsumerConfig, ClientConfig, ProducerConfig, SimpleConsumerConfig, ZooKeeperConfig,
};
use divvy_tests::{Divvy, paths, pykafka_commands, pykafka_options};

use crate::PATIENCE;

/// The rows of the table below a heading, by cells.
fn rows(heading: &str) -> Result<Vec<Vec<String>>> {
    let page = fs::read_to_string(paths::workspace().join("docs/pykafka.md"))?;
    let rest = page.split_once(&format!("## {heading}\n"));
    let (_, rest) = rest.with_context(|| format!("no part {heading}"))?;
    let (part, _) = rest.split_once("\n## ").context("no end")?;
    let rows = part.lines().filter(|line| line.starts_with("| `"));
    let cells = |row: &str| row.split('|').map(|cell| cell.trim().to_owned()).collect();
    Ok(rows.map(cells).collect())
}

/// What stands between back quotes.
fn in_code(cell: &str) -> Vec<String> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

/// Each row has an option with its default, in PyKafka's order. Names in lower case are fields of ours; others are methods and
/// types.
fn check_options(heading: &str, expected: &[(String, String)], ours: &str) -> Result<()> {
    let rows = rows(heading)?;
    let options: Vec<(String, String)> = rows
        .iter()
        .map(|row| (in_code(&row[1]).join(""), in_code(&row[2]).swap_remove(0)))
        .collect();
    assert_eq!(options, expected, "{heading}");
    let mut fields = 0;
    for name in rows.iter().flat_map(|row| in_code(&row[3])) {
        if name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter == '_')
        {
            ensure!(
                ours.contains(&format!(" {name}: ")),
                "no field {name}: {ours}"
            );
            fields += 1;
        }
    }
    ensure!(fields > 4, "{heading}: {fields} fields");
    Ok(())
}

#[test]
fn every_option_of_pykafkas_producer_has_its_row() -> Result<()> {
    let ours = format!("{:?}", ProducerConfig::default());
    check_options(
        "The producer's options",
        &pykafka_options("Producer")?,
        &ours,
    )
}

#[test]
fn every_option_of_pykafkas_client_has_its_row() -> Result<()> {
    let ours = format!("{:?}", ClientConfig::bootstrap(["kafka"]));
    check_options(
        "The client's options",
        &pykafka_options("KafkaClient")?,
        &ours,
    )
}

#[test]
fn every_option_of_pykafkas_consumers_has_its_row() -> Result<()> {
    let simple = pykafka_options("SimpleConsumer")?;
    let client = ClientConfig::bootstrap(["kafka"]);
    let ours = format!("{:?} {client:?}", SimpleConsumerConfig::new(["topic"]));
    check_options("The simple consumer's options", &simple, &ours)?;

    let mut balanced = pykafka_options("BalancedConsumer")?;
    balanced.retain(|(name, _)| simple.iter().all(|(known, _)| known != name));
    let zookeeper = ZooKeeperConfig::new("zookeeper");
    let config = BalancedConsumerConfig::new(zookeeper.clone(), "group", ["topic"]);
    let (_, _) = (&config.listener, &config.assignor);
    let ours = format!("{zookeeper:?} {:?} listener: assignor: ,", config.consumer);
    check_options("The balanced consumer's options", &balanced, &ours)
}

/// Each row begins with a command of PyKafka's, and `divvy` takes what stands beside it.
#[test]
fn every_command_of_kafka_tools_has_its_row() -> Result<()> {
    let rows = rows("The commands of kafka-tools")?;
    let commands = rows.iter().map(|row| in_code(&row[1]).swap_remove(0));
    let commands: BTreeSet<String> = commands
        .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(commands, pykafka_commands()?);
    assert_eq!(commands.len(), rows.len());
    for row in rows {
        let line = in_code(&row[2]).swap_remove(0).replace("OFFSET", "latest");
        // Nobody is asked: it is seen before that no cluster is named.
        let (status, divvy) = Divvy::command(line.split(' ')).run(b"", PATIENCE)?;
        let said = divvy.stderr().tail(20);
        assert_eq!(status.code(), Some(2), "{line}: {said}");
        assert!(
            said.contains("--zookeeper") && said.contains("divvy: say where"),
            "{line}: {said}"
        );
    }
    Ok(())
}
