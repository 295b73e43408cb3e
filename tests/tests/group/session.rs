//! A member that loses its session and lives on.

use std::time::Duration;

use anyhow::{Result, ensure};
use divvy_tests::group::{PATIENCE, show};
use divvy_tests::{Cluster, Group, KafkaVersion, on_every_version, scale};

on_every_version!(a_member_that_slept_too_long_comes_back);

/// A member is stopped in its tracks until the others have its partitions, and goes on: it notices, joins again, and nothing is
/// lost.
fn a_member_that_slept_too_long_comes_back(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, &[8])?.arguments(&["--session-timeout", "3s"]);
    let topic = group.topic().to_owned();
    let producer = cluster.produce_numbers(&topic, 0..8, 2000)?;
    let sleeper = group.join()?;
    let other = group.join()?;
    group.wait_for_lines(2000)?;
    for round in 1..=scale(1, 5) {
        let before = group.owners()?;
        ensure!(
            group.owned_by(sleeper, &before).len() == 4,
            "{}",
            show(&before)
        );
        group.stop(sleeper)?;
        let alone = group.settle_from(&before, Duration::from_secs(4))?;
        ensure!(group.owned_by(other, &alone).len() == 8, "{}", show(&alone));
        group.wait_for_lines(2000)?;

        group.cont(sleeper)?;
        group.settle_from(&alone, PATIENCE)?;
        let lost = group.divvy(sleeper).events_named("lost");
        ensure!(lost.len() == round, "{lost:?}");
        ensure!(lost[round - 1].partitions().len() == 4, "{lost:?}");
        group.wait_for_lines(2000)?;
    }
    let acknowledged = producer.stop()?;
    group.wait_until_printed(&topic, &acknowledged)?;
    group.leave(sleeper)?;
    group.leave(other)
}
