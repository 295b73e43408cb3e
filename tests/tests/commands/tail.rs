//! `divvy tail` reads everything, also what is added later, in turns, and writes all of it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use divvy_tests::{Cluster, Divvy, Event, unique, wait_for};
use serde_json::{Value, json};

use crate::program::{FORMAT, first_lines, messages, offsets, printed, run, spawn, split, values};
use crate::records::{self, Record};
use crate::{PATIENCE, on_every_version};

on_every_version!(
    two_tails_print_every_message_each,
    added_partitions_are_read_from_their_start,
    no_partition_has_a_second_turn_before_all_had_one,
    a_slow_reader_gets_everything,
    null_and_empty_differ,
    a_closed_stdout_ends_it_while_nothing_is_written,
);

/// Each owns all partitions, and goes on with what is written while it reads. SIGTERM ends it in order.
fn two_tails_print_every_message_each(cluster: &Cluster) -> Result<()> {
    let topic = unique("tailed");
    cluster.create_topic(&topic, 4, 1)?;
    cluster.produce(&topic, "none", 0..100)?;
    let (bootstrap, zookeeper) = (cluster.bootstrap(), cluster.zookeeper_connect());
    let tail = format!("tail --topic {topic} --format {FORMAT}");
    let tails = [
        spawn(&[&tail, "--bootstrap", &bootstrap])?,
        spawn(&[&tail, "--zookeeper", &zookeeper])?,
    ];
    for tail in &tails {
        wait_for(PATIENCE, "what is there", || tail.stdout().len() >= 100)?;
    }
    cluster.produce(&topic, "none", 100..300)?;
    for tail in &tails {
        wait_for(PATIENCE, "what was added", || tail.stdout().len() >= 300)?;
        tail.term()?;
        tail.wait_success(PATIENCE)?;
        let printed = messages(tail.stdout())?;
        assert_eq!(values(&printed)?, Vec::from_iter(0..300));
        for (partition, offsets) in offsets(&printed) {
            let last = *offsets.last().context("no offset")?;
            assert_eq!(offsets, Vec::from_iter(0..=last), "partition {partition}");
        }
    }
    Ok(())
}

/// What is written to a new partition before it is noticed must not be lost, even by who begins at the end.
fn added_partitions_are_read_from_their_start(cluster: &Cluster) -> Result<()> {
    let topic = unique("growing");
    cluster.create_topic(&topic, 1, 1)?;
    cluster.produce(&topic, "none", 0..10)?;
    let bootstrap = cluster.bootstrap();
    let tail = spawn(&[
        "tail --topic",
        &topic,
        "--bootstrap",
        &bootstrap,
        "--from latest --metadata-max-age 1s --events json",
        "--format",
        FORMAT,
    ])?;
    tail.wait_for_event(PATIENCE, "assigned", |_| true)?;
    cluster.alter_partitions(&topic, 3)?;
    cluster.produce(&topic, "none", 10..100)?;
    wait_for(PATIENCE, "every partition's messages", || {
        tail.stdout().len() >= 90
    })?;
    tail.term()?;
    tail.wait_success(PATIENCE)?;
    let printed = messages(tail.stdout())?;
    assert_eq!(values(&printed)?, Vec::from_iter(10..100));
    let offsets = offsets(&printed);
    assert_eq!(offsets[&0].first(), Some(&10));
    for added in [1, 2] {
        assert_eq!(offsets[&added].first(), Some(&0), "partition {added}");
    }
    let assigned = tail.events_named("assigned");
    let assigned: Vec<i32> = assigned.iter().flat_map(Event::partitions).collect();
    assert_eq!(BTreeSet::from_iter(&assigned), BTreeSet::from([&0, &1, &2]));
    assert_eq!(assigned.len(), 3, "assigned again: {assigned:?}");
    Ok(())
}

/// Eight partitions full of messages are handed out in turns of what was fetched together.
fn no_partition_has_a_second_turn_before_all_had_one(cluster: &Cluster) -> Result<()> {
    const PARTITIONS: usize = 8;
    let topic = unique("full");
    cluster.create_topic(&topic, PARTITIONS, 1)?;
    // About 500 messages, 250 KB and 60 turns for each partition.
    let padded = (0..4000).map(|number| format!("{number:0500}"));
    cluster.produce(&topic, "none", padded)?;
    let bootstrap = cluster.bootstrap();
    let arguments = [
        "tail --exit-at-end --fetch-message-max-bytes 4096 --format",
        "%p\\t%s\\n",
        "--topic",
        &topic,
        "--bootstrap",
        &bootstrap,
    ];
    // Nobody reads, so everything behind the first lines waits in the queue before it is handed out.
    let tail = Divvy::command(split(&arguments)).hold_stdout().spawn()?;
    // Whoever begins later and has to print everything is not done before the other has fetched it.
    assert_eq!(run(&arguments)?.stdout().len(), 4000);
    tail.stdout().release();
    tail.wait_success(PATIENCE)?;

    let mut turns: Vec<&str> = Vec::new();
    let lines = tail.stdout().texts();
    assert_eq!(lines.len(), 4000);
    // What was written while the queue was still being filled is in no certain order: a pipe's 64 KiB and what was formatted
    // ahead of them. And when the first partition is spent, the others' turns come sooner.
    for line in &lines[1000..3000] {
        let partition = line.split('\t').next().unwrap_or_default();
        if turns.last() != Some(&partition) {
            turns.push(partition);
        }
    }
    assert!(turns.len() > 10 * PARTITIONS, "{turns:?}");
    for round in turns.windows(PARTITIONS) {
        let distinct = BTreeSet::from_iter(round);
        assert_eq!(
            distinct.len(),
            PARTITIONS,
            "somebody came twice in {round:?} of {turns:?}"
        );
    }
    Ok(())
}

/// Who reads slowly makes divvy wait, and is not left with half of it when divvy has nothing more to read.
fn a_slow_reader_gets_everything(cluster: &Cluster) -> Result<()> {
    let topic = unique("slow");
    cluster.create_topic(&topic, 2, 1)?;
    cluster.produce(
        &topic,
        "none",
        (0..400).map(|number| format!("{number:01000}")),
    )?;
    let (bootstrap, zookeeper) = (cluster.bootstrap(), cluster.zookeeper_connect());
    let end = format!("--topic {topic} --format {FORMAT}");
    let readers = [
        format!("tail --bootstrap {bootstrap} --exit-at-end {end}"),
        format!("tail --bootstrap {bootstrap} --to 150 {end}"),
        format!("consume --zookeeper {zookeeper} --group {topic} --max-messages 300 {end}"),
    ];
    for (arguments, count) in readers.iter().zip([400, 300, 300]) {
        let reader = Divvy::command(split(&[arguments])).hold_stdout().spawn()?;
        let ended = reader.wait(Duration::from_secs(3));
        assert!(ended.is_err(), "did not wait for its reader: {arguments}");
        reader.stdout().release();
        reader.wait_success(PATIENCE)?;
        assert_eq!(messages(reader.stdout())?.len(), count, "{arguments}");
    }
    Ok(())
}

fn null_and_empty_differ(cluster: &Cluster) -> Result<()> {
    let topic = unique("empty");
    cluster.create_topic(&topic, 1, 1)?;
    let records = [
        Record::new(None, Some(b"")),
        Record::new(Some(b""), None),
        Record::new(Some(b"k\"\n"), Some("\u{2713}".as_bytes())),
        Record::new(Some(b"\xff"), Some(b"\0\xfe")),
    ];
    records::produce(cluster, &topic, "none", &records)?;
    let bootstrap = cluster.bootstrap();
    let tail = [
        "tail --exit-at-end --topic",
        &topic,
        "--bootstrap",
        &bootstrap,
    ];

    let tail_json = run(&[&tail[..], &["--json"]].concat())?;
    let found = tail_json.stdout().texts();
    let found = found.iter().map(|line| Ok(serde_json::from_str(line)?));
    let found = found.collect::<Result<Vec<Value>>>()?;
    let object = |offset: i64, key: Value, value: Value| {
        let mut object = json!({"topic": topic, "partition": 0, "offset": offset, "timestamp": null, "headers": []});
        for (name, part) in [("key", key), ("value", value)] {
            match part.get("base64") {
                Some(text) => object[format!("{name}_base64")] = text.clone(),
                None => object[name] = part,
            }
        }
        object
    };
    let expected = [
        object(0, Value::Null, json!("")),
        object(1, json!(""), Value::Null),
        object(2, json!("k\"\n"), json!("\u{2713}")),
        object(3, json!({"base64": "/w=="}), json!({"base64": "AP4="})),
    ];
    assert_eq!(found, expected);

    let format = ["--format", "%t|%p|%o|%T|%K|%S|%%|\\\\\\t%k=%s\\n"];
    let formatted = run(&[&tail[..], &format].concat())?;
    let lines = formatted.stdout().lines();
    let lines: Vec<&[u8]> = lines.iter().map(|line| line.bytes.as_slice()).collect();
    let start = |offset: i32| format!("{topic}|0|{offset}|-1|");
    assert_eq!(lines[0], [start(0).as_bytes(), b"-1|0|%|\\\t="].concat());
    assert_eq!(lines[1], [start(1).as_bytes(), b"0|-1|%|\\\t="].concat());
    assert_eq!(lines[2], [start(2).as_bytes(), b"3|3|%|\\\tk\""].concat());
    assert_eq!(lines[3], "=\u{2713}".as_bytes());
    assert_eq!(
        lines[4],
        [start(3).as_bytes(), b"1|2|%|\\\t\xff=\0\xfe"].concat()
    );
    assert_eq!(lines.len(), 5);
    Ok(())
}

/// `divvy tail | head -n 1` ends when head does, and not with the next message.
fn a_closed_stdout_ends_it_while_nothing_is_written(cluster: &Cluster) -> Result<()> {
    let topic = unique("closed");
    cluster.create_topic(&topic, 1, 1)?;
    cluster.produce(&topic, "none", 0..10)?;
    let bootstrap = cluster.bootstrap();
    let tail = format!("tail --topic {topic} --bootstrap {bootstrap}");
    assert_eq!(first_lines(&tail, 1)?, ["0"]);
    assert_eq!(printed(&[&tail, "--max-messages 0"])?, []);
    Ok(())
}
