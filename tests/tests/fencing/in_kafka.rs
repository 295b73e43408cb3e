//! With offsets in Kafka, which refuses nobody, what a member commits that has lost its partitions is recognized.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy::{BrokerOffsetStore, Client, ClientConfig, CommittedOffset, TopicPartition};
use divvy_tests::group::{PATIENCE, Partition};
use divvy_tests::{
    Cluster, CommittedWatch, Group, KafkaVersion, Store, on_embedded, on_kafka_0_8_2_2, wait_for,
};
use serde_json::Value;

use crate::scene::{PARTITIONS, group_with};

on_embedded!(
    the_next_owner_does_not_begin_at_a_zombies_offset,
    a_zombies_commit_is_repaired_by_the_owner,
);
on_kafka_0_8_2_2!(
    the_next_owner_does_not_begin_at_a_zombies_offset,
    a_zombies_commit_is_repaired_by_the_owner,
);

const IN_KAFKA: &[&str] = &["--offsets", "kafka"];

/// What a member left beside its offsets: how far it was, and its token.
fn epoch(group: &Group<'_>, partition: &Partition) -> Result<(i64, i64)> {
    let (topic, number) = partition;
    let node = format!("/consumers/{}/epochs/{topic}/{number}", group.name);
    let text = group.view.text(&node)?.context("there is no epoch node")?;
    let epoch: Value = serde_json::from_str(&text)?;
    let offset = epoch["offset"].as_i64().context("no offset")?;
    let token = epoch["token"].as_str().context("no token")?;
    Ok((offset, token.parse()?))
}

/// Commits as a member would that still holds a claim of long ago.
fn commit_stale(group: &Group<'_>, partition: &Partition, offset: i64, token: i64) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let committed = CommittedOffset {
        offset,
        metadata: format!(r#"{{"consumer_id":"zombie","hostname":"h","token":"{token}"}}"#),
    };
    let tp = TopicPartition::new(partition.0.as_str(), partition.1);
    let offsets = BTreeMap::from([(tp.clone(), committed)]);
    runtime.block_on(async {
        let bootstrap = group.cluster.bootstrap();
        let client = Client::connect(ClientConfig::bootstrap([bootstrap])).await?;
        let coordinator = client.find_coordinator(&group.name).await?;
        let store = BrokerOffsetStore::Kafka;
        let mut done = client
            .commit(&coordinator, store, &group.name, &offsets)
            .await?;
        done.remove(&tp).context("the answer leaves it out")??;
        Ok(())
    })
}

fn committed<'a>(group: &Group<'a>) -> Result<CommittedWatch<'a>> {
    let (name, topic) = (&group.name, group.topic());
    CommittedWatch::new(group.cluster, Store::Kafka, name, topic, PARTITIONS)
}

/// A commit of an older claim than the last owner's does not take the next owner back behind what that one had finished.
fn the_next_owner_does_not_begin_at_a_zombies_offset(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let (mut group, mut producers) = group_with(cluster, 1, IN_KAFKA)?;
    let partition = (group.topic().to_owned(), PARTITIONS - 1);
    let (_, old) = epoch(&group, &partition)?;
    let successor = group.join()?;
    wait_for(PATIENCE, "the claim of the second member", || {
        epoch(&group, &partition).is_ok_and(|(_, token)| token > old)
    })?;
    let (topic, producer) = producers.pop().context("there is no producer")?;
    let acknowledged = producer.stop()?;
    group.wait_until_printed(&topic, &acknowledged)?;
    group.leave(successor)?;
    group.leave(0)?;

    let (checkpoint, token) = epoch(&group, &partition)?;
    let count = acknowledged
        .iter()
        .filter(|m| m.partition == partition.1)
        .count();
    ensure!(
        usize::try_from(checkpoint)? == count,
        "the last owner left {checkpoint}, and there are {count} messages"
    );
    ensure!(token > old, "{token} is not later than {old}");
    commit_stale(&group, &partition, 0, old)?;
    group.join()?;
    // The owner node comes before the epoch.
    wait_for(PATIENCE, "the claim of the third member", || {
        epoch(&group, &partition).is_ok_and(|(_, last)| last > token)
    })?;
    let (offset, last) = epoch(&group, &partition)?;
    ensure!(
        offset == checkpoint && last > token,
        "{offset} by {last}, and before {checkpoint} by {token}"
    );
    let producer = cluster.produce_numbers(&topic, 0..PARTITIONS, 400)?;
    group.wait_for_lines(400)?;
    drop(producer);
    let duplicates = group.output.duplicates();
    ensure!(duplicates.is_empty(), "{duplicates:?}");
    Ok(())
}

/// The owner finds a zombie's commit, and commits its own offset over it.
fn a_zombies_commit_is_repaired_by_the_owner(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let (mut group, producers) = group_with(cluster, 1, IN_KAFKA)?;
    let mut committed = committed(&group)?;
    committed.watch(Duration::from_secs(2))?;
    let partition = (group.topic().to_owned(), 0);
    // The owner's own commits would hide it at once: it must be found where the partition stands still, too.
    for (topic, producer) in producers {
        let acknowledged = producer.stop()?;
        group.wait_until_printed(&topic, &acknowledged)?;
    }
    committed.watch(Duration::from_secs(1))?;
    commit_stale(&group, &partition, 1, 1)?;
    group.divvy(0).wait_for_event(PATIENCE, "fenced", |event| {
        event["partitions"] == serde_json::json!([0])
    })?;
    committed.look()?;
    let before = committed.steps_back().len();
    committed.watch(Duration::from_secs(1))?;
    ensure!(
        committed.steps_back().len() == before,
        "it is not repaired for good"
    );
    Ok(())
}
