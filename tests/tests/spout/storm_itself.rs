//! The spout under Storm itself, in its local mode: a topology in one JVM, which starts parallel spouts as processes, hands their
//! tuples to bolts, and pauses.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy_tests::jars::jdk;
use divvy_tests::{
    Cluster, Jars, KafkaVersion, Process, ZooKeeperView, example, paths, scale, turn, unique,
    wait_for, warden,
};
use tempfile::TempDir;

const PARTITIONS: usize = 8;
const SPOUTS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a line takes from a bolt to here.
const PIPE_PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn every_tuple_comes_once_and_none_while_the_topology_is_paused() -> Result<()> {
    let _turn = turn();
    let tuples = scale(4_000, 100_000);
    let mut storm = Storm::start(0)?;
    storm.write(0..tuples)?;
    storm.watch_until_acked(tuples)?;

    storm.order("deactivate")?;
    storm.wait_until_said("paused", SPOUTS)?;
    let owners = storm.view.owners(&storm.group, &storm.topic)?;
    storm.write(tuples..tuples + tuples / 4)?;
    storm.order("activate")?;
    // Storm activates spouts at their start, too.
    storm.wait_until_said("going on", 2 * SPOUTS)?;
    storm.watch_until_acked(tuples + tuples / 4)?;
    storm.nothing_came_while_paused()?;
    ensure!(
        owners.len() == PARTITIONS && owners == storm.view.owners(&storm.group, &storm.topic)?,
        "the partitions have changed hands while the topology was paused"
    );
    storm.end()?;
    let repeated = storm.acked.values().filter(|times| **times > 1).count();
    ensure!(repeated == 0, "{repeated} tuples came again");
    Ok(())
}

#[test]
fn tuples_that_fail_come_again() -> Result<()> {
    let _turn = turn();
    let tuples = scale(4_000, 100_000);
    let mut storm = Storm::start(20)?;
    storm.write(0..tuples)?;
    storm.watch_until_acked(tuples)?;
    storm.end()?;
    ensure!(
        storm.failed >= tuples / 20,
        "only {} tuples have failed",
        storm.failed
    );
    Ok(())
}

struct Storm {
    cluster: &'static Cluster,
    view: ZooKeeperView,
    group: String,
    topic: String,
    jvm: Process,
    _classes: TempDir,
    /// How many lines were read.
    lines: usize,
    /// How often each tuple was acknowledged.
    acked: BTreeMap<(i32, i64), u32>,
    numbers: BTreeSet<String>,
    failed: usize,
}

impl Storm {
    /// Submits the topology. One in so many tuples fails; none for 0.
    fn start(failures: usize) -> Result<Self> {
        let cluster = Cluster::shared(KafkaVersion::V0_8_2_2)?;
        let (group, topic) = (unique("stormy"), unique("numbers"));
        cluster.create_topic(&topic, PARTITIONS, 1)?;
        let jars = Jars::storm()?;
        let jars = format!("{}/*", jars.directory().display());
        let classes = compile(&jars)?;
        let mut java = Command::new(jdk("java"));
        java.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg(format!("-Djava.io.tmpdir={}", classes.path().display()))
            .args(["-cp", &format!("{}:{jars}", classes.path().display())])
            .args(["CountingTopology", &SPOUTS.to_string()])
            .arg(failures.to_string())
            .arg(example("storm_spout")?)
            .args([&cluster.zookeeper_connect(), &group, &topic])
            // It leaves logs where it runs.
            .current_dir(classes.path());
        let jvm = Process::spawn("Storm", &mut java)?;
        jvm.stdout()
            .wait_for(PATIENCE, "the topology to be submitted", |line| {
                line == "submitted"
            })?;
        Ok(Self {
            cluster,
            view: cluster.zookeeper_view()?,
            group,
            topic,
            jvm,
            _classes: classes,
            lines: 0,
            acked: BTreeMap::new(),
            numbers: BTreeSet::new(),
            failed: 0,
        })
    }

    fn write(&self, numbers: Range<usize>) -> Result<()> {
        self.cluster.produce(&self.topic, "none", numbers)
    }

    fn order(&self, order: &str) -> Result<()> {
        self.jvm.write(format!("{order}\n").as_bytes())
    }

    /// Waits for what the spouts write into Storm's log.
    fn wait_until_said(&self, what: &str, times: usize) -> Result<()> {
        wait_for(PATIENCE, what, || {
            let lines = self.jvm.stdout().texts();
            lines.iter().filter(|line| is_said(line, what)).count() >= times
        })
    }

    /// Between the last spout's pause and the first one's going on.
    fn nothing_came_while_paused(&self) -> Result<()> {
        let lines = self.jvm.stdout().texts();
        let paused = lines.iter().rposition(|line| is_said(line, "paused"));
        let paused = paused.context("there was no pause")?;
        let after = lines[paused..].iter();
        let before_going_on = after.take_while(|line| !is_said(line, "going on"));
        let came = before_going_on.filter(|line| line.starts_with("ack"));
        ensure!(came.count() == 0, "tuples came while Storm paused");
        let first = lines[..paused]
            .iter()
            .rposition(|line| is_said(line, "going on"));
        let pauses = lines[first.unwrap_or_default()..=paused].iter();
        let pauses = pauses.filter(|line| is_said(line, "paused"));
        ensure!(pauses.count() == SPOUTS, "some went on while others paused");
        Ok(())
    }

    fn watch_until_acked(&mut self, tuples: usize) -> Result<()> {
        let mut looked = Ok(());
        let what = format!("{tuples} tuples to be acknowledged");
        let waited = wait_for(PATIENCE, &what, || {
            looked = self.look();
            looked.is_err() || self.numbers.len() >= tuples
        });
        looked?;
        waited.with_context(|| self.jvm.stdout().tail(20))
    }

    /// Holds what is committed against what the bolts have said before.
    fn look(&mut self) -> Result<()> {
        let committed = self.view.offsets(&self.group, &self.topic)?;
        self.read()?;
        for (partition, offset) in committed {
            if self.first_unacked(partition) >= offset {
                continue;
            }
            // It was said before it was committed, and may still be in the pipe.
            let said = wait_for(PIPE_PATIENCE, "lines", || {
                self.read().is_err() || self.first_unacked(partition) >= offset
            });
            said.with_context(|| {
                let first = self.first_unacked(partition);
                format!(
                    "offset {offset} of partition {partition} is committed, and {first} is not acknowledged"
                )
            })?;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<()> {
        let lines = self.jvm.stdout().since(self.lines);
        self.lines += lines.len();
        for line in lines {
            let text = line.text();
            let fields: Vec<&str> = text.split(' ').collect();
            // Everything else is Storm's log.
            match &fields[..] {
                ["ack", partition, offset, number] => {
                    let place = (partition.parse()?, offset.parse()?);
                    *self.acked.entry(place).or_default() += 1;
                    self.numbers.insert((*number).to_owned());
                }
                ["fail", ..] => self.failed += 1,
                _ => {}
            }
        }
        Ok(())
    }

    fn first_unacked(&self, partition: i32) -> i64 {
        let acked = self.acked.range((partition, 0)..(partition + 1, 0));
        let gapless = (0..)
            .zip(acked)
            .take_while(|(at, (place, _))| *at == place.1);
        gapless.count().try_into().unwrap_or(i64::MAX)
    }

    /// Kills the topology, after which the group is empty and everything is committed.
    fn end(&mut self) -> Result<()> {
        self.jvm.close_stdin();
        self.jvm.wait_success(PATIENCE)?;
        self.look()?;
        let committed = self.view.offsets(&self.group, &self.topic)?;
        for (partition, offset) in committed {
            let acked = self.first_unacked(partition);
            ensure!(
                offset == acked,
                "offset {offset} of partition {partition} is committed, and everything before {acked} is acknowledged"
            );
        }
        let members = self.view.ids(&self.group)?;
        ensure!(members.is_empty(), "still in the group: {members:?}");
        Ok(())
    }
}

fn is_said(line: &str, what: &str) -> bool {
    line.contains("ShellLog") && line.ends_with(what)
}

/// Compiles what is in `tests/java/storm`.
fn compile(jars: &str) -> Result<TempDir> {
    let classes = warden::temporary_directory()?;
    // Storm runs spouts in the folder of this name, which it copies from the class path.
    std::fs::create_dir(classes.path().join("resources"))?;
    let sources = paths::tests().join("java/storm");
    let compiled = Command::new(jdk("javac"))
        .args(["-nowarn", "-cp", jars, "-d"])
        .arg(classes.path())
        .args(["CountingTopology.java", "StaticHostProvider.java"].map(|file| sources.join(file)))
        .output()
        .context("cannot run javac")?;
    ensure!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    Ok(classes)
}
