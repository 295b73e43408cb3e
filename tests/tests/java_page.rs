//! What docs/java.md says of Kafka's high-level consumer in Java is complete: every property and every method has its row.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use divvy_tests::jars::jdk;
use divvy_tests::{Jars, KafkaVersion, paths};

const VERSIONS: [KafkaVersion; 2] = [KafkaVersion::V0_8_2_2, KafkaVersion::V0_9_0_1];

#[test]
fn every_property_has_its_row() -> Result<()> {
    let page = page()?;
    for version in VERSIONS {
        let mut properties = BTreeSet::new();
        for class in [
            "kafka.consumer.ConsumerConfig",
            "kafka.consumer.ConsumerConfig$",
            "kafka.utils.ZKConfig",
        ] {
            let code = javap(version, class, &["-p", "-c", "-constants"])?;
            let strings = code
                .lines()
                .filter_map(|line| line.split_once("// String "));
            let strings = strings.map(|(_, text)| text.to_owned());
            properties.extend(strings.filter(|text| is_property(text)));
        }
        // Some of them, so that a class that has moved is noticed.
        for known in ["group.id", "zookeeper.connect", "rebalance.max.retries"] {
            ensure!(properties.contains(known), "Kafka {version} has no {known}");
        }
        ensure!(
            properties.len() >= 28,
            "Kafka {version} has only {properties:?}"
        );
        let missing: Vec<&String> = properties
            .iter()
            .filter(|name| !is_in_a_row(&page, &format!("`{name}`")))
            .collect();
        ensure!(missing.is_empty(), "without a row: {missing:?}");
    }
    Ok(())
}

#[test]
fn every_method_has_its_row() -> Result<()> {
    let page = page()?;
    // The listener is there from 0.9 on.
    let classes = [
        "kafka.javaapi.consumer.ConsumerConnector",
        "kafka.javaapi.consumer.ConsumerRebalanceListener",
    ];
    for class in classes {
        let code = javap(KafkaVersion::V0_9_0_1, class, &[])?;
        let methods = code.lines().filter_map(|line| {
            let (before, _) = line.split_once('(')?;
            before.rsplit(' ').next()
        });
        let methods: BTreeSet<&str> = methods.collect();
        ensure!(methods.len() > 1, "{class} has only {methods:?}");
        for method in methods {
            ensure!(
                is_in_a_row(&page, &format!("`{method}(")),
                "{class}.{method} is without a row"
            );
        }
    }
    Ok(())
}

fn page() -> Result<String> {
    let path = paths::workspace().join("docs/java.md");
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn is_in_a_row(page: &str, what: &str) -> bool {
    let mut rows = page.lines().filter(|line| line.starts_with('|'));
    rows.any(|row| row.contains(what))
}

/// Words with dots between them.
fn is_property(text: &str) -> bool {
    let mut words = text.split('.');
    text.contains('.')
        && words.all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
}

/// What is in one of Kafka's classes.
fn javap(version: KafkaVersion, class: &str, options: &[&str]) -> Result<String> {
    let jars = Jars::resolve(version)?;
    let shown = Command::new(jdk("javap"))
        .args(options)
        .args(["-cp", &format!("{}/*", jars.directory().display()), class])
        .output()
        .context("cannot run javap")?;
    ensure!(
        shown.status.success(),
        "{}",
        String::from_utf8_lossy(&shown.stderr)
    );
    Ok(String::from_utf8(shown.stdout)?)
}
