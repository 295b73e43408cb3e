//! Requests that are done and whose answers are lost.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use divvy_tests::group::{PATIENCE, Proxies};
use divvy_tests::{Cluster, Direction, Group, KafkaVersion, ProxyMode, scale, turn};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::scene::{RATE, committed, group};

/// The most members at a time.
const MOST: usize = 4;
const SEED: u64 = 4;

/// While answers of ZooKeeper are lost again and again, members come, go in order, and are killed: nothing is lost, and no
/// partition is printed by two at a time.
#[test]
fn lost_answers_lose_no_message() -> Result<()> {
    let _turn = turn();
    let cluster = Cluster::shared(KafkaVersion::V0_8_2_2)?;
    let (mut group, producers) = group(cluster, 2)?;
    let mut committed = committed(&group)?;

    let proxies = group.proxies();
    let (running, stopped) = mpsc::channel::<()>();
    let striker = thread::spawn(move || lose_answers(&proxies, &stopped));
    let until = Instant::now() + scale(Duration::from_secs(10), Duration::from_secs(60));
    let mut random = SmallRng::seed_from_u64(SEED);
    while Instant::now() < until {
        come_or_go(&mut group, &mut random)?;
        committed.watch(Duration::from_millis(500))?;
    }
    drop(running);
    if striker.join().is_err() {
        bail!("the thread that loses answers has panicked");
    }

    group.settle_from(&[].into(), PATIENCE)?;
    group.wait_for_lines(RATE as usize)?;
    committed.never_went_back()?;
    group.nothing_is_lost(producers)?;
    group.printed_as_assigned()
}

/// Swallows what ZooKeeper says to one of the members for a moment, then ends its connection, and so on, until it is stopped.
fn lose_answers(proxies: &Proxies, stopped: &mpsc::Receiver<()>) {
    let mut random = SmallRng::seed_from_u64(SEED);
    let mut rest = |most: u64| {
        let pause = Duration::from_millis(random.random_range(20..most));
        stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout)
    };
    let mut turns = 0;
    while rest(200) {
        let proxies = proxies.all();
        // The newest are more often in the middle of something.
        let proxy = &proxies[proxies.len() - 1 - turns % proxies.len().min(MOST)];
        turns += 1;
        proxy.set_mode(ProxyMode::BlackHoleOneWay(Direction::ToClient));
        let goes_on = rest(300);
        proxy.set_mode(ProxyMode::Forward);
        if !goes_on {
            return;
        }
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
