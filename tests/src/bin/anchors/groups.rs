//! What clients do that have no groups through ZooKeeper, but Kafka's own.

use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use divvy_tests::{Cluster, KafkaVersion, Process, paths, python};

/// Those of Python, one of which is librdkafka, with what pip is asked for: their last releases that speak to these brokers.
const CLIENTS: [&str; 3] = ["aiokafka", "confluent-kafka", "kafka-python"];
const REQUIREMENTS: [&str; 3] = [
    "aiokafka==0.12.0",
    "confluent-kafka==2.3.0",
    "kafka-python==2.0.6",
];
const VERSIONS: [KafkaVersion; 2] = [KafkaVersion::V0_8_2_2, KafkaVersion::V0_9_0_1];
const TOPIC: &str = "groups";
const PARTITIONS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(300);

/// Prints a line for each client and each version of Kafka.
pub(crate) fn print() -> Result<()> {
    let python = python::environment("kafka-groups", &REQUIREMENTS)?;
    for version in VERSIONS {
        let cluster = Cluster::builder().kafka(version).start()?;
        cluster.create_topic(TOPIC, PARTITIONS, 1)?;
        for client in CLIENTS {
            let mut command = Command::new(&python);
            command
                .arg(paths::tests().join("python/kafka_groups.py"))
                .args(["--client", client, "--topic", TOPIC])
                .args(["--bootstrap", &cluster.bootstrap()])
                .args(["--broker-version", version.as_str()]);
            let program = Process::spawn(client, &mut command)?;
            program.wait_success(PATIENCE)?;
            let found = program.stdout().texts();
            let found = found
                .last()
                .with_context(|| format!("{client} has found nothing"))?;
            writeln!(std::io::stdout(), "{found}")?;
        }
    }
    Ok(())
}
