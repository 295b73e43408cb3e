//! Many members that come at once, some of whom are killed.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use divvy_tests::cluster::four_letter_word;
use divvy_tests::{Cluster, Group, KafkaVersion, on_embedded, on_kafka_0_8_2_2, scale, wait_for};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::scene::SESSION_TIMEOUT;

on_embedded!(many_members_come_at_once_and_some_die);
on_kafka_0_8_2_2!(many_members_come_at_once_and_some_die);

/// How long after the last one was started they must have shared everything out.
const BALANCED_WITHIN: Duration = Duration::from_secs(5);
/// The same after one of them was killed: its session, a tick, and a second.
const HEALED_WITHIN: Duration = Duration::from_millis(4500);
const SEED: u64 = 4;

/// Fifty members on a hundred partitions start within a second (in a short run, fewer): they have shared everything out five
/// seconds later, and again after each of ten deaths. What that costs ZooKeeper is told.
fn many_members_come_at_once_and_some_die(version: KafkaVersion) -> Result<()> {
    let (members, partitions, kills) = scale((16, 32, 1), (50, 100, 10));
    let cluster = Cluster::builder().kafka(version).start()?;
    let mut group = Group::new(&cluster, &[partitions])?.session_timeout(SESSION_TIMEOUT);
    let producers = group.produce(1000)?;

    let mut operations = Operations::of(&cluster)?;
    let began = Instant::now();
    let started = group.enter_many(members)?;
    let starting = started - began;
    // Looking at them would be counted, too.
    rest_until(started + BALANCED_WITHIN)?;
    operations.tell(&format!(
        "{members} members on {partitions} partitions, started in {starting:?}"
    ))?;
    let mut before = group.settle_from(&[].into(), Duration::ZERO)?;

    let mut random = SmallRng::seed_from_u64(SEED);
    for _ in 0..kills {
        let living = group.members.iter().enumerate();
        let living: Vec<usize> = living
            .filter(|(_, member)| member.lives)
            .map(|(number, _)| number)
            .collect();
        operations.restart()?;
        let killed = group.kill(living[random.random_range(0..living.len())])?;
        rest_until(killed + HEALED_WITHIN)?;
        operations.tell(&format!("one of {} killed", living.len()))?;
        before = group.settle_from(&before, Duration::ZERO)?;
    }
    group.nothing_is_lost(producers)?;
    group.printed_as_assigned()
}

fn rest_until(moment: Instant) -> Result<()> {
    wait_for(Duration::from_secs(60), "time to pass", || {
        Instant::now() >= moment
    })
}

/// How many packets ZooKeeper has received, pings and other clients' included.
struct Operations<'a> {
    cluster: &'a Cluster,
    before: u64,
}

impl<'a> Operations<'a> {
    fn of(cluster: &'a Cluster) -> Result<Operations<'a>> {
        let before = received(cluster)?;
        Ok(Operations { cluster, before })
    }

    fn restart(&mut self) -> Result<()> {
        self.before = received(self.cluster)?;
        Ok(())
    }

    fn tell(&self, about: &str) -> Result<()> {
        let packets = received(self.cluster)? - self.before;
        writeln!(std::io::stderr(), "{about}: {packets} packets to ZooKeeper")?;
        Ok(())
    }
}

fn received(cluster: &Cluster) -> Result<u64> {
    let server = cluster
        .zookeepers()
        .first()
        .context("a cluster without servers")?;
    let answer = four_letter_word(server.address(), "mntr")?;
    let received = answer
        .lines()
        .find_map(|line| line.strip_prefix("zk_packets_received"));
    let received = received.with_context(|| format!("no count in {answer:?}"))?;
    ensure!(!received.trim().is_empty(), "an empty count");
    Ok(received.trim().parse()?)
}
