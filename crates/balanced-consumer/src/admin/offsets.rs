//! What the brokers know of a group: where logs begin and end, and offsets in Kafka.

use std::collections::{BTreeMap, BTreeSet};

use divvy_client::{Client, OffsetSpec, PerPartition, Result, TopicPartition};
use divvy_simple_consumer::{KafkaOffsets, OffsetStore};
use divvy_zookeeper::{Session, paths};

use super::view::GroupView;

/// Kafka's own topic for offsets.
const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// How often a broker that cannot answer yet is asked again.
const RETRIES: u32 = 5;

/// As whom offsets are stored.
const NAME: &str = "divvy-admin";

/// The store of a group's offsets in Kafka.
pub(super) fn in_kafka(client: &Client, group: &str) -> KafkaOffsets {
    KafkaOffsets::new(client.clone(), group, NAME, RETRIES)
}

/// Whether anybody has ever stored an offset in Kafka. Asking for the coordinator of a group would create the topic.
pub(super) async fn kafka_has_offsets(session: &Session) -> Result<bool> {
    let topic = session.exists(&paths::topic(OFFSETS_TOPIC)).await?;
    Ok(topic.is_some())
}

/// Adds to a view what the brokers know.
pub(super) async fn complete(
    session: &Session,
    client: &Client,
    view: &mut GroupView,
) -> Result<()> {
    let tps: Vec<TopicPartition> = view.partitions.keys().cloned().collect();
    if tps.is_empty() {
        return Ok(());
    }
    // Offsets first: what is committed in between lies within what the log holds afterwards.
    if kafka_has_offsets(session).await? {
        stored(client, view, &tps).await;
    }
    let topics: BTreeSet<&str> = tps.iter().map(|tp| &*tp.topic).collect();
    for topic in topics {
        // A topic that the brokers do not know is reported with each of its partitions.
        let _ = client.use_topics([topic]).await;
    }
    for (spec, start) in [(OffsetSpec::Earliest, true), (OffsetSpec::Latest, false)] {
        for (tp, found) in log_offsets(client, &tps, spec).await {
            let Some(partition) = view.partitions.get_mut(&tp) else {
                continue;
            };
            match found {
                Ok(offset) if start => partition.log_start = offset,
                Ok(offset) => partition.log_end = offset,
                Err(error) => partition.trouble = Some(error.to_string()),
            }
        }
    }
    Ok(())
}

/// Looks offsets of many partitions up at their leaders.
pub(super) async fn log_offsets(
    client: &Client,
    tps: &[TopicPartition],
    spec: OffsetSpec,
) -> PerPartition<Option<i64>> {
    let wanted: BTreeMap<_, _> = tps.iter().map(|tp| (tp.clone(), spec)).collect();
    client.list_offsets(&wanted).await
}

async fn stored(client: &Client, view: &mut GroupView, tps: &[TopicPartition]) {
    let fetched = in_kafka(client, &view.group).fetch(tps).await;
    for (tp, partition) in &mut view.partitions {
        let found = match &fetched {
            Ok(found) => found.get(tp).cloned().unwrap_or(Ok(None)),
            Err(error) => Err(error.clone()),
        };
        match found {
            Ok(committed) => partition.in_kafka = committed.map(|committed| committed.offset),
            Err(error) => partition.trouble = Some(error.to_string()),
        }
    }
}
