//! librdkafka disturbs no old broker.

use anyhow::{Result, ensure};
use divvy_tests::{Cluster, KafkaVersion, unique};

use crate::program::run;

/// A broker of 0.9 that is asked which versions it speaks forgets other clients' requests, and says so in its log.
#[test]
fn reading_through_librdkafka_leaves_no_error_in_the_log_of_a_broker_of_0_9() -> Result<()> {
    let cluster = Cluster::builder().kafka(KafkaVersion::V0_9_0_1).start()?;
    let topic = unique("quiet");
    cluster.create_topic(&topic, 4, 1)?;
    cluster.produce(&topic, "none", 0..1000)?;
    let before = cluster.brokers()[0].log().len();
    let (zookeeper, bootstrap) = (cluster.zookeeper_connect(), cluster.bootstrap());
    let reads = format!("--topic {topic} --exit-at-end --use-rdkafka");
    for command in [
        format!("consume --zookeeper {zookeeper} --group {topic}"),
        format!("consume --zookeeper {zookeeper} --group {topic}-kafka --offsets kafka"),
        format!("tail --bootstrap {bootstrap}"),
    ] {
        let divvy = run(&[&command, &reads])?;
        ensure!(divvy.stdout().len() == 1000, "{command}");
    }
    let log = cluster.brokers()[0].log();
    let said: Vec<&str> = log
        .get(before..)
        .unwrap_or_default()
        .lines()
        .filter(|line| {
            ["ERROR", "FATAL", "Exception"]
                .iter()
                .any(|bad| line.contains(bad))
        })
        .collect();
    ensure!(said.is_empty(), "{said:#?}");
    Ok(())
}
