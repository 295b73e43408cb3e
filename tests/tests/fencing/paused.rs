//! A member that is stopped in its tracks for longer than its session lasts.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use divvy_tests::group::PATIENCE;
use divvy_tests::{Cluster, KafkaVersion, on_embedded, on_kafka_0_8_2_2, scale};

use crate::scene::{RATE, TAKEN_OVER_WITHIN, committed, group};

on_embedded!(a_member_that_was_stopped_delivers_nothing_stale);
on_kafka_0_8_2_2!(a_member_that_was_stopped_delivers_nothing_stale);

/// When it goes on, it delivers at most the message of each partition that it had in its hand: not what it had fetched.
fn a_member_that_was_stopped_delivers_nothing_stale(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let (mut group, producers) = group(cluster, 2)?;
    let mut committed = committed(&group)?;
    for victim in scale(vec![0], vec![0, 1, 0]) {
        let before = group.owners()?;
        group.stop(victim)?;
        let alone = group.settle_from(&before, TAKEN_OVER_WITHIN)?;
        committed.watch(scale(Duration::from_secs(2), Duration::from_secs(7)))?;
        let goes_on = Instant::now();
        group.cont(victim)?;
        group.settle_from(&alone, PATIENCE)?;
        group.wait_for_lines(RATE as usize)?;
        committed.watch(Duration::from_secs(1))?;
        let stale = group.output.stale(victim, goes_on);
        ensure!(
            stale.values().all(|count| *count <= 1),
            "stale were {stale:?}"
        );
    }
    committed.never_went_back()?;
    group.nothing_is_lost(producers)
}
