//! What is shown of a group, compared with what Kafka's own `ConsumerOffsetChecker` shows.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use divvy_tests::cluster::CheckedOffset;
use divvy_tests::{Cluster, JavaConsumer, unique, wait_for};
use serde_json::Value;

use crate::program::{consumer, ends, json, of_kind};
use crate::{PATIENCE, on_every_version};

on_every_version!(
    a_live_group_is_described_as_kafka_does,
    offsets_in_kafka_are_described_as_kafka_does,
    a_java_member_is_told_from_a_divvy_member,
    groups_are_listed_live_or_not,
    rates_are_those_of_the_producer,
    a_watch_without_a_terminal_prints_lines,
);

/// What `divvy` says, in the words of Kafka's tool.
fn as_checked(lines: &[Value]) -> Result<BTreeMap<i32, CheckedOffset>> {
    let row = |line: &&Value| -> Result<(i32, CheckedOffset)> {
        let partition = line["partition"].as_i64().context("no partition")?;
        let owner = line["owners"][0].as_str().map(str::to_owned);
        let checked = CheckedOffset {
            offset: line["committed"].as_i64(),
            log_size: line["log_end"].as_i64(),
            owner,
        };
        Ok((i32::try_from(partition)?, checked))
    };
    of_kind(lines, "partition").iter().map(row).collect()
}

/// Compares when everything that was produced is committed, so that nothing moves between the two looks.
fn compare(cluster: &Cluster, group: &str, topic: &str, offset_sum: i64) -> Result<()> {
    wait_for(PATIENCE, "all offsets to be committed", || {
        let described = json(cluster, &format!("group describe {group}"));
        let checked = described.and_then(|lines| as_checked(&lines));
        checked
            .is_ok_and(|rows| rows.values().filter_map(|row| row.offset).sum::<i64>() == offset_sum)
    })?;
    let expected = cluster.consumer_offset_checker(group, topic)?;
    for command in ["describe", "lag"] {
        let lines = json(cluster, &format!("group {command} {group}"))?;
        assert_eq!(as_checked(&lines)?, expected, "{command}");
        for line in of_kind(&lines, "partition") {
            let (end, committed) = (line["log_end"].as_i64(), line["committed"].as_i64());
            assert_eq!(
                line["lag"].as_i64(),
                end.zip(committed).map(|(end, at)| end - at)
            );
        }
    }
    assert!(!expected.is_empty());
    Ok(())
}

fn a_live_group_is_described_as_kafka_does(cluster: &Cluster) -> Result<()> {
    let (topic, group) = (unique("described"), unique("group"));
    cluster.create_topic(&topic, 4, 1)?;
    cluster.produce(&topic, "none", 0..50)?;
    let member = consumer(cluster, &group, &topic, "")?;
    compare(cluster, &group, &topic, 50)?;

    // Nobody owns anything any more, and some messages are not read.
    member.term()?;
    member.wait_success(PATIENCE)?;
    cluster.produce(&topic, "none", 50..63)?;
    compare(cluster, &group, &topic, 50)?;
    let sum = json(cluster, &format!("group lag {group}"))?;
    assert_eq!(of_kind(&sum, "group")[0]["lag"], 13);
    Ok(())
}

fn offsets_in_kafka_are_described_as_kafka_does(cluster: &Cluster) -> Result<()> {
    let (topic, group) = (unique("described"), unique("group"));
    cluster.create_topic(&topic, 3, 1)?;
    cluster.produce(&topic, "none", 0..30)?;
    let _member = consumer(cluster, &group, &topic, "--offsets kafka")?;
    compare(cluster, &group, &topic, 30)?;
    let stored = json(cluster, &format!("offsets get --group {group}"))?;
    assert_eq!(stored.len(), 3);
    let in_kafka = stored.iter().filter_map(|line| line["in_kafka"].as_i64());
    assert_eq!(in_kafka.sum::<i64>(), 30);
    assert!(
        stored.iter().all(|line| line["in_zookeeper"].is_null()),
        "{stored:?}"
    );
    Ok(())
}

fn a_java_member_is_told_from_a_divvy_member(cluster: &Cluster) -> Result<()> {
    let (topic, group) = (unique("mixed"), unique("group"));
    cluster.create_topic(&topic, 2, 1)?;
    let _divvy = consumer(cluster, &group, &topic, "")?;
    let mut java = JavaConsumer::new(&group, &topic);
    // The tool refuses it for a group that has offsets.
    java.from_beginning = false;
    let _java = java.spawn(cluster)?;
    let mut lines = Vec::new();
    wait_for(PATIENCE, "both members to own a partition", || {
        lines = json(cluster, &format!("group describe {group}")).unwrap_or_default();
        let owned = of_kind(&lines, "partition");
        let owners = owned.iter().filter_map(|line| line["owners"][0].as_str());
        owners.collect::<std::collections::BTreeSet<_>>().len() == 2
    })?;
    let members = of_kind(&lines, "member");
    let mut dialects: Vec<_> = members
        .iter()
        .filter_map(|m| m["dialect"].as_str())
        .collect();
    dialects.sort_unstable();
    assert_eq!(dialects, ["divvy", "java"]);
    for member in members {
        assert_eq!(member["streams"][&topic], 1, "{member}");
        assert!(
            member["host"].as_str().is_some_and(|host| !host.is_empty()),
            "{member}"
        );
        assert!(
            member["registered_ms"]
                .as_i64()
                .is_some_and(|ms| ms > 1_400_000_000_000)
        );
    }
    Ok(())
}

fn groups_are_listed_live_or_not(cluster: &Cluster) -> Result<()> {
    let (topic, live, dead) = (unique("listed"), unique("live"), unique("dead"));
    cluster.create_topic(&topic, 1, 1)?;
    let _member = consumer(cluster, &live, &topic, "")?;
    cluster
        .zookeeper_view()?
        .put(&format!("/consumers/{dead}/offsets/{topic}/0"), "0")?;
    let listed = json(cluster, "group list")?;
    let members = |name: &str| {
        let found = listed.iter().find(|line| line["group"] == name);
        found.map(|line| (line["members"].as_i64(), line["live"].as_bool()))
    };
    assert_eq!(members(&live), Some((Some(1), Some(true))));
    assert_eq!(members(&dead), Some((Some(0), Some(false))));
    let listed = json(cluster, "group list --live")?;
    assert!(listed.iter().all(|line| line["group"] != dead));

    let unknown = ends(cluster, "group describe never-seen")?;
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.complaint.contains("has no trace in ZooKeeper"),
        "{}",
        unknown.complaint
    );
    let unnamed = ends(cluster, "group describe")?;
    assert_eq!(unnamed.code, Some(2));
    Ok(())
}

fn rates_are_those_of_the_producer(cluster: &Cluster) -> Result<()> {
    let (topic, group) = (unique("rates"), unique("group"));
    cluster.create_topic(&topic, 2, 1)?;
    let _member = consumer(cluster, &group, &topic, "")?;
    let producer = cluster.produce_numbers(&topic, 0..2, 200)?;
    wait_for(PATIENCE, "messages", || producer.acknowledged().len() > 100)?;
    let lines = json(cluster, &format!("group lag {group} --interval 4s"))?;
    let described = json(cluster, &format!("group describe {group} --interval 2s"))?;
    producer.stop()?;
    let rates = of_kind(&described, "partition");
    let rates = rates
        .iter()
        .filter_map(|line| line["consumed_per_second"].as_f64());
    let sum: f64 = rates.sum();
    assert!((100.0..300.0).contains(&sum), "{described:?}");
    let group = of_kind(&lines, "group")[0];
    for rate in ["produced_per_second", "consumed_per_second"] {
        let rate = group[rate].as_f64().context("no rate")?;
        assert!((100.0..300.0).contains(&rate), "{group}");
    }
    assert!(group["reason"].is_null(), "{group}");
    Ok(())
}

fn a_watch_without_a_terminal_prints_lines(cluster: &Cluster) -> Result<()> {
    let (topic, group) = (unique("watched"), unique("group"));
    cluster.create_topic(&topic, 2, 1)?;
    let _member = consumer(cluster, &group, &topic, "")?;
    let watched = ends(
        cluster,
        &format!("group watch {group} --interval 200ms --count 3"),
    )?;
    assert_eq!(watched.code, Some(0), "{}", watched.complaint);
    assert_eq!(watched.lines.len(), 3);
    let begins = format!("{group}: 1 members own 2 of 2 partitions; lag 0");
    for line in watched.lines {
        assert!(
            line.starts_with(&begins) && !line.contains('\x1b'),
            "{line:?}"
        );
    }
    Ok(())
}
