//! Where offsets are kept, and that reading resumes there.

use std::collections::BTreeMap;

use anyhow::Result;
use divvy_tests::{Cluster, unique, wait_for};

use crate::program::{FORMAT, Printed, first_lines, messages, printed, run, spawn, values};
use crate::{PATIENCE, on_every_version};

on_every_version!(
    a_member_keeps_offsets_in_both_stores,
    tail_resumes_from_zookeeper_through_the_broker,
    tail_resumes_from_kafka_through_the_broker,
    a_member_ends_when_its_whole_share_is_read,
    what_is_not_written_is_not_committed,
    what_lies_beyond_the_end_asked_for_is_not_committed,
);

/// A topic of a hundred messages, and a group that has read none of them.
fn topic_and_group(cluster: &Cluster) -> Result<(String, String)> {
    let (topic, group) = (unique("kept"), unique("group"));
    cluster.create_topic(&topic, 4, 1)?;
    cluster.produce(&topic, "none", 0..100)?;
    Ok((topic, group))
}

/// Everything was printed by one of them, and by no other.
fn assert_shared(first: &[Printed], second: &[Printed]) -> Result<()> {
    assert_eq!(
        values(first.iter().chain(second))?,
        Vec::from_iter(0..100),
        "not everything was printed once"
    );
    Ok(())
}

fn a_member_keeps_offsets_in_both_stores(cluster: &Cluster) -> Result<()> {
    let (topic, group) = topic_and_group(cluster)?;
    let zookeeper = cluster.zookeeper_connect();
    let consume = format!("consume --zookeeper {zookeeper} --group {group} --topic {topic}");
    let first = printed(&[&consume, "--offsets dual --max-messages 30"])?;
    assert_eq!(first.len(), 30);
    let in_zookeeper = cluster.zookeeper_view()?.offsets(&group, &topic)?;
    assert_eq!(in_zookeeper.values().sum::<i64>(), 30);

    // Only Kafka's store goes on, from where both were left.
    let second = printed(&[&consume, "--offsets kafka --exit-at-end"])?;
    assert_shared(&first, &second)?;
    assert_eq!(
        cluster.zookeeper_view()?.offsets(&group, &topic)?,
        in_zookeeper
    );
    // Of two offsets the larger one counts, and is what the claim stores.
    assert_eq!(
        printed(&[&consume, "--offsets dual --exit-at-end"])?,
        Vec::new()
    );
    let in_zookeeper = cluster.zookeeper_view()?.offsets(&group, &topic)?;
    assert_eq!(in_zookeeper.values().sum::<i64>(), 100);
    Ok(())
}

fn tail_resumes_from_zookeeper_through_the_broker(cluster: &Cluster) -> Result<()> {
    let (topic, group) = topic_and_group(cluster)?;
    let in_zookeeper = tail_resumes(cluster, &topic, &group, "zookeeper")?;
    assert_eq!(in_zookeeper.values().sum::<i64>(), 30);
    let view = cluster.zookeeper_view()?;
    assert_eq!(view.offsets(&group, &topic)?.values().sum::<i64>(), 100);
    // It is no member: it reads every partition, whoever else does.
    assert!(view.ids(&group)?.is_empty());
    Ok(())
}

fn tail_resumes_from_kafka_through_the_broker(cluster: &Cluster) -> Result<()> {
    let (topic, group) = topic_and_group(cluster)?;
    let in_zookeeper = tail_resumes(cluster, &topic, &group, "kafka")?;
    assert_eq!(in_zookeeper, BTreeMap::new());
    let stored = cluster.consumer_offset_checker(&group, &topic)?;
    let stored = stored.values().filter_map(|checked| checked.offset);
    assert_eq!(stored.sum::<i64>(), 100);
    Ok(())
}

/// Reads a topic in two parts, knowing brokers alone. Gives what was in ZooKeeper in between.
fn tail_resumes(
    cluster: &Cluster,
    topic: &str,
    group: &str,
    store: &str,
) -> Result<BTreeMap<i32, i64>> {
    let bootstrap = cluster.bootstrap();
    let tail =
        format!("tail --bootstrap {bootstrap} --topic {topic} --group {group} --offsets {store}");
    let first = printed(&[&tail, "--max-messages 30"])?;
    assert_eq!(first.len(), 30);
    let between = cluster.zookeeper_view()?.offsets(group, topic)?;
    let second = printed(&[&tail, "--exit-at-end"])?;
    assert_shared(&first, &second)?;
    Ok(between)
}

/// A member that has read all but a partition which another one has not released yet is not at the end.
fn a_member_ends_when_its_whole_share_is_read(cluster: &Cluster) -> Result<()> {
    let (topic, group) = topic_and_group(cluster)?;
    let view = cluster.zookeeper_view()?;
    let owner = format!("/consumers/{group}/owners/{topic}/2");
    assert!(view.put_ephemeral(&owner, "somebody-0")?);
    let zookeeper = cluster.zookeeper_connect();
    let consume = format!("consume --zookeeper {zookeeper} --topic {topic} --group {group}");
    let member = spawn(&[&consume, "--exit-at-end --events json --format", FORMAT])?;
    wait_for(PATIENCE, "the free partitions to be read", || {
        member.stdout().len() >= 75
    })?;
    member.wait_for_event(PATIENCE, "waiting", |event| event["partition"] == 2)?;
    view.delete(&owner)?;
    member.wait_success(PATIENCE)?;
    assert_shared(&messages(member.stdout())?, &[])
}

/// A reader that goes away in the middle: what was written to it is committed, and nothing else.
fn what_is_not_written_is_not_committed(cluster: &Cluster) -> Result<()> {
    let (topic, group) = (unique("kept"), unique("group"));
    cluster.create_topic(&topic, 1, 1)?;
    let values = (0..2000).map(|number| format!("{number:0500}"));
    cluster.produce(&topic, "none", values)?;
    let bootstrap = cluster.bootstrap();
    let tail = format!("tail --bootstrap {bootstrap} --topic {topic} --group {group}");
    assert_eq!(first_lines(&tail, 3)?.len(), 3);

    let stored = cluster.zookeeper_view()?.offsets(&group, &topic)?;
    // A pipe holds 64 KiB, and its reader has taken some more.
    assert!((3..=250).contains(&stored[&0]), "{stored:?}");
    Ok(())
}

/// `--to` ends before a place: the group goes on from there.
fn what_lies_beyond_the_end_asked_for_is_not_committed(cluster: &Cluster) -> Result<()> {
    let (topic, group) = topic_and_group(cluster)?;
    let bootstrap = cluster.bootstrap();
    let tail = format!("tail --bootstrap {bootstrap} --topic {topic} --group {group}");
    let first = printed(&[&tail, "--to 5"])?;
    assert_eq!(first.len(), 4 * 5);
    assert!(first.iter().all(|message| message.offset < 5), "{first:?}");
    let stored = cluster.zookeeper_view()?.offsets(&group, &topic)?;
    assert_eq!(stored, BTreeMap::from_iter((0..4).map(|id| (id, 5))));
    let second = printed(&[&tail, "--exit-at-end"])?;
    assert_shared(&first, &second)?;
    // There is nothing left, and that is no reason to wait.
    assert!(run(&[&tail, "--exit-at-end"])?.stdout().is_empty());
    Ok(())
}
