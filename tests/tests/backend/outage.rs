//! A broker that dies and comes back: its partitions wait for it, and those of others do not notice.

use anyhow::{Context as _, Result};
use divvy_tests::{Cluster, KafkaVersion, tests_on};

use crate::native::Native;
use crate::rdkafka;
use crate::stage::{Stage, numbers};

tests_on!(
    [embedded = Embedded0_8_2, kafka_0_8_2_2 = V0_8_2_2],
    as_task,
    what_passes_by_itself_is_retried_and_touches_no_other_broker,
    librdkafka_retries_what_passes_by_itself
);

async fn what_passes_by_itself_is_retried_and_touches_no_other_broker(
    version: KafkaVersion,
) -> Result<()> {
    outage(version, false).await
}

async fn librdkafka_retries_what_passes_by_itself(version: KafkaVersion) -> Result<()> {
    outage(version, true).await
}

async fn outage(version: KafkaVersion, use_rdkafka: bool) -> Result<()> {
    let cluster = Cluster::builder().kafka(version).brokers(2).start()?;
    cluster.create_topic("outage", 4, 1)?;
    let known = cluster.metadata()?;
    let led_by = |broker: i32| {
        let partitions = known.topics["outage"].iter();
        let mut led = partitions.filter(|(_, partition)| partition.leader == Some(broker));
        led.next().map(|(partition, _)| *partition)
    };
    let dying = led_by(1).context("broker 1 leads no partition")?;
    let living = led_by(0).context("broker 0 leads no partition")?;

    let stage = match use_rdkafka {
        true => Native::over(&cluster, "outage", |client| Ok(rdkafka::backend(client)?)).await?,
        false => Native::of(&cluster, "outage").await?,
    };
    for partition in [dying, living] {
        stage.append_numbers(partition, 0..10).await?;
        stage.backend().start(&stage.tp(partition), 0);
        assert_eq!(stage.read(partition, 0, 10).await?, numbers(0..10));
    }
    cluster.brokers()[1].kill();
    // Two more messages, and nothing of the dead broker: no error, because it may come back.
    stage.assert_silent(dying, living, 10).await?;
    cluster.brokers()[1].restart()?;
    stage.append_numbers(dying, 10..20).await?;
    assert_eq!(stage.read(dying, 10, 20).await?, numbers(10..20));
    stage.assert_silent(dying, living, 12).await
}
