//! Connections that are lost.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, KafkaVersion, Process, on_every_version, unique, wait_for};

use super::{PATIENCE, interrupt, start};

on_every_version!(everything_goes_on_when_servers_are_back);

fn everything_goes_on_when_servers_are_back(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder()
        .kafka(version)
        // ZooKeeper's servers, while they stand still, must not cost the sessions.
        .tick_ms(3000)
        .start()?;
    let (group, topic) = (unique("resilient"), unique("orders"));
    cluster.create_topic(&topic, 2, 1)?;
    let arguments = [&cluster.zookeeper_connect(), &group, &topic];
    let program = start("connection_loss", &arguments.map(String::as_str))?;
    said(&program, "assigned: ", 1)?;
    cluster.produce(&topic, "none", 0..10)?;
    all_printed(&program, 10)?;

    let zookeeper = &cluster.zookeepers()[0];
    zookeeper.stop()?;
    said(&program, "suspended: ", 1)?;
    zookeeper.cont()?;
    said(&program, "resumed: ", 1)?;

    let broker = &cluster.brokers()[0];
    broker.restart()?;
    cluster.produce(&topic, "none", 10..20)?;
    all_printed(&program, 20)?;
    interrupt(&program)?;
    let committed = cluster.zookeeper_view()?.offsets(&group, &topic)?;
    ensure!(
        committed.values().sum::<i64>() == 20,
        "{committed:?} is committed"
    );
    let lines = program.stdout().texts();
    ensure!(
        !lines.iter().any(|line| line.starts_with("lost")),
        "partitions were lost:\n{}",
        program.stdout().tail(30)
    );
    Ok(())
}

fn said(program: &Process, what: &str, times: usize) -> Result<()> {
    wait_for(PATIENCE, what, || {
        let lines = program.stdout().texts();
        lines.iter().filter(|line| line.starts_with(what)).count() >= times
    })
    .with_context(|| format!("it says:\n{}", program.stdout().tail(20)))
}

/// Each number once, and nothing else.
fn all_printed(program: &Process, numbers: usize) -> Result<()> {
    let printed = || {
        let mut times = BTreeMap::new();
        for line in program.stdout().texts() {
            if let Some((place, number)) = line.split_once(": ")
                && place.contains('@')
            {
                *times.entry(number.to_owned()).or_insert(0) += 1;
            }
        }
        times
    };
    wait_for(PATIENCE, "every number to be printed", || {
        printed().len() >= numbers
    })
    .with_context(|| format!("it says:\n{}", program.stdout().tail(20)))?;
    let times = printed();
    ensure!(
        times.len() == numbers && times.values().all(|times| *times == 1),
        "{times:?}"
    );
    Ok(())
}
