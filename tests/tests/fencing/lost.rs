//! Requests that are done and whose answers are lost.

use std::ops::Range;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use divvy_tests::group::{PATIENCE, Proxies};
use divvy_tests::{
    Cluster, Direction, Group, KafkaVersion, ProxyMode, ZooKeeperRequest, on_embedded,
    on_kafka_0_8_2_2, scale,
};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::scene::{committed, group};

on_embedded!(lost_answers_lose_no_message);
on_kafka_0_8_2_2!(lost_answers_lose_no_message);

/// The most members at a time.
const MOST: usize = 4;
const SEED: u64 = 4;
/// How answers are lost: to a kind of request, or to all.
const MODES: [ProxyMode; 5] = [
    ProxyMode::LoseAnswerTo(ZooKeeperRequest::Create),
    ProxyMode::LoseAnswerTo(ZooKeeperRequest::Delete),
    ProxyMode::LoseAnswerTo(ZooKeeperRequest::SetData),
    ProxyMode::LoseAnswerTo(ZooKeeperRequest::Multi),
    ProxyMode::BlackHoleOneWay(Direction::ToClient),
];

/// A member comes, goes in order, or is killed, while answers of ZooKeeper are lost to all of them; and so on, round after round.
/// Nothing is lost in any of them, and no partition is printed by two at a time.
fn lost_answers_lose_no_message(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let (mut group, mut producers) = group(cluster, 2)?;
    let (topic, producer) = producers.pop().context("there is no producer")?;
    let mut committed = committed(&group)?;
    let until = Instant::now() + scale(Duration::from_secs(10), Duration::from_secs(60));
    let mut random = SmallRng::seed_from_u64(SEED);
    while Instant::now() < until {
        let strikes = Strikes::begin(group.proxies());
        come_or_go(&mut group, &mut random)?;
        committed.watch(Duration::from_millis(500))?;
        strikes.end()?;
        // Otherwise the next round could mend what this one has broken.
        group.wait_until_printed(&topic, &producer.acknowledged())?;
    }
    group.settle_from(&[].into(), PATIENCE)?;
    committed.never_went_back()?;
    group.wait_until_printed(&topic, &producer.stop()?)?;
    group.printed_as_assigned()
}

/// A thread that loses answers until it is told to end.
struct Strikes {
    running: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Strikes {
    fn begin(proxies: Proxies) -> Strikes {
        let (running, stopped) = mpsc::channel();
        let thread = thread::spawn(move || lose_answers(&proxies, &stopped));
        Strikes { running, thread }
    }

    fn end(self) -> Result<()> {
        drop(self.running);
        let ended = self.thread.join();
        ensure!(ended.is_ok(), "the thread that loses answers has panicked");
        Ok(())
    }
}

/// For a moment at a time, lets some kind of request of the latest members be done and its answer be lost.
fn lose_answers(proxies: &Proxies, stopped: &mpsc::Receiver<()>) {
    let mut random = SmallRng::seed_from_u64(SEED);
    let mut goes_on = true;
    while goes_on {
        let mode = MODES[random.random_range(0..MODES.len())];
        let mut rest = |span: Range<u64>| {
            let pause = Duration::from_millis(random.random_range(span));
            stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout)
        };
        let struck = proxies.all();
        let struck = struck.iter().rev().take(2 * MOST);
        for proxy in struck.clone() {
            proxy.set_mode(mode);
        }
        goes_on = rest(50..300);
        for proxy in struck {
            proxy.set_mode(ProxyMode::Forward);
        }
        goes_on = goes_on && rest(50..150);
    }
}

fn come_or_go(group: &mut Group<'_>, random: &mut SmallRng) -> Result<()> {
    let living = group.members.iter().enumerate();
    let living: Vec<usize> = living
        .filter(|(_, member)| member.lives)
        .map(|(number, _)| number)
        .collect();
    if living.len() < MOST && (living.len() < 2 || random.random()) {
        return group.enter().map(drop);
    }
    let member = living[random.random_range(0..living.len())];
    if random.random() {
        group.kill(member)?;
    } else {
        group.members[member].program.term()?;
        group.members[member].program.wait(PATIENCE)?;
        group.members[member].lives = false;
    }
    group.collect()
}
