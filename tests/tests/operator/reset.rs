//! Moving offsets: what is said first, what is done then, and that other consumers go on there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use divvy_tests::{Cluster, JavaConsumer, unique, wait_for};
use serde_json::Value;

use crate::program::{consumer, ends, json};
use crate::{PATIENCE, on_every_version};

on_every_version!(
    a_java_consumer_goes_on_where_a_shift_has_moved_its_group,
    a_java_consumer_goes_on_where_a_time_has_moved_its_group,
    a_dry_run_changes_nothing_and_a_live_group_is_refused,
    a_live_group_is_moved_by_force,
    divvy_goes_back_where_its_offsets_in_kafka_were_moved,
    single_offsets_are_stored_within_the_log,
    a_topic_is_asked_where_it_begins_and_ends,
);

/// What Java's consumer prints until it has printed `count` messages and left its group.
fn read_by_java(
    cluster: &Cluster,
    group: &str,
    topic: &str,
    count: usize,
    from_beginning: bool,
) -> Result<Vec<i32>> {
    let mut java = JavaConsumer::new(group, topic);
    // The tool refuses it for a group that has offsets.
    java.from_beginning = from_beginning;
    let consumer = java.spawn(cluster)?;
    wait_for(PATIENCE, "Java's consumer to print", || {
        consumer.stdout().len() >= count
    })?;
    consumer.term()?;
    consumer.wait(PATIENCE)?;
    let lines = consumer.stdout().texts();
    lines.iter().map(|line| Ok(line.parse()?)).collect()
}

fn a_java_consumer_goes_on_where_a_shift_has_moved_its_group(cluster: &Cluster) -> Result<()> {
    let (topic, group) = (unique("shifted"), unique("group"));
    cluster.create_topic(&topic, 1, 1)?;
    cluster.produce(&topic, "none", 0..40)?;
    assert_eq!(read_by_java(cluster, &group, &topic, 40, true)?.len(), 40);
    let moved = json(
        cluster,
        &format!("group reset {group} --shift -7 --execute"),
    )?;
    assert_eq!(
        (&moved[0]["from"], &moved[0]["to"]),
        (&Value::from(40), &Value::from(33))
    );
    let again = read_by_java(cluster, &group, &topic, 7, false)?;
    assert_eq!(again, Vec::from_iter(33..40));
    Ok(())
}

/// Brokers of these versions know the age of whole segments alone: reading begins with the last one that is not younger than the
/// time, and so before it.
fn a_java_consumer_goes_on_where_a_time_has_moved_its_group(cluster: &Cluster) -> Result<()> {
    let (topic, group) = (unique("timed"), unique("group"));
    cluster.create_topic_with(&topic, 1, 1, &[("segment.bytes", SEGMENT)])?;
    cluster.produce(&topic, "none", (0..10).map(padded))?;
    cluster.produce(&topic, "none", (10..20).map(padded))?;
    let between = wait_for_next_second()?;
    cluster.produce(&topic, "none", (20..30).map(padded))?;
    let place = format!("offsets get --topic {topic} --at @{between}");
    assert_eq!(json(cluster, &place)?[0]["offset"], 10);

    assert_eq!(read_by_java(cluster, &group, &topic, 30, true)?.len(), 30);
    let moved = json(
        cluster,
        &format!("group reset {group} --to @{between} --execute"),
    )?;
    assert_eq!(
        (&moved[0]["from"], &moved[0]["to"]),
        (&Value::from(30), &Value::from(10))
    );
    let again = read_by_java(cluster, &group, &topic, 20, false)?;
    assert_eq!(again, Vec::from_iter(10..30));
    Ok(())
}

/// Room for ten of the messages that [`padded`] makes, and not for more.
const SEGMENT: &str = "1200";

/// A number as text of 80 bytes.
fn padded(number: i32) -> String {
    format!("{number:080}")
}

/// Segments are as old as their files, by the second. Gives a time in between.
fn wait_for_next_second() -> Result<u128> {
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map(|now| now.as_millis())
    };
    let between = now()? + 1500;
    wait_for(Duration::from_secs(10), "time to pass", || {
        now().is_ok_and(|now| now > between + 1500)
    })?;
    Ok(between)
}

fn a_dry_run_changes_nothing_and_a_live_group_is_refused(cluster: &Cluster) -> Result<()> {
    let (topic, group) = (unique("reset"), unique("group"));
    cluster.create_topic(&topic, 2, 1)?;
    cluster.produce(&topic, "none", 0..20)?;
    let member = consumer(cluster, &group, &topic, "")?;
    let view = cluster.zookeeper_view()?;
    let sum = || -> Result<i64> { Ok(view.offsets(&group, &topic)?.values().sum()) };
    wait_for(PATIENCE, "everything to be committed", || {
        sum().is_ok_and(|sum| sum == 20)
    })?;

    let reset = format!("group reset {group} --to earliest");
    let live = ends(cluster, &format!("{reset} --execute"))?;
    assert_eq!(live.code, Some(1));
    assert!(
        live.complaint.contains("it is live: 1 members"),
        "{}",
        live.complaint
    );
    assert_eq!(sum()?, 20);
    member.term()?;
    member.wait_success(PATIENCE)?;

    let dry = ends(cluster, &reset)?;
    assert_eq!(dry.code, Some(0));
    let said = dry.lines.join("\n");
    assert!(
        said.contains("-10") && said.contains("nothing is done yet"),
        "{said}"
    );
    assert_eq!(sum()?, 20);
    assert_eq!(
        ends(cluster, &format!("{reset} --partition 1 --execute"))?.code,
        Some(0)
    );
    assert_eq!(sum()?, 10);
    assert_eq!(ends(cluster, &format!("{reset} --execute"))?.code, Some(0));
    assert_eq!(sum()?, 0);
    // Beyond the log there is nothing.
    let far = json(cluster, &format!("group reset {group} --to 1000 --execute"))?;
    assert!(
        far.iter()
            .all(|line| line["clamped"] == true && line["to"] == 10),
        "{far:?}"
    );
    assert_eq!(sum()?, 20);
    Ok(())
}

/// The member is only registered, so that nobody overwrites what was moved.
fn a_live_group_is_moved_by_force(cluster: &Cluster) -> Result<()> {
    let (topic, group) = (unique("forced"), unique("group"));
    cluster.create_topic(&topic, 1, 1)?;
    cluster.produce(&topic, "none", 0..10)?;
    let view = cluster.zookeeper_view()?;
    view.put(&format!("/consumers/{group}/offsets/{topic}/0"), "7")?;
    let registration =
        format!(r#"{{"version":1,"subscription":{{"{topic}":1}},"pattern":"static"}}"#);
    let member = format!("/consumers/{group}/ids/{group}_host");
    assert!(view.put_ephemeral(&member, &registration)?);

    let set = format!("offsets set --group {group} --topic {topic} 0=2");
    let reset = format!("group reset {group} --to 3 --execute");
    for refused in [&set, &reset] {
        assert_eq!(ends(cluster, refused)?.code, Some(1), "{refused}");
    }
    assert_eq!(view.offsets(&group, &topic)?, [(0, 7)].into());
    for (moved, offset) in [(set, 2), (reset, 3)] {
        assert_eq!(ends(cluster, &format!("{moved} --force"))?.code, Some(0));
        assert_eq!(
            view.offsets(&group, &topic)?,
            [(0, offset)].into(),
            "{moved}"
        );
    }
    Ok(())
}

/// The node that fences offsets in Kafka keeps a checkpoint, which must not win over a deliberate offset.
fn divvy_goes_back_where_its_offsets_in_kafka_were_moved(cluster: &Cluster) -> Result<()> {
    let (topic, group) = (unique("reset"), unique("group"));
    cluster.create_topic(&topic, 2, 1)?;
    cluster.produce(&topic, "none", 0..20)?;
    let consume = format!(
        "consume --group {group} --topic {topic} --offsets kafka --exit-at-end --format %p@%o\\n"
    );
    assert_eq!(ends(cluster, &consume)?.lines.len(), 20);
    let moved = json(
        cluster,
        &format!("group reset {group} --shift -3 --execute"),
    )?;
    assert!(
        moved.iter().all(|line| line["store"] == "kafka"),
        "{moved:?}"
    );
    let mut again = ends(cluster, &consume)?.lines;
    again.sort_unstable();
    assert_eq!(again, ["0@7", "0@8", "0@9", "1@7", "1@8", "1@9"]);
    Ok(())
}

fn single_offsets_are_stored_within_the_log(cluster: &Cluster) -> Result<()> {
    let (topic, group) = (unique("set"), unique("group"));
    cluster.create_topic(&topic, 2, 1)?;
    cluster.produce(&topic, "none", 0..20)?;
    let set = format!("offsets set --group {group} --topic {topic}");
    assert_eq!(ends(cluster, &format!("{set} 0=3 1=10"))?.code, Some(0));
    let view = cluster.zookeeper_view()?;
    assert_eq!(view.offsets(&group, &topic)?, [(0, 3), (1, 10)].into());
    let consume =
        format!("consume --group {group} --topic {topic} --exit-at-end --format %p@%o\\n");
    let read = ends(cluster, &consume)?.lines;
    assert_eq!(read, ["0@3", "0@4", "0@5", "0@6", "0@7", "0@8", "0@9"]);

    for wrong in ["0=11", "7=0", "0=-1", "0", "0=1 0=2"] {
        let refused = ends(cluster, &format!("{set} {wrong}"))?;
        assert_eq!(refused.code, Some(2), "{wrong}: {}", refused.complaint);
    }
    assert_eq!(view.offsets(&group, &topic)?, [(0, 10), (1, 10)].into());
    Ok(())
}

fn a_topic_is_asked_where_it_begins_and_ends(cluster: &Cluster) -> Result<()> {
    let topic = unique("ends");
    cluster.create_topic(&topic, 2, 1)?;
    cluster.produce(&topic, "none", 0..20)?;
    for (at, offset) in [("earliest", 0), ("latest", 10)] {
        let found = json(cluster, &format!("offsets get --topic {topic} --at {at}"))?;
        let offsets: Vec<_> = found
            .iter()
            .filter_map(|line| line["offset"].as_i64())
            .collect();
        assert_eq!(offsets, [offset, offset], "{at}");
    }
    Ok(())
}
