//! Groups that brokers coordinate are listed, and are told from those that ZooKeeper coordinates.

use std::fs;

use anyhow::{Context as _, Result};
use divvy_tests::{Cluster, KafkaVersion, unique, wait_for, warden};
use serde_json::json as value;

use crate::PATIENCE;
use crate::program::{consumer, ends, json};

#[test]
fn kafka_0_9_0_1_lists_the_groups_of_its_newer_consumer() -> Result<()> {
    let cluster = Cluster::shared(KafkaVersion::V0_9_0_1)?;
    let (topic, group) = (unique("managed"), unique("group"));
    cluster.create_topic(&topic, 2, 1)?;
    let directory = warden::temporary_directory()?;
    let config = directory.path().join("consumer.properties");
    fs::write(&config, format!("group.id={group}\n"))?;
    let config = config.to_str().context("a path that is no text")?;
    let bootstrap = cluster.bootstrap();
    let _member = cluster.java_tool(
        "kafka.tools.ConsoleConsumer",
        [
            "--new-consumer",
            "--bootstrap-server",
            &bootstrap,
            "--topic",
            &topic,
        ]
        .into_iter()
        .chain(["--consumer.config", config]),
    )?;
    let _in_zookeeper = consumer(cluster, &unique("group"), &topic, "")?;

    let list = format!("group list --managed --topic {topic}");
    let mut found = Vec::new();
    wait_for(PATIENCE, "the group to share its partitions out", || {
        found = json(cluster, &list).unwrap_or_default();
        found
            .first()
            .is_some_and(|group| group["state"] == "Stable")
    })?;
    let expected = value!({
        "group": group, "coordinator": 0, "state": "Stable", "protocol_type": "consumer",
        "protocol": "range", "members": 1, "live": true, "topics": [topic],
    });
    assert_eq!(found, [expected]);
    let other = json(cluster, "group list --managed --topic another")?;
    assert_eq!(other, [value!(null); 0]);
    let described = ends(cluster, &format!("group describe {group}"))?;
    assert_eq!(described.code, Some(1));
    assert!(
        described.complaint.contains("group list --managed"),
        "{}",
        described.complaint
    );
    Ok(())
}

#[test]
fn kafka_0_8_2_2_coordinates_no_groups() -> Result<()> {
    let cluster = Cluster::shared(KafkaVersion::V0_8_2_2)?;
    let listed = ends(cluster, "group list --managed")?;
    assert_eq!(listed.code, Some(2));
    assert!(
        listed.complaint.contains("coordinated through ZooKeeper"),
        "{}",
        listed.complaint
    );
    Ok(())
}
