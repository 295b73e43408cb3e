//! Parallel spouts of a topology: tasks on 20 partitions, without faults and with them.

mod audit;
mod ledger;
mod protocol;
mod shell;
mod task;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use divvy_tests::{
    Cluster, KafkaVersion, Owner, ZooKeeperView, example, on_every_version, scale, unique,
    wait_for, warden,
};
use tempfile::TempDir;

use self::audit::Audit;
use self::ledger::Ledger;
use self::shell::Shell;
use self::task::{Task, lock};

on_every_version!(
    ten_spouts_emit_every_tuple_once,
    twenty_spouts_emit_every_tuple_once,
    ten_spouts_lose_nothing_when_tuples_fail_and_spouts_are_killed,
    twenty_spouts_lose_nothing_when_tuples_fail_and_spouts_are_killed,
);

const PARTITIONS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(240);
/// Twice the session timeout, which nobody has to wait for here, and what is slow to be finished elsewhere.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(16);
/// Of a hundred tuples, where tuples fail.
const FAILURES: u32 = 5;
/// Storm takes a spout for dead that does not answer for 30 s. The machine may be busy, and still this is far from that.
const SLOWEST_ANSWER: Duration = Duration::from_secs(10);

fn ten_spouts_emit_every_tuple_once(version: KafkaVersion) -> Result<()> {
    every_tuple_is_emitted_once(version, 10)
}

fn twenty_spouts_emit_every_tuple_once(version: KafkaVersion) -> Result<()> {
    every_tuple_is_emitted_once(version, 20)
}

fn ten_spouts_lose_nothing_when_tuples_fail_and_spouts_are_killed(
    version: KafkaVersion,
) -> Result<()> {
    nothing_is_lost(version, 10)
}

fn twenty_spouts_lose_nothing_when_tuples_fail_and_spouts_are_killed(
    version: KafkaVersion,
) -> Result<()> {
    nothing_is_lost(version, 20)
}

/// Half of the spouts join while the others are at work, so that partitions change hands.
fn every_tuple_is_emitted_once(version: KafkaVersion, spouts: usize) -> Result<()> {
    let tuples = tuples();
    let mut topology = Topology::new(version, 0)?;
    topology.write(0..tuples / 2)?;
    topology.start(spouts / 2)?;
    topology.watch_until_acked(tuples / 10)?;
    topology.start(spouts - spouts / 2)?;
    topology.write(tuples / 2..tuples)?;
    topology.watch_until_settled(tuples)?;
    topology.end()?;

    let ledger = lock(&topology.ledger);
    let repeated = ledger.count_repeated();
    ensure!(repeated == 0, "{repeated} tuples were emitted again");
    Ok(())
}

/// One spout is killed while half of the group is at work, and one when all are. Nobody takes their places.
fn nothing_is_lost(version: KafkaVersion, spouts: usize) -> Result<()> {
    let tuples = tuples();
    let mut topology = Topology::new(version, FAILURES)?;
    topology.write(0..tuples / 2)?;
    topology.start(spouts / 2)?;
    topology.watch_until_acked(tuples / 8)?;
    topology.kill_one()?;
    topology.start(spouts - spouts / 2)?;
    topology.write(tuples / 2..tuples * 3 / 4)?;
    topology.watch_until_acked(tuples * 5 / 8)?;
    topology.kill_one()?;
    // These come to partitions that were the dead's, too.
    topology.write(tuples * 3 / 4..tuples)?;
    topology.watch_until_settled(tuples)?;
    topology.end()?;

    let ledger = lock(&topology.ledger);
    let (failed, repeated) = (ledger.count_failed(), ledger.count_repeated());
    ensure!(failed > 0, "no tuple has failed");
    ensure!(
        repeated >= failed,
        "{failed} tuples failed, and {repeated} came again"
    );
    Ok(())
}

fn tuples() -> usize {
    scale(10_000, 100_000)
}

/// The tasks of one component, which are one group.
struct Topology {
    cluster: &'static Cluster,
    view: ZooKeeperView,
    program: PathBuf,
    pids: TempDir,
    group: String,
    topic: String,
    failures: u32,
    tasks: Vec<Task>,
    /// How many tasks were started.
    started: usize,
    ledger: Arc<Mutex<Ledger>>,
    /// How long it took until living tasks owned everything after a death.
    takeovers: Vec<Duration>,
    /// None once it has ended.
    audit: Option<Audit>,
    since: Instant,
}

impl Topology {
    fn new(version: KafkaVersion, failures: u32) -> Result<Self> {
        let cluster = Cluster::shared(version)?;
        let (group, topic) = (unique("topology"), unique("numbers"));
        cluster.create_topic(&topic, PARTITIONS, 1)?;
        let ledger = Arc::default();
        let audit = Audit::start(cluster, &group, &topic, &ledger)?;
        Ok(Self {
            cluster,
            view: cluster.zookeeper_view()?,
            program: example("storm_spout")?,
            pids: warden::temporary_directory()?,
            group,
            topic,
            failures,
            tasks: Vec::new(),
            started: 0,
            ledger,
            takeovers: Vec::new(),
            audit: Some(audit),
            since: Instant::now(),
        })
    }

    fn write(&self, numbers: Range<usize>) -> Result<()> {
        self.cluster.produce(&self.topic, "none", numbers)
    }

    /// Starts so many more spouts side by side.
    fn start(&mut self, spouts: usize) -> Result<()> {
        let zookeeper = self.cluster.zookeeper_connect();
        let arguments = [&*zookeeper, &self.group, &self.topic];
        let numbers = self.started..self.started + spouts;
        let shells: Vec<Result<(usize, Shell)>> = thread::scope(|scope| {
            let start = |number| {
                let (program, pids) = (&self.program, self.pids.path());
                let shell = scope.spawn(move || Shell::start(program, &arguments, pids, number));
                (number, shell)
            };
            let starting: Vec<_> = numbers.map(start).collect();
            let joined = starting.into_iter().map(|(number, shell)| {
                let shell = shell.join().map_err(|_| anyhow!("a start has panicked"))?;
                Ok((number, shell?))
            });
            joined.collect()
        });
        for started in shells {
            let (number, shell) = started?;
            let task = Task::start(number, shell, &self.ledger, self.failures);
            self.tasks.push(task);
        }
        self.started += spouts;
        Ok(())
    }

    /// Kills a spout, and waits until the others own everything.
    fn kill_one(&mut self) -> Result<()> {
        let killed = Instant::now();
        self.tasks.remove(0).kill()?;
        wait_for(TAKEN_OVER_WITHIN, "others to take over", || {
            let owners = self.view.owners(&self.group, &self.topic);
            let members = self.view.ids(&self.group);
            owners.is_ok_and(|owners| {
                members.is_ok_and(|members| {
                    let living = |owner: &Owner| {
                        let mut ids = members.keys();
                        ids.any(|id| owner.text.starts_with(&format!("{id}-")))
                    };
                    members.len() == self.tasks.len()
                        && owners.len() == PARTITIONS
                        && owners.values().all(living)
                })
            })
        })?;
        self.takeovers.push(killed.elapsed());
        Ok(())
    }

    fn watch_until_acked(&mut self, tuples: usize) -> Result<()> {
        self.watch(
            &format!("{tuples} tuples to be acknowledged"),
            |ledger, _| ledger.count_acked() >= tuples,
        )
    }

    fn watch_until_settled(&mut self, tuples: usize) -> Result<()> {
        let waited = self.watch("all to be acknowledged and committed", |ledger, offsets| {
            ledger.is_settled(tuples, offsets).is_ok()
        });
        waited.or_else(|error| {
            let committed = self.view.offsets(&self.group, &self.topic)?;
            lock(&self.ledger)
                .is_settled(tuples, &committed)
                .context(error)
        })
    }

    /// Waits, and no longer than everything goes well.
    fn watch(
        &mut self,
        what: &str,
        done: impl Fn(&Ledger, &BTreeMap<i32, i64>) -> bool,
    ) -> Result<()> {
        let mut looked = Ok(false);
        let waited = wait_for(PATIENCE, what, || {
            looked = self.look(&done);
            !matches!(looked, Ok(false))
        });
        looked.and(waited)
    }

    fn look(&mut self, done: impl Fn(&Ledger, &BTreeMap<i32, i64>) -> bool) -> Result<bool> {
        if self.audit.as_ref().is_some_and(|audit| !audit.is_running())
            && let Some(audit) = self.audit.take()
        {
            audit.end()?;
        }
        if let Some(ended) = self.tasks.iter().position(|task| !task.is_running()) {
            self.tasks.remove(ended).end()?;
            bail!("a task has ended by itself");
        }
        let committed = self.view.offsets(&self.group, &self.topic)?;
        Ok(done(&lock(&self.ledger), &committed))
    }

    #[expect(clippy::print_stdout, reason = "these are figures to report")]
    /// Ends every task, and says what there was to see.
    fn end(&mut self) -> Result<()> {
        let took = self.since.elapsed();
        let mut slowest = Duration::ZERO;
        for task in self.tasks.drain(..) {
            slowest = slowest.max(task.end()?);
        }
        let audit = self.audit.take().context("the audit has ended")?;
        let commits = audit.end()?.len();
        let ledger = lock(&self.ledger);
        println!(
            "{} spouts: {} tuples acknowledged, {} failed, {} emitted again, {commits} committed offsets looked at, slowest answer \
             {slowest:?}, takeovers {:?}, {took:?} in all",
            self.started,
            ledger.count_acked(),
            ledger.count_failed(),
            ledger.count_repeated(),
            self.takeovers,
        );
        ensure!(slowest < SLOWEST_ANSWER, "an answer took {slowest:?}");
        // Where each partition began, where it ended, and what was in between.
        ensure!(commits > 3 * PARTITIONS, "{commits} commits show little");
        Ok(())
    }
}
