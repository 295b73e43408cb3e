//! Where reading begins without a stored offset that can be used, and that it is told.

use anyhow::Result;
use divvy_tests::{Cluster, Divvy, Event, unique, wait_some};
use serde_json::{Value, json};

use crate::places::{create_with_small_segments, padded};
use crate::program::{FORMAT, Printed, messages, offsets, run, spawn, split};
use crate::{PATIENCE, on_every_version};

on_every_version!(
    without_a_stored_offset_the_policy_decides,
    with_policy_error_somebody_has_to_store_an_offset,
    what_retention_has_deleted_is_left_out_with_an_event,
    a_position_above_the_end_goes_to_the_end,
);

/// A run of `divvy consume` to the end of a topic.
struct Run {
    printed: Vec<Printed>,
    resets: Vec<Event>,
    code: Option<i32>,
    complaint: String,
}

fn consume(cluster: &Cluster, topic: &str, group: &str, from: &str) -> Result<Run> {
    let zookeeper = cluster.zookeeper_connect();
    let arguments = format!(
        "consume --zookeeper {zookeeper} --group {group} --topic {topic} --from {from} --exit-at-end --events json --format {FORMAT}"
    );
    let (status, divvy) = Divvy::command(split(&[&arguments])).run(b"", PATIENCE)?;
    Ok(Run {
        printed: messages(divvy.stdout())?,
        resets: divvy.events_named("reset"),
        code: status.code(),
        complaint: divvy.stderr().tail(1),
    })
}

impl Run {
    /// Its only reset: from, to and reason.
    fn reset(&self) -> [&Value; 3] {
        assert_eq!(self.resets.len(), 1, "{:?}", self.resets);
        ["from", "to", "reason"].map(|name| &self.resets[0].fields[name])
    }

    fn offsets(&self) -> Vec<i64> {
        self.printed.iter().map(|message| message.offset).collect()
    }
}

fn without_a_stored_offset_the_policy_decides(cluster: &Cluster) -> Result<()> {
    let topic = unique("unread");
    cluster.create_topic(&topic, 1, 1)?;
    cluster.produce(&topic, "none", 0..10)?;

    let earliest = consume(cluster, &topic, &unique("group"), "earliest")?;
    assert_eq!(earliest.offsets(), Vec::from_iter(0..10));
    let reason = json!("no_stored_offset");
    assert_eq!(earliest.reset(), [&Value::Null, &json!(0), &reason]);
    assert_eq!(earliest.code, Some(0));

    let group = unique("group");
    let latest = consume(cluster, &topic, &group, "latest")?;
    assert_eq!(latest.offsets(), [0; 0]);
    assert_eq!(latest.reset(), [&Value::Null, &json!(10), &reason]);
    // That is where the group goes on, whatever it is told next time.
    cluster.produce(&topic, "none", 10..13)?;
    let next = consume(cluster, &topic, &group, "earliest")?;
    assert_eq!(next.offsets(), [10, 11, 12]);
    assert!(next.resets.is_empty(), "{:?}", next.resets);

    Ok(())
}

/// With `error` a member waits for somebody to say where to begin.
fn with_policy_error_somebody_has_to_store_an_offset(cluster: &Cluster) -> Result<()> {
    let (topic, group) = (unique("unread"), unique("group"));
    cluster.create_topic(&topic, 1, 1)?;
    cluster.produce(&topic, "none", 0..10)?;
    let zookeeper = cluster.zookeeper_connect();
    let arguments = format!(
        "consume --zookeeper {zookeeper} --group {group} --topic {topic} --from error --exit-at-end --events json --format {FORMAT}"
    );
    let member = spawn(&[&arguments])?;
    let complaint = format!("{topic}-0: no offset is stored");
    member.wait_for_event(PATIENCE, "error", |event| {
        event["message"]
            .as_str()
            .is_some_and(|message| message.contains(&complaint))
    })?;
    let view = cluster.zookeeper_view()?;
    view.put(&format!("/consumers/{group}/offsets/{topic}/0"), "4")?;
    member.wait_success(PATIENCE)?;
    let printed = messages(member.stdout())?;
    assert_eq!(offsets(&printed)[&0], Vec::from_iter(4..10));
    assert!(member.events_named("reset").is_empty());
    Ok(())
}

fn what_retention_has_deleted_is_left_out_with_an_event(cluster: &Cluster) -> Result<()> {
    let topic = unique("deleted");
    create_with_small_segments(cluster, &topic)?;
    cluster.produce(&topic, "none", padded(0..300))?;
    let groups = ["earliest", "latest", "error"].map(|from| (from, unique("group")));
    let zookeeper = cluster.zookeeper_connect();
    for (_, group) in &groups {
        let consume = format!("consume --zookeeper {zookeeper} --topic {topic} --group {group}");
        assert_eq!(run(&[&consume, "--max-messages 5"])?.stdout().len(), 5);
    }
    let first = delete_old_segments(cluster, &topic)?;
    assert!(first < 300, "{first}");

    for (from, group) in &groups {
        let run = consume(cluster, &topic, group, from)?;
        let goes_on_at = match *from {
            "earliest" => first,
            _ => 300,
        };
        assert_eq!(run.offsets(), Vec::from_iter(goes_on_at..300), "{from}");
        if *from == "error" {
            assert_eq!(run.code, Some(1));
            assert!(run.resets.is_empty(), "{:?}", run.resets);
            let expected = format!("{topic}-0: offset 5 is out of range");
            assert!(run.complaint.contains(&expected), "{}", run.complaint);
        } else {
            assert_eq!(run.code, Some(0));
            let reason = json!("below_log_start");
            assert_eq!(run.reset(), [&json!(5), &json!(goes_on_at), &reason]);
        }
    }
    Ok(())
}

/// Lets the broker delete all segments of partition 0 but the last, and gives the offset with which the log begins then.
fn delete_old_segments(cluster: &Cluster, topic: &str) -> Result<i64> {
    let zookeeper = cluster.zookeeper_connect();
    let (class, entity): (&str, &[&str]) = match cluster.version().as_str().starts_with("0.8") {
        true => (
            "kafka.admin.TopicCommand",
            &["--topic", topic, "--config", "retention.bytes=1"],
        ),
        false => (
            "kafka.admin.ConfigCommand",
            &[
                "--entity-type",
                "topics",
                "--entity-name",
                topic,
                "--add-config",
                "retention.bytes=1",
            ],
        ),
    };
    let arguments = ["--zookeeper", &zookeeper, "--alter"];
    cluster.run_java_tool(class, arguments.iter().chain(entity), b"")?;
    // It deletes one after the other, up to the last, which holds fewer messages than this.
    const SEGMENT: i64 = 10;
    let mut before = None;
    wait_some(PATIENCE, "the broker to delete segments", || {
        let describe = ["topic describe --json --zookeeper", &zookeeper, topic];
        let described = run(&describe).ok()?.stdout().texts();
        let partition: Value = serde_json::from_str(described.first()?).ok()?;
        let first = partition["first_offset"].as_i64();
        let is_settled = before.replace(first) == Some(first);
        first.filter(|first| is_settled && *first > 300 - SEGMENT)
    })
}

/// As after the topic was made anew, or cut off by a leader that had fallen behind: what the policy says plays no part.
fn a_position_above_the_end_goes_to_the_end(cluster: &Cluster) -> Result<()> {
    let topic = unique("cut");
    cluster.create_topic(&topic, 1, 1)?;
    cluster.produce(&topic, "none", 0..10)?;
    let group = unique("group");
    let view = cluster.zookeeper_view()?;
    view.put(&format!("/consumers/{group}/offsets/{topic}/0"), "1000")?;

    let run = consume(cluster, &topic, &group, "earliest")?;
    assert_eq!(run.offsets(), [0; 0]);
    let reason = json!("above_log_end");
    assert_eq!(run.reset(), [&json!(1000), &json!(10), &reason]);
    assert_eq!(run.code, Some(0));
    cluster.produce(&topic, "none", 10..13)?;
    let next = consume(cluster, &topic, &group, "earliest")?;
    assert_eq!(next.offsets(), [10, 11, 12]);
    Ok(())
}
