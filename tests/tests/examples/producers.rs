//! What writes.

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, Divvy, KafkaVersion, on_every_version, unique};

use super::{PATIENCE, run};

on_every_version!(
    every_line_becomes_a_message,
    one_key_has_a_partition_to_itself,
    records_are_stored_where_it_says,
);

const LINES: usize = 25_000;

fn every_line_becomes_a_message(version: KafkaVersion) -> Result<()> {
    let (cluster, topic) = topic(version)?;
    let lines: String = (0..LINES).map(|number| format!("{number}\n")).collect();
    let printed = run("batch_produce", &[&cluster.bootstrap(), &topic], &lines)?;
    ensure!(
        printed == [format!("{LINES} stored, 0 failed")],
        "{printed:?}"
    );
    let mut numbers = Vec::new();
    for line in tail(cluster, &topic, "%s\\n")? {
        numbers.push(line.parse::<usize>()?);
    }
    numbers.sort_unstable();
    ensure!(numbers.into_iter().eq(0..LINES), "these are not the lines");
    Ok(())
}

fn one_key_has_a_partition_to_itself(version: KafkaVersion) -> Result<()> {
    let (cluster, topic) = topic(version)?;
    let bootstrap = cluster.bootstrap();
    let mut arguments = vec![&*bootstrap, &topic, "acme"];
    let keys = ["acme", "zenith", "bolt", "acme", "crane", "dove", "eagle"];
    arguments.extend(keys);
    let printed = run("custom_partitioner", &arguments, "")?;
    ensure!(printed.len() == keys.len(), "{printed:?}");
    for line in tail(cluster, &topic, "%k is in partition %p\\n")? {
        ensure!(printed.contains(&line), "it did not say that {line}");
        ensure!(
            line.starts_with("acme") == line.ends_with(" 0"),
            "{line}, and the first is acme's alone"
        );
    }
    Ok(())
}

fn records_are_stored_where_it_says(version: KafkaVersion) -> Result<()> {
    let (cluster, topic) = topic(version)?;
    let mut said = run("producer", &[&cluster.bootstrap(), &topic, "10"], "")?;
    said.sort();
    let mut found = tail(cluster, &topic, "stored at %t-%p@%o\\n")?;
    found.sort();
    ensure!(said.len() == 10 && said == found, "{said:?} and {found:?}");
    Ok(())
}

fn topic(version: KafkaVersion) -> Result<(&'static Cluster, String)> {
    let cluster = Cluster::shared(version)?;
    let topic = unique("orders");
    cluster.create_topic(&topic, 3, 1)?;
    Ok((cluster, topic))
}

/// All that is in a topic.
fn tail(cluster: &Cluster, topic: &str, format: &str) -> Result<Vec<String>> {
    let bootstrap = cluster.bootstrap();
    let arguments = ["tail", "--bootstrap", &bootstrap, "--topic", topic];
    let arguments = arguments.into_iter();
    let divvy = Divvy::command(arguments.chain([
        "--from",
        "earliest",
        "--exit-at-end",
        "--format",
        format,
    ]));
    let (status, divvy) = divvy.run(b"", PATIENCE)?;
    ensure!(status.success(), "{}", divvy.stderr().tail(20));
    let lines = divvy.stdout().texts();
    lines.first().context("the topic is empty")?;
    Ok(lines)
}
