//! Somebody writes or deletes what belongs to the owner of a partition.

use std::time::Duration;

use anyhow::Result;
use divvy_tests::group::PATIENCE;
use divvy_tests::{Cluster, KafkaVersion, on_embedded, on_kafka_0_8_2_2, wait_for};

use crate::scene::{RATE, group};

on_embedded!(
    a_foreign_offset_is_stored_over,
    a_deleted_offset_is_a_new_claim
);
on_kafka_0_8_2_2!(
    a_foreign_offset_is_stored_over,
    a_deleted_offset_is_a_new_claim
);

/// An offset that somebody else stores is stored over, and told of: it would take the group back.
fn a_foreign_offset_is_stored_over(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let (mut group, producers) = group(cluster, 2)?;
    let owners = group.owners()?;
    let node = format!("/consumers/{}/offsets/{}/0", group.name, group.topic());
    let before = group.offsets()?.get(&0).copied().unwrap_or_default();
    group.view.put(&node, "1")?;
    wait_for(PATIENCE, "the owner's offset to be back", || {
        group.offsets().is_ok_and(|stored| {
            stored
                .get(&0)
                .is_some_and(|stored| *stored >= before.max(2))
        })
    })?;
    let owner = group.owner_of(&(group.topic().to_owned(), 0), &owners)?;
    group
        .divvy(owner)
        .wait_for_event(PATIENCE, "fenced", |event| {
            event["partitions"] == serde_json::json!([0])
        })?;
    group.wait_for_lines(RATE as usize)?;
    group.nothing_moved_since(&owners)?;
    group.nothing_is_lost(producers)?;
    group.printed_once_and_in_order()
}

/// Without its offset node a claim cannot be told from a later one any more: the partition is claimed anew, and begins
/// where the policy says for partitions without an offset.
fn a_deleted_offset_is_a_new_claim(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let (mut group, producers) = group(cluster, 1)?;
    let owners = group.owners()?;
    let node = format!("/consumers/{}/offsets/{}/0", group.name, group.topic());
    group.view.delete(&node)?;
    let partition = (group.topic().to_owned(), 0);
    wait_for(PATIENCE, "another claim", || {
        let now = group.owners();
        now.is_ok_and(|now| {
            now.get(&partition)
                .is_some_and(|owner| owner.czxid != owners[&partition].czxid)
        })
    })?;
    let told = Duration::from_secs(5);
    group.divvy(0).wait_for_event(told, "lost", |event| {
        event["partitions"] == serde_json::json!([0])
    })?;
    group.wait_for_lines(RATE as usize)?;
    group.nothing_is_lost(producers)
}
