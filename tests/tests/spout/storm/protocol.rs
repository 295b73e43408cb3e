//! What a single spout answers to each of Storm's commands.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{
    Cluster, JavaRecord, KafkaVersion, example, on_every_version, unique, wait_for, warden,
};
use serde_json::{Value, json};

use super::shell::{Shell, Tuple};

on_every_version!(
    a_deactivated_spout_keeps_its_partitions_and_emits_nothing,
    what_is_not_known_is_answered_and_ignored,
    no_byte_is_lost,
);

const PATIENCE: Duration = Duration::from_secs(30);
/// How often a spout is asked that must not emit. Each time it waits for some milliseconds.
const ASKED_IN_VAIN: usize = 100;

/// One spout of a group of its own, with the partitions of a topic.
struct Scene {
    cluster: &'static Cluster,
    group: String,
    topic: String,
    shell: Shell,
}

fn a_deactivated_spout_keeps_its_partitions_and_emits_nothing(version: KafkaVersion) -> Result<()> {
    let mut scene = Scene::new(version, 2)?;
    scene.write(0..100)?;
    let first = scene.emitted(100)?;
    let view = scene.cluster.zookeeper_view()?;
    let owners = view.owners(&scene.group, &scene.topic)?;

    scene.command("deactivate")?;
    scene.write(100..200)?;
    for _ in 0..ASKED_IN_VAIN {
        let emitted = scene.command("next")?;
        ensure!(emitted.is_empty(), "it has emitted {emitted:?}");
    }
    // What was emitted before goes on all the same.
    for tuple in &first {
        scene.tell("ack", &tuple.id)?;
    }
    wait_for(PATIENCE, "what is acknowledged to be committed", || {
        let committed = view.offsets(&scene.group, &scene.topic);
        committed.is_ok_and(|committed| committed.values().sum::<i64>() == 100)
    })?;
    ensure!(
        owners.len() == 2 && owners == view.owners(&scene.group, &scene.topic)?,
        "the partitions have changed hands"
    );

    scene.command("activate")?;
    let second = scene.emitted(100)?;
    ensure!(
        first
            .iter()
            .all(|tuple| second.iter().all(|after| after.id != tuple.id)),
        "what was acknowledged came again"
    );
    scene.end()
}

fn what_is_not_known_is_answered_and_ignored(version: KafkaVersion) -> Result<()> {
    let mut scene = Scene::new(version, 1)?;
    scene.write(0..10)?;
    let tuples = scene.emitted(10)?;
    ensure!(scene.command("dance")?.is_empty(), "it has emitted");
    let (place, epoch) = tuples[0]
        .id
        .rsplit_once('/')
        .context("an id without an epoch")?;
    let earlier = format!("{place}/{}", epoch.parse::<i64>()? - 1);
    for id in ["", "7", "orders", "no/0/0/0", &earlier] {
        for command in ["ack", "fail"] {
            scene.tell(command, id)?;
        }
    }
    // Had any of these meant something, the first tuple would be acknowledged or come again.
    for _ in 0..ASKED_IN_VAIN {
        ensure!(scene.command("next")?.is_empty(), "a tuple came again");
    }
    for tuple in &tuples[1..] {
        scene.tell("ack", &tuple.id)?;
    }
    scene.tell("fail", &tuples[0].id)?;
    let again = scene.emitted(1)?;
    ensure!(again[0].id == tuples[0].id, "{again:?} came again");
    // A second failure of the same, and one of what is acknowledged, mean nothing either.
    scene.tell("ack", &tuples[0].id)?;
    scene.tell("fail", &tuples[0].id)?;
    for _ in 0..ASKED_IN_VAIN {
        ensure!(scene.command("next")?.is_empty(), "a tuple came again");
    }
    scene.end()?;
    let view = scene.cluster.zookeeper_view()?;
    let committed = view.offsets(&scene.group, &scene.topic)?;
    ensure!(
        committed == BTreeMap::from([(0, 10)]),
        "{committed:?} is committed"
    );
    Ok(())
}

fn no_byte_is_lost(version: KafkaVersion) -> Result<()> {
    let mut scene = Scene::new(version, 1)?;
    let record = |key: Option<&[u8]>, value: Option<&[u8]>| JavaRecord {
        partition: Some(0),
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
    };
    let records = [
        record(None, Some(b"plain")),
        record(Some(b""), Some("gr\u{f6}\u{df}er\nend\n".as_bytes())),
        record(Some(b"\xff\xfe"), None),
        record(Some(b"\0"), Some(b"\x80\0")),
    ];
    scene
        .cluster
        .produce_records(&scene.topic, "gzip", &records)?;
    let tuples = scene.emitted(records.len())?;
    let values: Vec<(Value, Value)> = tuples.into_iter().map(|t| (t.key, t.value)).collect();
    let expected = [
        (Value::Null, json!("plain")),
        (json!(""), json!("gr\u{f6}\u{df}er\nend\n")),
        (json!({ "base64": "//4=" }), Value::Null),
        (json!("\0"), json!({ "base64": "gAA=" })),
    ];
    ensure!(values == expected, "{values:?}");
    scene.end()
}

impl Scene {
    fn new(version: KafkaVersion, partitions: usize) -> Result<Self> {
        let cluster = Cluster::shared(version)?;
        let (group, topic) = (unique("single"), unique("orders"));
        cluster.create_topic(&topic, partitions, 1)?;
        let zookeeper = cluster.zookeeper_connect();
        let pids = warden::temporary_directory()?;
        let arguments = [&*zookeeper, &group, &topic];
        let program = example("storm_spout")?;
        let mut shell = Shell::start(&program, &arguments, pids.path(), 1)?;
        shell.ask(&json!({ "command": "activate" }))?;
        Ok(Self {
            cluster,
            group,
            topic,
            shell,
        })
    }

    fn write(&self, numbers: std::ops::Range<usize>) -> Result<()> {
        self.cluster.produce(&self.topic, "none", numbers)
    }

    fn command(&mut self, command: &str) -> Result<Vec<Tuple>> {
        Ok(self.shell.ask(&json!({ "command": command }))?.tuples)
    }

    fn tell(&mut self, command: &str, id: &str) -> Result<()> {
        let answer = self.shell.ask(&json!({ "command": command, "id": id }))?;
        ensure!(
            answer.tuples.is_empty(),
            "{command} {id} was answered with tuples"
        );
        Ok(())
    }

    /// Asks until so many tuples have come, and no more than these.
    fn emitted(&mut self, wanted: usize) -> Result<Vec<Tuple>> {
        let mut tuples = Vec::new();
        let mut asked = Ok(());
        let waited = wait_for(PATIENCE, "tuples", || {
            asked = self.command("next").map(|more| tuples.extend(more));
            asked.is_err() || tuples.len() >= wanted
        });
        asked?;
        waited?;
        ensure!(tuples.len() == wanted, "{} tuples came", tuples.len());
        Ok(tuples)
    }

    fn end(&self) -> Result<()> {
        let process = self.shell.process();
        process.close_stdin();
        process.wait_success(Duration::from_secs(5))
    }
}
