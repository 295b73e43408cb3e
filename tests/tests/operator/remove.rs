//! Removing groups.

use anyhow::Result;
use divvy_tests::{Cluster, unique};

use crate::program::{consumer, ends, json};
use crate::{PATIENCE, on_every_version};

on_every_version!(a_dead_group_is_removed_and_a_live_one_is_not);

fn a_dead_group_is_removed_and_a_live_one_is_not(cluster: &Cluster) -> Result<()> {
    let (topic, group, other) = (unique("removed"), unique("group"), unique("other"));
    cluster.create_topic(&topic, 2, 1)?;
    cluster.produce(&topic, "none", 0..10)?;
    let view = cluster.zookeeper_view()?;
    let kept = format!("/consumers/{other}/offsets/{topic}/0");
    view.put(&kept, "4")?;
    let member = consumer(cluster, &group, &topic, "")?;
    let remove = format!("group remove {group}");

    let live = ends(cluster, &remove)?;
    assert_eq!(live.code, Some(1));
    assert!(live.complaint.contains("it is live"), "{}", live.complaint);
    assert_eq!(view.ids(&group)?.len(), 1);
    assert_eq!(view.owners(&group, &topic)?.len(), 2);
    member.term()?;
    member.wait_success(PATIENCE)?;

    // The group's node; ids, owners, offsets; the topic below the last two; two offsets.
    assert_eq!(json(cluster, &remove)?[0]["nodes"], 8);
    assert!(!view.children("/consumers")?.contains(&group));
    assert_eq!(view.text(&kept)?.as_deref(), Some("4"));
    let gone = ends(cluster, &remove)?;
    assert_eq!(gone.code, Some(1));
    assert!(
        gone.complaint.contains("no node in ZooKeeper"),
        "{}",
        gone.complaint
    );
    Ok(())
}
