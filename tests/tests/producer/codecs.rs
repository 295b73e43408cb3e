//! Every codec with every kind of acks, read by Kafka's own consumer.

use std::collections::BTreeMap;

use divvy_tests::{Cluster, JavaConsumer, KafkaVersion, tests_on, unique};

use super::*;

tests_on!(
    [
        embedded = Embedded0_8_2,
        kafka_0_8_2_2 = V0_8_2_2,
        kafka_0_9_0_1 = V0_9_0_1
    ],
    at_any_time,
    java_reads_what_is_produced
);
// The first line with record batches.
tests_on!(
    [kafka_0_11_0_3 = V0_11_0_3],
    at_any_time,
    java_reads_what_is_produced
);

const CODECS: [&str; 4] = ["none", "gzip", "snappy", "lz4"];
const ACKS: [&str; 3] = ["0", "1", "all"];
/// More than one batch holds, and much more than is compressed in passing.
const MESSAGES: usize = 2000;

fn java_reads_what_is_produced(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let topic = unique("codecs");
    let ways: Vec<(&str, &str)> = CODECS
        .iter()
        .flat_map(|codec| ACKS.iter().map(move |acks| (*codec, *acks)))
        .collect();
    cluster.create_topic(&topic, ways.len(), 1)?;

    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (partition, (codec, acks)) in ways.iter().enumerate() {
        let way = format!("{codec}/{acks}");
        let filler = "filler ".repeat(6);
        let lines: Vec<String> = (0..MESSAGES)
            .map(|n| format!("{way}:{n:05} {filler}"))
            .collect();
        let partition = partition.to_string();
        let reports = produce(
            &cluster.bootstrap(),
            &topic,
            &[
                "--partition",
                &partition,
                "--compression",
                codec,
                "--acks",
                acks,
                "--key-delimiter",
                ":",
            ],
            &(lines.join("\n") + "\n"),
        )?;
        assert_eq!(reports.len(), MESSAGES, "{way}");
        for (report, offset) in reports.iter().zip(0..) {
            let expected = (*acks != "0").then_some(offset);
            assert_eq!(report.offset, expected, "{way}: {}", report.value);
        }
        let values = lines.iter().filter_map(|line| line.split_once(':'));
        expected.insert(way, values.map(|(_, value)| value.to_owned()).collect());
    }

    let consumer = JavaConsumer {
        arguments: ["--property", "print.key=true"].map(str::to_owned).to_vec(),
        ..JavaConsumer::new(unique("group"), &topic)
    };
    let consumer = consumer.spawn(cluster)?;
    let all = ways.len() * MESSAGES;
    let what = format!("{all} messages");
    let enough = consumer
        .stdout()
        .wait_for(PATIENCE, &what, |_| consumer.stdout().len() >= all);
    enough.with_context(|| consumer.stderr().tail(20))?;
    let mut read: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in consumer.stdout().texts() {
        let (key, value) = line
            .split_once('\t')
            .with_context(|| format!("no key in {line}"))?;
        read.entry(key.to_owned())
            .or_default()
            .push(value.to_owned());
    }
    for (way, expected) in expected {
        let read = read.remove(&way).unwrap_or_default();
        assert_eq!(read.len(), expected.len(), "{way}");
        let differs = read
            .iter()
            .zip(&expected)
            .find(|(read, expected)| read != expected);
        assert_eq!(differs, None, "{way}");
    }
    assert!(read.is_empty(), "keys that nobody sent: {:?}", read.keys());
    Ok(())
}
