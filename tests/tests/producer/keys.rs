//! The same keys, written by other people's producers and by ours, lie on the same partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use divvy::{
    Client, ClientConfig, DefaultPartitioner, HashingPartitioner, Partitioner, Producer,
    ProducerConfig, ProducerRecord,
};
use divvy_tests::{
    Cluster, JavaRecord, KafkaVersion, produce_keys_with_pykafka, tests_on, unique, use_rdkafka,
};

use super::*;

tests_on!(
    [
        embedded = Embedded0_8_2,
        kafka_0_8_2_2 = V0_8_2_2,
        kafka_0_9_0_1 = V0_9_0_1
    ],
    at_any_time,
    keys_lie_where_others_put_them
);

/// A prime number, so that no bit of a hash goes unused.
const PARTITIONS: usize = 7;

fn keys() -> Vec<Vec<u8>> {
    let words = ["", "a", "über", "鍵", "a\0b"].map(|word| word.as_bytes().to_vec());
    let names = (0..100).map(|number| format!("customer-{number}").into_bytes());
    let binary = (1..=100_usize).map(|length| {
        let bytes = (0..length).map(|place| (length * 37 + place * 151).to_le_bytes()[0]);
        bytes.collect()
    });
    words.into_iter().chain(names).chain(binary).collect()
}

/// Sends a message for each key, each with the same value.
async fn send(
    bootstrap: &str,
    topic: &str,
    value: &'static str,
    by: Arc<dyn Partitioner>,
) -> Result<()> {
    let client = Client::connect(ClientConfig::bootstrap(bootstrap.split(','))).await?;
    let config = ProducerConfig {
        partitioner: by,
        use_rdkafka: use_rdkafka(),
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client, config)?;
    for key in keys() {
        let record = ProducerRecord {
            key: Some(key.into()),
            ..ProducerRecord::new(topic, value)
        };
        producer.send(record).await?;
    }
    Ok(producer.close(PATIENCE).await?)
}

fn keys_lie_where_others_put_them(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let topic = unique("keys");
    cluster.create_topic(&topic, PARTITIONS, 1)?;
    let bootstrap = cluster.bootstrap();

    produce_keys_with_pykafka(cluster, &topic, "PyKafka", &keys())?;
    let for_java: Vec<JavaRecord> = keys()
        .into_iter()
        .map(|key| JavaRecord {
            partition: None,
            key: Some(key),
            value: Some(b"Java".to_vec()),
        })
        .collect();
    cluster.produce_records(&topic, "none", &for_java)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        send(&bootstrap, &topic, "SHA-1", Arc::new(HashingPartitioner)).await?;
        send(
            &bootstrap,
            &topic,
            "murmur2",
            Arc::new(DefaultPartitioner::default()),
        )
        .await
    })?;

    let lying = places(&bootstrap, &topic)?;
    let of = |who: &str| lying.get(who).with_context(|| format!("nothing of {who}"));
    for (ours, theirs) in [("SHA-1", "PyKafka"), ("murmur2", "Java")] {
        assert_eq!(of(theirs)?.len(), keys().len(), "{theirs}");
        assert_eq!(of(ours)?, of(theirs)?, "{ours} and {theirs}");
    }
    // Otherwise everything might lie on one partition.
    assert_ne!(of("PyKafka")?, of("Java")?);
    Ok(())
}

/// On which partition each key lies, by value. A key that lies on two is an error.
fn places(bootstrap: &str, topic: &str) -> Result<BTreeMap<String, BTreeMap<String, i64>>> {
    let tail = [
        "tail",
        "-b",
        bootstrap,
        "-t",
        topic,
        "--json",
        "--exit-at-end",
    ];
    let (status, tail) = Divvy::command(tail).run(b"", PATIENCE)?;
    anyhow::ensure!(status.success(), "{status}:\n{}", tail.stderr().tail(20));
    let mut places: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for line in tail.stdout().texts() {
        let message: Value = serde_json::from_str(&line)?;
        let value = message["value"].as_str().context("no value")?;
        // What is no text is there in another form.
        let key = format!("{}{}", message["key"], message["key_base64"]);
        let partition = message["partition"].as_i64().context("no partition")?;
        let twice = places
            .entry(value.to_owned())
            .or_default()
            .insert(key, partition);
        anyhow::ensure!(twice.is_none(), "{value} wrote a key twice: {line}");
    }
    Ok(places)
}
