//! What the promises cannot see from outside: the cluster has no topic more.

use anyhow::Result;
use divvy_tests::{Cluster, KafkaVersion, tests_on, unique};

use crate::native::native;
use crate::stage::Stage as _;

tests_on!(
    [embedded = Embedded0_8_2, kafka_0_8_2_2 = V0_8_2_2],
    as_task,
    a_topic_that_was_asked_for_is_not_there
);

async fn a_topic_that_was_asked_for_is_not_there(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let stage = native(version).await?;
    let missing = unique("missing");
    assert!(stage.backend().partitions(&missing).await.is_err());
    let topics = cluster.metadata()?.topics;
    assert!(topics.contains_key(stage.topic()));
    assert!(!topics.contains_key(&missing), "{topics:?}");
    Ok(())
}
