//! A broker of 0.11, whose record batches have CRC-32C, timestamps and headers, through the same code.

use anyhow::Result;
use divvy_tests::{Cluster, Divvy, KafkaVersion, unique};
use serde_json::{Value, json};

use crate::PATIENCE;
use crate::program::split;
use crate::records::{FORMAT, Record, parse, produce};

#[test]
fn record_batches_with_headers_are_read() -> Result<()> {
    let cluster = Cluster::shared(KafkaVersion::V0_11_0_3)?;
    for codec in ["none", "gzip", "snappy", "lz4"] {
        let topic = unique("headers");
        cluster.create_topic(&topic, 1, 1)?;
        let headers: &[(&str, &[(&str, &str)])] = &[
            ("bare", &[]),
            (
                "dressed",
                &[("hat", "red"), ("hat", ""), ("sch\u{e4}l", "\u{2713}")],
            ),
        ];
        cluster.produce_with_headers(&topic, codec, headers)?;
        let log = cluster.log_segment(0, &topic, 0).display().to_string();
        let log = cluster.run_java_tool("kafka.tools.DumpLogSegments", ["--files", &log], b"")?;
        assert!(log.contains("magic: 2"), "{log}");

        let (bootstrap, zookeeper) = (cluster.bootstrap(), cluster.zookeeper_connect());
        let commands = [
            format!("tail --bootstrap {bootstrap} --broker-version 0.11"),
            format!("tail --bootstrap {bootstrap} --broker-version auto"),
            format!("tail --zookeeper {zookeeper}"),
            format!("consume --zookeeper {zookeeper} --group {topic} --broker-version 0.11"),
            format!("consume --zookeeper {zookeeper} --group {topic}-auto --offsets kafka"),
        ];
        for command in commands {
            let found = read_json(&command, &topic)?;
            assert_eq!(found.len(), 2, "{codec}, {command}");
            assert_eq!(found[0]["value"], "bare");
            assert_eq!(found[0]["headers"], json!([]));
            assert_eq!(found[1]["value"], "dressed");
            assert_eq!(
                found[1]["headers"],
                json!([
                    {"key": "hat", "value": "red"},
                    {"key": "hat", "value": ""},
                    {"key": "sch\u{e4}l", "value": "\u{2713}"},
                ])
            );
            // Between 2020 and 2100.
            let timestamp = found[1]["timestamp"].as_i64().unwrap_or_default();
            assert!(
                (1_577_836_800_000..4_102_444_800_000).contains(&timestamp),
                "{timestamp}"
            );
        }
    }
    Ok(())
}

fn read_json(command: &str, topic: &str) -> Result<Vec<Value>> {
    let arguments = [command, "--topic", topic, "--exit-at-end --json"];
    let lines = crate::program::run(&arguments)?.stdout().texts();
    lines
        .iter()
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}

/// Versions that are older than the broker's make it write the old formats out; the messages are the same.
#[test]
fn older_requests_read_the_same_messages() -> Result<()> {
    let cluster = Cluster::shared(KafkaVersion::V0_11_0_3)?;
    let topic = unique("formats");
    cluster.create_topic(&topic, 1, 1)?;
    let mut records = vec![
        Record::new(None, Some(b"")),
        Record::new(Some(b""), None),
        Record::new(Some(b"\0\xff"), Some(&[7; 5000])),
    ];
    produce(cluster, &topic, "snappy", &records)?;
    for (offset, record) in (0..).zip(&mut records) {
        record.offset = offset;
    }
    let bootstrap = cluster.bootstrap();
    for version in ["0.8.2", "0.9", "0.10.2", "0.11", "auto"] {
        let arguments = [
            "tail --exit-at-end --bootstrap",
            &bootstrap,
            "--topic",
            &topic,
            "--broker-version",
            version,
            "--format",
        ];
        let mut arguments = split(&arguments);
        arguments.push(FORMAT);
        let (status, divvy) = Divvy::command(arguments).run(b"", PATIENCE)?;
        assert!(status.success(), "{version}: {}", divvy.stderr().tail(20));
        assert_eq!(parse(divvy.stdout())?, records, "{version}");
    }
    Ok(())
}

/// Brokers from 0.10.1 on need no ZooKeeper for it.
#[test]
fn topics_are_created_and_deleted_through_a_broker() -> Result<()> {
    let cluster = Cluster::shared(KafkaVersion::V0_11_0_3)?;
    let (topic, bootstrap) = (unique("asked-for"), cluster.bootstrap());
    crate::program::run(&[
        "topic create --partitions 2 --bootstrap",
        &bootstrap,
        &topic,
    ])?;
    assert_eq!(cluster.metadata()?.topics[&topic].len(), 2);
    crate::program::run(&["topic delete --bootstrap", &bootstrap, &topic])?;
    assert!(!cluster.metadata()?.topics.contains_key(&topic));
    Ok(())
}
