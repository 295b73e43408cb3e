//! Offsets in one's own store.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use divvy_tests::{Cluster, KafkaVersion, on_every_version, unique, wait_some, warden};
use serde_json::Value;

use super::{PATIENCE, interrupt, start};

on_every_version!(every_message_counts_once_although_members_are_killed);

const PARTITIONS: usize = 3;
const MESSAGES: usize = 300;

/// The group's own offsets are far behind what is counted when a member is killed. The store's are not.
fn every_message_counts_once_although_members_are_killed(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let (group, topic) = (unique("totals"), unique("orders"));
    cluster.create_topic(&topic, PARTITIONS, 1)?;
    let folder = warden::temporary_directory()?;
    let arguments = [
        &cluster.zookeeper_connect(),
        &group,
        &topic,
        &folder.path().display().to_string(),
    ];
    for round in 1..=3 {
        let first = (round - 1) * MESSAGES;
        cluster.produce(&topic, "none", first..first + MESSAGES)?;
        let program = start("offsets_in_own_store", &arguments.map(String::as_str))?;
        let counted = wait_some(PATIENCE, "every message to be counted", || {
            let counted = counted(folder.path()).ok()?;
            (counted >= round * MESSAGES).then_some(counted)
        })?;
        ensure!(
            counted == round * MESSAGES,
            "{counted} messages were counted in round {round}"
        );
        if round == 3 {
            interrupt(&program)?;
        }
    }
    let total = counted(folder.path())?;
    ensure!(total == 3 * MESSAGES, "{total} messages were counted");
    // Tools see where the group is.
    let committed = cluster.zookeeper_view()?.offsets(&group, &topic)?;
    let sum: i64 = committed.values().sum();
    ensure!(usize::try_from(sum)? == total, "{committed:?} is committed");
    Ok(())
}

fn counted(folder: &Path) -> Result<usize> {
    let mut counted = 0;
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_some_and(|kind| kind == "json") {
            let total: Value = serde_json::from_slice(&fs::read(path)?)?;
            counted += usize::try_from(total["messages"].as_u64().unwrap_or_default())?;
        }
    }
    Ok(counted)
}
