//! Brokers that are killed again and again, one at a time, under two programs: one that is patient, and one that gives messages up
//! long before a broker is missed.

#![allow(
    clippy::print_stderr,
    reason = "what a run was like is worth reading when it fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use divvy_tests::{Cluster, KafkaVersion, on_every_version, scale, wait_for};

use super::*;

on_every_version!(what_is_acknowledged_survives_every_kill);

const TOPIC: &str = "numbers";
const PARTITIONS: usize = 6;
const BROKERS: usize = 3;
/// How often a broker is killed; later where the last one is not in sync again.
const INTERVAL: Duration = Duration::from_secs(10);
/// How often a program is written to: a line for each millisecond that has passed.
const TICK: Duration = Duration::from_millis(20);

/// With three replicas, of which two must have a message, and no leader that was not in sync, Kafka loses nothing while one broker
/// at a time is killed and the others are in sync. Then every acknowledged line is in the log where its report says; those of a
/// partition lie there in the order of the lines, and a repetition of a line after a retry lies before the next batch's; and every
/// line is reported exactly once, as acknowledged or as given up.
///
/// Leaders must not give their partitions up while they live, as they do for a broker that is preferred: 0.8.2 keeps a request that
/// waits for other replicas although it leads no more and has truncated its log, and acknowledges it should it lead again.
fn what_is_acknowledged_survives_every_kill(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder()
        .kafka(version)
        .brokers(BROKERS)
        .property("unclean.leader.election.enable", false)
        .property("auto.leader.rebalance.enable", false)
        // What only the leader has is much, so that believing in it too early would be noticed.
        .property("replica.fetch.min.bytes", 64 << 10)
        .property("replica.fetch.wait.max.ms", 250)
        .start()?;
    let settings = [("min.insync.replicas", "2")];
    cluster.create_topic_with(TOPIC, PARTITIONS, BROKERS, &settings)?;
    let bootstrap = cluster.bootstrap();
    let mut patient = Writer::start(&bootstrap, "patient", "2m")?;
    let mut hasty = Writer::start(&bootstrap, "hasty", "2s")?;
    kill_while_written(&cluster, [&mut patient, &mut hasty])?;

    for writer in [&patient, &hasty] {
        writer.program.wait(PATIENCE)?;
    }
    let log = read_log(&bootstrap, TOPIC)?;
    let failed_hastily = hasty.outcome()?.judge(&log)?;
    assert!(failed_hastily > 0, "no leader was missed for two seconds");
    let failed_patiently = patient.outcome()?.judge(&log)?;
    assert_eq!(failed_patiently, 0, "{}", patient.program.stderr().tail(5));
    Ok(())
}

/// Kills the broker that leads the most, starts it, and waits until it is in sync, again and again; meanwhile the programs are
/// written to.
fn kill_while_written(cluster: &Cluster, writers: [&mut Writer; 2]) -> Result<()> {
    thread::scope(|scope| {
        let (running, feeding): (Vec<_>, Vec<_>) = writers
            .into_iter()
            .map(|writer| {
                let (running, stopped) = mpsc::channel::<()>();
                (running, scope.spawn(move || writer.feed(&stopped)))
            })
            .unzip();
        let killed = kill_in_turns(cluster);
        drop(running);
        for feeder in feeding {
            feeder.join().expect("a feeder does not panic")?;
        }
        killed
    })
}

fn kill_in_turns(cluster: &Cluster) -> Result<()> {
    let began = Instant::now();
    for round in 1..=scale(2, 12) {
        wait_for(INTERVAL * 2, "the next kill", || {
            began.elapsed() >= INTERVAL * round
        })?;
        let broker = &cluster.brokers()[leads_most(cluster)?];
        broker.kill();
        broker.start()?;
        cluster.wait_until_in_sync()?;
    }
    Ok(())
}

fn leads_most(cluster: &Cluster) -> Result<usize> {
    let metadata = cluster.metadata()?;
    let partitions = metadata.topics.get(TOPIC).context("no topic")?;
    let leads = |broker| {
        let leaders = partitions.values().filter_map(|partition| partition.leader);
        leaders.filter(|leader| *leader == broker).count()
    };
    let most = metadata.brokers.keys().max_by_key(|broker| leads(**broker));
    Ok(usize::try_from(*most.context("no broker")?)?)
}

/// A program, and how many lines were written to it: its name, and a number that counts them.
struct Writer {
    name: &'static str,
    program: Divvy,
    written: u64,
}

impl Writer {
    fn start(bootstrap: &str, name: &'static str, delivery_timeout: &str) -> Result<Self> {
        let common = [
            "produce", "-b", bootstrap, "-t", TOPIC, "--acks", "all", "--report",
        ];
        let more = ["--delivery-timeout", delivery_timeout];
        Ok(Self {
            name,
            program: Divvy::command(common.iter().chain(&more)).spawn()?,
            written: 0,
        })
    }

    /// Writes lines until it is stopped, and then their end.
    fn feed(&mut self, stopped: &mpsc::Receiver<()>) -> Result<()> {
        let began = Instant::now();
        while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            let due = u64::try_from(began.elapsed().as_millis())?;
            let lines = (self.written..due).map(|number| format!("{} {number}\n", self.name));
            self.program.write(lines.collect::<String>().as_bytes())?;
            self.written = due;
        }
        self.program.close_stdin();
        Ok(())
    }

    /// What the program reports of its lines. A line that is reported twice, or not at all, is an error.
    fn outcome(&self) -> Result<Outcome> {
        let mut left: BTreeSet<u64> = (0..self.written).collect();
        let mut told = |value: &str| {
            let number = self.number(value).context("not one of the lines")?;
            anyhow::ensure!(left.remove(&number), "{value} was reported before");
            Ok(number)
        };
        let mut acknowledged: BTreeMap<i64, BTreeMap<u64, i64>> = BTreeMap::new();
        for report in Reported::all(self.program.stdout())? {
            let partition = acknowledged.entry(report.partition).or_default();
            partition.insert(told(&report.value)?, report.offset.context("no offset")?);
        }
        let mut failed = 0;
        for line in self.program.stderr().texts() {
            if let Some((_, rest)) = line.split_once("not delivered: \"") {
                told(rest.split_once('"').context("no end")?.0)?;
                failed += 1;
            }
        }
        anyhow::ensure!(left.is_empty(), "{} lines were not reported", left.len());
        Ok(Outcome {
            name: self.name,
            acknowledged,
            failed,
        })
    }

    fn number(&self, value: &str) -> Option<u64> {
        number_of(self.name, value)
    }
}

fn number_of(name: &str, value: &str) -> Option<u64> {
    value.strip_prefix(name)?.trim_start().parse().ok()
}

struct Outcome {
    name: &'static str,
    /// By partition and number, the offset.
    acknowledged: BTreeMap<i64, BTreeMap<u64, i64>>,
    failed: usize,
}

impl Outcome {
    /// Demands that what was acknowledged is in the log, in order. Gives how many lines failed.
    fn judge(&self, log: &BTreeMap<(i64, i64), String>) -> Result<usize> {
        let mut acknowledged = 0;
        let mut repeated = 0;
        for (partition, numbers) in &self.acknowledged {
            let of_it = log.range((*partition, 0)..=(*partition, i64::MAX));
            let stored: Vec<(i64, u64)> = of_it
                .filter_map(|((_, offset), value)| Some((*offset, number_of(self.name, value)?)))
                .filter(|(_, number)| numbers.contains_key(number))
                .collect();
            let place = format!("{} in partition {partition}", self.name);
            let lies: BTreeSet<(i64, u64)> = stored.iter().copied().collect();
            for (number, offset) in numbers {
                let there = log.get(&(*partition, *offset));
                assert!(
                    lies.contains(&(*offset, *number)),
                    "{number} of {place} was acknowledged at {offset}, where {there:?} is"
                );
            }
            assert!(numbers.values().is_sorted(), "{place}: out of order");
            is_in_order_but_for_repetitions(&stored, &place);
            acknowledged += numbers.len();
            repeated += stored.len() - numbers.len();
        }
        eprintln!(
            "{}: {acknowledged} acknowledged, {repeated} of them repeated, {} failed",
            self.name, self.failed
        );
        assert_eq!(self.acknowledged.len(), PARTITIONS, "{}", self.name);
        Ok(self.failed)
    }
}

/// A batch is sent again until it is stored or has failed, and the next one of its partition only then. So the first places of the
/// numbers ascend with them, and their last places too.
fn is_in_order_but_for_repetitions(stored: &[(i64, u64)], place: &str) {
    let (mut first, mut last) = (BTreeMap::new(), BTreeMap::new());
    for (offset, number) in stored {
        first.entry(*number).or_insert(*offset);
        last.insert(*number, *offset);
    }
    for places in [first, last] {
        assert!(places.values().is_sorted(), "{place}: stored out of order");
    }
}
