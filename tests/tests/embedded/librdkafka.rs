//! librdkafka, as the program's backend.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use divvy_tests::{Cluster, Divvy, KafkaVersion, unique};

use super::{PATIENCE, as_both_versions};

as_both_versions!(librdkafka_writes_and_reads);

const MESSAGES: usize = 1000;

fn librdkafka_writes_and_reads(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder().kafka(version).brokers(3).start()?;
    let topic = unique("written");
    cluster.create_topic(&topic, 4, 3)?;
    let (bootstrap, zookeeper) = (cluster.bootstrap(), cluster.zookeeper_connect());
    let lines = (0..MESSAGES).map(|number| format!("{number}\n"));
    for codec in ["none", "gzip", "snappy", "lz4"] {
        let produce =
            format!("produce -b {bootstrap} -t {topic} --use-rdkafka --compression {codec}");
        let produce = produce.split(' ');
        let lines: String = lines.clone().collect();
        let (status, divvy) = Divvy::native(produce).run(lines.as_bytes(), PATIENCE)?;
        ensure!(status.success(), "{codec}: {}", divvy.stderr().tail(20));
    }
    let group = unique("group");
    let consume = [
        "consume",
        "--zookeeper",
        &zookeeper,
        "--group",
        &group,
        "--topic",
        &topic,
        "--exit-at-end",
        "--use-rdkafka",
    ];
    let (status, divvy) = Divvy::native(consume).run(b"", PATIENCE)?;
    ensure!(status.success(), "{}", divvy.stderr().tail(20));
    let printed = divvy.stdout().texts();
    ensure!(printed.len() == 4 * MESSAGES, "{} lines", printed.len());
    let values: BTreeSet<usize> = printed
        .iter()
        .filter_map(|line| line.parse().ok())
        .collect();
    ensure!(values == (0..MESSAGES).collect(), "{} values", values.len());
    Ok(())
}
