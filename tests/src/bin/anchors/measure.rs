//! The faults. The first of two members is struck each time.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use divvy_tests::committed::StepBack;
use divvy_tests::{Cluster, ProxyMode};
use rustix::process::Signal;

use crate::stage::{Delivery, Load, Make, SESSION_TIMEOUT, Stage};

/// What the members do while they are struck.
pub(crate) const LOAD: Load = Load {
    partitions: 4,
    rate: 50,
};
const CUT_FOR: Duration = Duration::from_secs(20);
const STOPPED_FOR: Duration = Duration::from_secs(10);
/// How long each group is watched afterwards.
const AFTERMATH: Duration = Duration::from_secs(10);

pub(crate) const VICTIM: usize = 0;

/// What came of a member's being cut off from ZooKeeper.
pub(crate) struct Cut {
    /// How often it delivered something of a partition that the other one delivered already.
    pub(crate) overlapping: usize,
    /// When its last delivery was, after the cut.
    pub(crate) last: Duration,
    /// How many messages were delivered three times or more.
    pub(crate) tripled: usize,
    /// By how many messages a committed offset went back at most.
    pub(crate) went_back: i64,
    /// After what time each of its partitions was delivered by the other one.
    pub(crate) taken_over: Duration,
}

/// What came of a member's being stopped in its tracks for longer than its session.
pub(crate) struct Stopped {
    /// How many messages it delivered afterwards that the other one had delivered.
    pub(crate) stale: usize,
    /// By how many messages a committed offset went back at most.
    pub(crate) went_back: i64,
}

/// What came of a member's death.
pub(crate) struct Killed {
    /// After what time each of its partitions was delivered by the other one.
    pub(crate) taken_over: Duration,
}

pub(crate) fn cut(cluster: &Cluster, make: Make) -> Result<Cut> {
    let mut stage = Stage::set(cluster, make, LOAD)?;
    let Range {
        start: cut,
        end: healed,
    } = cut_off(&mut stage)?;
    stage.committed.watch(AFTERMATH)?;

    let deliveries = stage.deliveries()?;
    let heirs = heirs(&deliveries, cut)?;
    let late: Vec<&Delivery> = deliveries
        .iter()
        .filter(|delivery| delivery.member == VICTIM && (cut..healed).contains(&delivery.at))
        .collect();
    let overlapping = late
        .iter()
        .filter(|delivery| {
            heirs
                .get(&delivery.partition)
                .is_some_and(|taken| delivery.at > *taken)
        })
        .count();
    let last = late.last().map_or(cut, |delivery| delivery.at);
    Ok(Cut {
        overlapping,
        last: last - cut,
        tripled: delivered_thrice(&deliveries),
        went_back: went_back(&stage),
        taken_over: latest(&heirs, cut),
    })
}

/// Takes the victim's way to ZooKeeper from it for a while, and gives from when to when.
pub(crate) fn cut_off(stage: &mut Stage<'_>) -> Result<Range<Instant>> {
    let cut = Instant::now();
    stage.group.proxy(VICTIM)?.set_mode(ProxyMode::Freeze);
    stage.committed.watch(CUT_FOR)?;
    let healed = Instant::now();
    stage.group.proxy(VICTIM)?.set_mode(ProxyMode::Forward);
    Ok(cut..healed)
}

pub(crate) fn stop(cluster: &Cluster, make: Make) -> Result<Stopped> {
    let mut stage = Stage::set(cluster, make, LOAD)?;
    stage.group.stop(VICTIM)?;
    stage.committed.watch(STOPPED_FOR)?;
    let goes_on = Instant::now();
    stage.group.cont(VICTIM)?;
    stage.committed.watch(AFTERMATH)?;

    let deliveries = stage.deliveries()?;
    let mut by_other = BTreeMap::new();
    for delivery in deliveries
        .iter()
        .filter(|delivery| delivery.member != VICTIM)
    {
        by_other.entry(delivery.number).or_insert(delivery.at);
    }
    let stale = deliveries
        .iter()
        .filter(|delivery| delivery.member == VICTIM && delivery.at >= goes_on)
        .filter(|delivery| {
            by_other
                .get(&delivery.number)
                .is_some_and(|before| *before < delivery.at)
        })
        .count();
    Ok(Stopped {
        stale,
        went_back: went_back(&stage),
    })
}

pub(crate) fn kill(cluster: &Cluster, make: Make) -> Result<Killed> {
    let mut stage = Stage::set(cluster, make, LOAD)?;
    let killed = Instant::now();
    stage.group.members[VICTIM].program.signal(Signal::KILL)?;
    stage.committed.watch(3 * SESSION_TIMEOUT)?;
    let heirs = heirs(&stage.deliveries()?, killed)?;
    Ok(Killed {
        taken_over: latest(&heirs, killed),
    })
}

/// When the other one first delivered something of each partition that was the victim's at a moment.
fn heirs(deliveries: &[Delivery], moment: Instant) -> Result<BTreeMap<u64, Instant>> {
    let mut owners = BTreeMap::new();
    for delivery in deliveries.iter().filter(|delivery| delivery.at < moment) {
        owners.insert(delivery.partition, delivery.member);
    }
    let of_victim = owners.iter().filter(|(_, owner)| **owner == VICTIM);
    of_victim
        .map(|(partition, _)| {
            let taken = deliveries.iter().find(|delivery| {
                delivery.partition == *partition
                    && delivery.member != VICTIM
                    && delivery.at >= moment
            });
            let taken = taken.with_context(|| format!("nobody took over partition {partition}"))?;
            Ok((*partition, taken.at))
        })
        .collect()
}

fn latest(heirs: &BTreeMap<u64, Instant>, since: Instant) -> Duration {
    heirs
        .values()
        .max()
        .map_or(Duration::ZERO, |latest| latest.duration_since(since))
}

fn delivered_thrice(deliveries: &[Delivery]) -> usize {
    let mut times: BTreeMap<u64, usize> = BTreeMap::new();
    for delivery in deliveries {
        *times.entry(delivery.number).or_default() += 1;
    }
    times.values().filter(|times| **times >= 3).count()
}

fn went_back(stage: &Stage<'_>) -> i64 {
    let steps = stage.committed.steps_back().iter();
    steps.map(StepBack::messages).max().unwrap_or_default()
}
