//! `divvy bench`: what it says was moved is what was moved.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, Divvy, unique};
use serde_json::{Value, json};

use crate::program::{offsets, printed, run, split};
use crate::{PATIENCE, on_every_version};

on_every_version!(
    what_is_written_is_what_is_read,
    what_is_compressed_is_the_same,
    messages_that_do_not_come_are_missed,
    what_cannot_be_measured_is_refused,
);

const FIELDS: [&str; 9] = [
    "bytes",
    "cpu_ns_per_msg",
    "crc_checked",
    "mb_per_s",
    "messages",
    "msgs_per_s",
    "peak_rss_mb",
    "seconds",
    "value_sum",
];

/// Runs `divvy bench` to its one line of JSON.
fn bench(arguments: &[&str]) -> Result<BTreeMap<String, Value>> {
    let divvy = run(&[&["bench"], arguments, &["--json"]].concat())?;
    let lines = divvy.stdout().texts();
    ensure!(lines.len() == 1, "{lines:?}");
    let measured: BTreeMap<String, Value> = serde_json::from_str(&lines[0])?;
    assert!(measured.keys().eq(FIELDS), "{measured:?}");
    Ok(measured)
}

fn number(measured: &BTreeMap<String, Value>, field: &str) -> Result<f64> {
    measured[field]
        .as_f64()
        .with_context(|| format!("{field} is no number"))
}

/// What does not depend on the clock.
fn moved(measured: &BTreeMap<String, Value>) -> [&Value; 4] {
    ["messages", "bytes", "value_sum", "crc_checked"].map(|field| &measured[field])
}

/// The figures of speed agree with one another.
fn agrees_with_itself(measured: &BTreeMap<String, Value>) -> Result<()> {
    let seconds = number(measured, "seconds")?;
    let close = |left: f64, right: f64| (left - right).abs() <= 0.01 * left.max(right) + 0.1;
    assert!(seconds > 0.0, "{measured:?}");
    let rate = number(measured, "messages")? / seconds;
    assert!(close(number(measured, "msgs_per_s")?, rate), "{measured:?}");
    let rate = number(measured, "bytes")? / seconds / 1e6;
    assert!(close(number(measured, "mb_per_s")?, rate), "{measured:?}");
    assert!(number(measured, "cpu_ns_per_msg")? > 0.0, "{measured:?}");
    assert!(number(measured, "peak_rss_mb")? > 1.0, "{measured:?}");
    Ok(())
}

fn what_is_written_is_what_is_read(cluster: &Cluster) -> Result<()> {
    let topic = unique("bench");
    let (bootstrap, zookeeper) = (cluster.bootstrap(), cluster.zookeeper_connect());
    cluster.create_topic(&topic, 3, 1)?;
    let on = format!("--bootstrap {bootstrap} --topic {topic}");
    let written = bench(&["produce --messages 3000 --size 70 --acks 1", &on])?;
    agrees_with_itself(&written)?;

    let there = printed(&["tail --exit-at-end", &on])?;
    for (partition, offsets) in offsets(&there) {
        assert_eq!(offsets.len(), 1000, "partition {partition}");
    }
    let first_bytes = there
        .iter()
        .filter_map(|message| message.value.bytes().next());
    let value_sum: u64 = first_bytes.map(u64::from).sum();
    assert!(there.iter().all(|message| message.value.len() == 70));
    let expected = [json!(3000), json!(210_000), json!(value_sum), json!(true)];
    assert_eq!(moved(&written), expected.each_ref());

    let group = format!("--group {topic} --zookeeper {zookeeper}");
    for api in ["", "--recv", "--stream", "--get-many 7"] {
        for group in ["", &group] {
            let arguments = format!("consume --messages 3000 {on} {api} {group}");
            let arguments: Vec<&str> = arguments.split_whitespace().collect();
            let read = bench(&arguments)?;
            assert_eq!(moved(&read), moved(&written), "{arguments:?}");
            agrees_with_itself(&read)?;
        }
    }
    let unchecked = bench(&["consume --messages 3000 --no-check-crcs", &on])?;
    assert_eq!(unchecked["crc_checked"], false);
    assert_eq!(unchecked["value_sum"], written["value_sum"]);
    let table = run(&["bench consume --messages 10", &on])?.stdout().texts();
    assert_eq!(table.len(), FIELDS.len(), "{table:?}");
    assert!(
        table[0].starts_with("messages") && table[0].ends_with(" 10"),
        "{table:?}"
    );
    Ok(())
}

fn what_is_compressed_is_the_same(cluster: &Cluster) -> Result<()> {
    let mut all = Vec::new();
    for codec in ["none", "gzip", "snappy", "lz4"] {
        let topic = unique("bench");
        cluster.create_topic(&topic, 2, 1)?;
        let on = format!("--bootstrap {} --topic {topic}", cluster.bootstrap());
        let written = bench(&["produce --messages 2000 --compression", codec, &on])?;
        let read = bench(&["consume --messages 2000", &on])?;
        assert_eq!(moved(&read), moved(&written), "{codec}");
        all.push(read);
    }
    assert!(
        all.iter().all(|read| moved(read) == moved(&all[0])),
        "{all:?}"
    );
    Ok(())
}

fn messages_that_do_not_come_are_missed(cluster: &Cluster) -> Result<()> {
    let topic = unique("bench");
    cluster.create_topic(&topic, 1, 1)?;
    let on = format!("--bootstrap {} --topic {topic}", cluster.bootstrap());
    run(&["bench produce --messages 5", &on])?;
    let said = fails(&["consume --messages 6 --patience 300ms", &on], 1)?;
    assert!(
        said.contains(&topic) && said.contains("5 of 6 messages"),
        "{said}"
    );
    // More than there are is no matter for who asks for fewer.
    assert_eq!(bench(&["consume --messages 4", &on])?["messages"], 4);
    Ok(())
}

fn what_cannot_be_measured_is_refused(cluster: &Cluster) -> Result<()> {
    let on = format!(
        "--bootstrap {} --topic {}",
        cluster.bootstrap(),
        unique("nowhere")
    );
    for command in ["consume --messages 1", "produce --messages 1"] {
        let said = fails(&[command, &on], 1)?;
        assert!(said.contains("nowhere"), "{said}");
    }
    let said = fails(&["produce --messages 1 --batch-bytes 0", &on], 2)?;
    assert!(said.contains("batch_size"), "{said}");
    Ok(())
}

/// `divvy bench` ends with this exit code and says why.
fn fails(arguments: &[&str], code: i32) -> Result<String> {
    let arguments = split(&[&["bench"], arguments].concat());
    let (status, divvy) = Divvy::command(&arguments).run(b"", PATIENCE)?;
    let said = divvy.stderr().texts().join("\n");
    assert_eq!(status.code(), Some(code), "{arguments:?}: {said}");
    assert!(divvy.stdout().is_empty(), "{arguments:?}");
    Ok(said)
}
