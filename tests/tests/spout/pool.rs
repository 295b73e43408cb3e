//! Groups of pools of workers, the processes of the example `worker_pool`, on real clusters: workers finish in any order, one in ten
//! fails, some messages always do, and members are killed.

mod said;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{
    Acknowledged, Cluster, Divvy, KafkaVersion, Process, ZooKeeperView, example, on_every_version,
    scale, unique, wait_for,
};

use self::said::Said;

on_every_version!(nothing_is_lost_and_nothing_is_committed_before_its_time);

const PATIENCE: Duration = Duration::from_secs(60);
/// How long a line takes from a member to here.
const PIPE_PATIENCE: Duration = Duration::from_secs(10);
/// What a member that is asked to end may take: its workers, and leaving.
const ENDED_WITHIN: Duration = Duration::from_secs(5);
const PARTITIONS: i32 = 4;
const RATE: u32 = 600;
const MEMBERS: usize = 3;

/// Spouts of one group.
struct Spouts<'a> {
    cluster: &'a Cluster,
    program: PathBuf,
    group: String,
    topic: String,
    failed: String,
    view: ZooKeeperView,
    members: Vec<Process>,
    said: Said,
    /// How often a committed offset was held against what was said.
    looks: usize,
    /// The committed offsets that were seen.
    commits: BTreeSet<(i32, i64)>,
}

fn nothing_is_lost_and_nothing_is_committed_before_its_time(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut spouts = Spouts::new(cluster)?;
    let producer = cluster.produce_numbers(&spouts.topic, 0..PARTITIONS, RATE)?;
    for _ in 0..MEMBERS {
        spouts.start()?;
    }
    for round in 0..scale(2, 10) {
        // Everybody has finished something since the last death.
        spouts.watch_until(1000, "messages to be finished")?;
        spouts.kill(round % MEMBERS)?;
        spouts.start()?;
    }
    spouts.watch_until(1000, "messages to be finished after the last death")?;
    let acknowledged = producer.stop()?;
    spouts.watch_until_finished(&acknowledged)?;
    spouts.watch_until_committed(&acknowledged)?;
    spouts.end_all()?;

    spouts.everything_is_committed(&acknowledged)?;
    spouts.dead_letters_are_delivered(&acknowledged)?;
    ensure!(
        spouts.looks > 20 && spouts.commits.len() > 8 && spouts.said.failed() > 100,
        "{} looks at {} commits with {} failures show little",
        spouts.looks,
        spouts.commits.len(),
        spouts.said.failed()
    );
    Ok(())
}

impl<'a> Spouts<'a> {
    fn new(cluster: &'a Cluster) -> Result<Self> {
        let (topic, failed) = (unique("orders"), unique("failed"));
        cluster.create_topic(&topic, usize::try_from(PARTITIONS)?, 1)?;
        cluster.create_topic(&failed, 1, 1)?;
        Ok(Self {
            program: example("worker_pool")?,
            view: cluster.zookeeper_view()?,
            group: unique("spouts"),
            cluster,
            topic,
            failed,
            members: Vec::new(),
            said: Said::default(),
            looks: 0,
            commits: BTreeSet::new(),
        })
    }

    fn start(&mut self) -> Result<()> {
        let zookeeper = self.cluster.zookeeper_connect();
        let mut command = Command::new(&self.program);
        command.args([&zookeeper, &self.group, &self.topic, &self.failed]);
        self.members
            .push(Process::spawn("worker_pool", &mut command)?);
        self.said.add_member();
        Ok(())
    }

    /// Kills a member, by its place among those that live, once it has finished something. What it had said counts.
    fn kill(&mut self, nth: usize) -> Result<()> {
        let living: Vec<usize> = (0..self.members.len())
            .filter(|member| self.members[*member].is_running())
            .collect();
        let victim = *living.get(nth).context("there is no such member")?;
        // A young one has no partition before the session of the last dead is over.
        let what = format!("member {victim} to finish something");
        self.watch(&what, |said| said.finished_by(victim) > 0)?;
        self.members[victim].kill();
        self.members[victim].wait(PATIENCE)?;
        Ok(())
    }

    fn end_all(&mut self) -> Result<()> {
        for member in self.members.iter().filter(|member| member.is_running()) {
            member.term()?;
            member.wait_success(ENDED_WITHIN)?;
        }
        self.said.read(&self.members)
    }

    /// Watches until so many more messages are finished.
    fn watch_until(&mut self, more: usize, what: &str) -> Result<()> {
        let wanted = self.said.finished() + more;
        self.watch(what, |said| said.finished() >= wanted)
    }

    fn watch_until_finished(&mut self, acknowledged: &[Acknowledged]) -> Result<()> {
        self.watch("every message to be finished", |said| {
            let mut all = acknowledged.iter();
            all.all(|message| said.is_finished(message.partition, message.offset))
        })
    }

    /// What the dead had finished and not committed, the living finish once more: a failing one is tried as often again.
    fn watch_until_committed(&mut self, acknowledged: &[Acknowledged]) -> Result<()> {
        let mut uncommitted = None;
        let waited = wait_for(PATIENCE, "everything to be committed", || {
            uncommitted = self.everything_is_committed(acknowledged).err();
            uncommitted.is_none()
        });
        match uncommitted {
            Some(uncommitted) => Err(uncommitted.context(self.stderr())),
            None => waited,
        }
    }

    /// Looks again and again whether nothing is committed that is not finished, until there is what is waited for.
    fn watch(&mut self, what: &str, done: impl Fn(&Said) -> bool) -> Result<()> {
        let mut failure = None;
        let waited = wait_for(PATIENCE, what, || {
            failure = self.look().err();
            failure.is_some() || done(&self.said)
        });
        match failure {
            Some(failure) => Err(failure),
            None => waited.with_context(|| self.stderr()),
        }
    }

    /// Reads what is committed, and then what was said before that.
    fn look(&mut self) -> Result<()> {
        for member in &self.members {
            let status = member.stderr().tail(1);
            ensure!(
                !status.contains("Error"),
                "a member failed:\n{}",
                member.stderr().tail(20)
            );
        }
        let committed = self.view.offsets(&self.group, &self.topic)?;
        self.said.read(&self.members)?;
        for (partition, offset) in committed {
            self.looks += 1;
            if self.said.first_unfinished(partition) >= offset {
                self.commits.insert((partition, offset));
                continue;
            }
            // It was said before it was committed, and may still be in the pipe.
            let said = wait_for(PIPE_PATIENCE, "lines", || {
                let read = self.said.read(&self.members);
                read.is_err() || self.said.first_unfinished(partition) >= offset
            });
            said.with_context(|| {
                let first = self.said.first_unfinished(partition);
                format!(
                    "offset {offset} of partition {partition} is committed, and {first} is not finished"
                )
            })?;
        }
        Ok(())
    }

    fn stderr(&self) -> String {
        let ends = self.members.iter().map(|member| {
            let (out, err) = (member.stdout().tail(3), member.stderr().tail(5));
            format!("a member's output ends with:\n{out}\n{err}")
        });
        ends.collect::<Vec<_>>().join("\n")
    }

    /// The committed offsets are behind the last messages.
    fn everything_is_committed(&self, acknowledged: &[Acknowledged]) -> Result<()> {
        let committed = self.view.offsets(&self.group, &self.topic)?;
        for partition in 0..PARTITIONS {
            let mine = acknowledged.iter().filter(|at| at.partition == partition);
            let last = mine.map(|at| at.offset).max().context("nothing was sent")?;
            let offset = committed.get(&partition).copied().unwrap_or_default();
            ensure!(
                offset > last,
                "offset {offset} of partition {partition} is committed, and the last message is at {last}"
            );
        }
        Ok(())
    }

    fn dead_letters_are_delivered(&self, acknowledged: &[Acknowledged]) -> Result<()> {
        let zookeeper = self.cluster.zookeeper_connect();
        let group = unique("undertaker");
        let consume = ["consume", "--zookeeper", &zookeeper, "--group", &group];
        let arguments = consume
            .into_iter()
            .chain(["--topic", &self.failed, "--exit-at-end"]);
        let (status, divvy) = Divvy::command(arguments).run(&[], PATIENCE)?;
        ensure!(status.success(), "{}", divvy.stderr().tail(20));
        let letters: BTreeSet<String> = divvy.stdout().texts().into_iter().collect();
        let hopeless = acknowledged
            .iter()
            .map(|message| message.number.to_string());
        let hopeless: BTreeSet<String> = hopeless.filter(|text| text.ends_with("99")).collect();
        ensure!(!hopeless.is_empty(), "too little was sent");
        let missing: Vec<&String> = hopeless
            .iter()
            .chain(self.said.dead())
            .filter(|number| !letters.contains(*number))
            .collect();
        ensure!(missing.is_empty(), "no dead letters: {missing:?}");
        let worked_off = self.said.worked_off();
        let wrong: Vec<&String> = hopeless
            .iter()
            .filter(|number| worked_off.contains(*number))
            .collect();
        ensure!(wrong.is_empty(), "worked off after all: {wrong:?}");
        Ok(())
    }
}
