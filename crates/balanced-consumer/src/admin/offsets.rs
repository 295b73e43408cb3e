//! What the brokers know of a group: where logs begin and end, and offsets in Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use divvy_client::{Client, OffsetSpec, PerPartition, Result, TopicPartition};
use divvy_simple_consumer::{KafkaOffsets, OffsetStore};
use divvy_zookeeper::{Session, paths};
use futures_util::future::join_all;

use super::view::{GroupView, PartitionView};

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
    for (tp, found) in log_offsets(client, &tps, OffsetSpec::Earliest).await {
        note(view, &tp, found, |partition| &mut partition.log_start);
    }
    for (leader, elapsed, found) in log_ends(client, &tps).await {
        view.answered_in
            .extend(leader.map(|leader| (leader, elapsed)));
        for (tp, found) in found {
            note(view, &tp, found, |partition| &mut partition.log_end);
        }
    }
    Ok(())
}

fn note(
    view: &mut GroupView,
    tp: &TopicPartition,
    found: Result<Option<i64>>,
    place: impl FnOnce(&mut PartitionView) -> &mut Option<i64>,
) {
    let Some(partition) = view.partitions.get_mut(tp) else {
        return;
    };
    match found {
        Ok(offset) => *place(partition) = offset,
        Err(error) => partition.trouble = Some(error.to_string()),
    }
}

/// Asks each leader by itself where its logs end, all at a time, and tells how long it took. The connections are there by now.
async fn log_ends(
    client: &Client,
    tps: &[TopicPartition],
) -> Vec<(Option<i32>, Duration, PerPartition<Option<i64>>)> {
    let metadata = client.metadata();
    let mut by_leader: BTreeMap<Option<i32>, Vec<TopicPartition>> = BTreeMap::new();
    for tp in tps {
        let led = by_leader.entry(metadata.leader(tp)).or_default();
        led.push(tp.clone());
    }
    let asked = by_leader.into_iter().map(|(leader, tps)| async move {
        let began = Instant::now();
        let found = log_offsets(client, &tps, OffsetSpec::Latest).await;
        (leader, began.elapsed(), found)
    });
    join_all(asked).await
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
