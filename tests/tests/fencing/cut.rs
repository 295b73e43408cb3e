//! A member that is cut off from ZooKeeper for longer than its session lasts.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use divvy_tests::group::PATIENCE;
use divvy_tests::{
    Cluster, CommittedWatch, Group, KafkaVersion, ProxyMode, on_embedded, on_kafka_0_8_2_2, scale,
};

use crate::scene::{LEASE, TAKEN_OVER_WITHIN, committed, group};

on_embedded!(a_member_that_is_cut_off_stops_in_time);
on_kafka_0_8_2_2!(a_member_that_is_cut_off_stops_in_time);

/// What a line may take beside.
const SLACK: Duration = Duration::from_millis(300);

/// However it is cut off: it stops in time, the other one goes on with its partitions, what is committed never goes back, and when
/// it is let in again it shares with the other one as before.
fn a_member_that_is_cut_off_stops_in_time(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let (mut group, producers) = group(cluster, 2)?;
    let mut committed = committed(&group)?;
    let every_way = vec![ProxyMode::Freeze, ProxyMode::BlackHole, ProxyMode::Refuse];
    for (round, mode) in scale(vec![ProxyMode::Freeze], every_way)
        .into_iter()
        .enumerate()
    {
        cut_off(&mut group, &mut committed, round % 2, mode)
            .with_context(|| format!("{mode:?}"))?;
    }
    committed.never_went_back()?;
    group.nothing_is_lost(producers)?;
    group.printed_by_one_at_a_time()
}

fn cut_off(
    group: &mut Group<'_>,
    committed: &mut CommittedWatch<'_>,
    victim: usize,
    mode: ProxyMode,
) -> Result<()> {
    let before = group.owners()?;
    let cut = Instant::now();
    group.proxy(victim)?.set_mode(mode);
    if mode == ProxyMode::Refuse {
        group.proxy(victim)?.cut();
    }
    group.members[victim].lives = false;
    let alone = group.settle_from(&before, TAKEN_OVER_WITHIN)?;
    committed.watch(scale(Duration::from_secs(8), Duration::from_secs(20)))?;

    let healed = Instant::now();
    group.proxy(victim)?.set_mode(ProxyMode::Forward);
    group.members[victim].lives = true;
    group.settle_from(&alone, PATIENCE)?;
    committed.watch(Duration::from_secs(2))?;
    group.collect()?;
    let last = group.output.last_line(victim, cut..healed);
    let last = last.context("the member printed nothing after it was cut off")? - cut;
    ensure!(
        last <= LEASE + SLACK,
        "its last line came {last:?} after the cut"
    );
    Ok(())
}
