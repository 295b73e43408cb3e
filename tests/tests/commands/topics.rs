//! `divvy topic`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use divvy_tests::{Cluster, Divvy, unique};
use serde_json::{Value, json};

use crate::program::{first_lines, run, split};
use crate::{PATIENCE, on_every_version};

on_every_version!(
    topics_are_created_and_described,
    what_exists_is_left_as_it_is,
    topics_are_listed,
    deleted_topics_are_gone,
);

fn topics_are_created_and_described(cluster: &Cluster) -> Result<()> {
    let topic = unique("made");
    let (bootstrap, zookeeper) = (cluster.bootstrap(), cluster.zookeeper_connect());
    run(&[
        "topic create --partitions 3 --zookeeper",
        &zookeeper,
        &topic,
    ])?;
    // It can be used at once.
    assert_eq!(cluster.metadata()?.topics[&topic].len(), 3);
    cluster.produce(&topic, "none", 0..30)?;

    for place in [["--bootstrap", &bootstrap], ["--zookeeper", &zookeeper]] {
        let described = run(&[&["topic describe --json", &topic][..], &place].concat())?;
        let lines = described.stdout().texts();
        let found = lines.iter().map(|line| Ok(serde_json::from_str(line)?));
        let found = found.collect::<Result<Vec<Value>>>()?;
        let expected = [0, 1, 2].map(|partition| {
            json!({
                "topic": topic, "partition": partition, "leader": 0, "replicas": [0], "isr": [0],
                "first_offset": 0, "next_offset": 10,
            })
        });
        assert_eq!(found, expected);
    }
    let table = run(&["topic describe --bootstrap", &bootstrap, &topic])?;
    let rows = table.stdout().texts();
    let rows: Vec<Vec<&str>> = rows
        .iter()
        .map(|row| row.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[0][0], "partition");
    assert_eq!(rows[3], ["2", "0", "0", "0", "0", "10"]);
    Ok(())
}

fn what_exists_is_left_as_it_is(cluster: &Cluster) -> Result<()> {
    let topic = unique("there");
    let zookeeper = cluster.zookeeper_connect();
    let create = format!("topic create --zookeeper {zookeeper} --partitions");
    run(&[&create, "2", &topic])?;
    let began = Instant::now();
    run(&[&create, "5 --if-not-exists", &topic])?;
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "waited for partitions that nobody makes"
    );
    assert_eq!(cluster.metadata()?.topics[&topic].len(), 2);

    let other = unique("not-there");
    let refusals = [
        (
            format!("{create} 2 {topic}"),
            format!("topic `{topic}` exists already"),
        ),
        (
            format!("{create} 2 --replication-factor 2 {other}"),
            "a replication factor of 2 is not possible".to_owned(),
        ),
    ];
    for (arguments, expected) in refusals {
        let (status, divvy) = Divvy::command(split(&[&arguments])).run(b"", PATIENCE)?;
        assert_eq!(status.code(), Some(1), "{arguments}");
        assert!(divvy.stdout().is_empty());
        assert_eq!(divvy.stderr().len(), 1, "{}", divvy.stderr().tail(20));
        assert!(
            divvy.stderr().tail(1).contains(&expected),
            "{}",
            divvy.stderr().tail(1)
        );
    }
    assert!(!cluster.metadata()?.topics.contains_key(&other));
    Ok(())
}

fn topics_are_listed(cluster: &Cluster) -> Result<()> {
    let topics = [unique("listed"), unique("listed")];
    let (bootstrap, zookeeper) = (cluster.bootstrap(), cluster.zookeeper_connect());
    for topic in &topics {
        cluster.create_topic(topic, 2, 1)?;
    }
    for place in [["--bootstrap", &bootstrap], ["--zookeeper", &zookeeper]] {
        let listed = run(&[&["topic list"][..], &place].concat())?
            .stdout()
            .texts();
        assert!(listed.is_sorted(), "{listed:?}");
        let listed = BTreeSet::from_iter(listed);
        assert!(
            topics.iter().all(|topic| listed.contains(topic)),
            "{listed:?}"
        );
    }
    let listed = run(&["topic list --json --bootstrap", &bootstrap])?;
    let expected =
        json!({"topic": topics[0], "partitions": 2, "replication_factor": 1}).to_string();
    let lines = listed.stdout().texts();
    let same = |line: &String| {
        serde_json::from_str::<Value>(line).ok() == serde_json::from_str(&expected).ok()
    };
    assert!(lines.iter().any(same), "{lines:?}");
    assert_eq!(
        first_lines(&format!("topic list --bootstrap {bootstrap}"), 1)?.len(),
        1
    );
    // A reader that is gone before the first line.
    assert_eq!(
        first_lines(&format!("topic list --bootstrap {bootstrap}"), 0)?.len(),
        0
    );
    Ok(())
}

fn deleted_topics_are_gone(cluster: &Cluster) -> Result<()> {
    let (topic, other) = (unique("deleted"), unique("kept"));
    for topic in [&topic, &other] {
        cluster.create_topic(topic, 2, 1)?;
    }
    let zookeeper = cluster.zookeeper_connect();
    let delete = format!("topic delete --zookeeper {zookeeper}");
    run(&[&delete, &topic])?;
    let topics = cluster.metadata()?.topics;
    assert!(!topics.contains_key(&topic) && topics.contains_key(&other));

    let without_zookeeper = format!("topic delete --bootstrap {}", cluster.bootstrap());
    let refusals = [
        (format!("{delete} {topic}"), 1, "does not exist"),
        (format!("{delete} __consumer_offsets"), 2, "Kafka's own"),
        (
            format!("{without_zookeeper} {other}"),
            2,
            "came with 0.10.1",
        ),
    ];
    for (arguments, code, expected) in refusals {
        let (status, divvy) = Divvy::command(split(&[&arguments])).run(b"", PATIENCE)?;
        assert_eq!(status.code(), Some(code), "{arguments}");
        let said = divvy.stderr().tail(20);
        assert!(said.contains(expected), "{said}");
    }
    assert!(cluster.metadata()?.topics.contains_key(&other));
    Ok(())
}
