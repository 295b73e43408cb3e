//! A member whose reader is stuck.

use std::time::Duration;

use anyhow::{Result, ensure};
use divvy_tests::group::{PATIENCE, show};
use divvy_tests::{Cluster, Group, KafkaVersion, on_every_version, wait_for};

on_every_version!(what_a_stuck_member_did_not_write_comes_from_its_successor);

const RATE: u32 = 5000;
/// For how many messages nobody reads what the member writes: five seconds' worth.
const HELD: usize = 5 * RATE as usize;

/// Nobody reads a member's stdout for five seconds, then it is killed: it has committed nothing but what it had written, and its
/// successor prints the rest.
fn what_a_stuck_member_did_not_write_comes_from_its_successor(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, &[8])?.arguments(&[
        "--session-timeout",
        "3s",
        "--commit-interval",
        "500ms",
    ]);
    let topic = group.topic().to_owned();
    let producer = cluster.produce_numbers(&topic, 0..8, RATE)?;
    let stuck = group.join()?;
    let successor = group.join()?;
    group.wait_for_lines(RATE as usize)?;

    let before = group.owners()?;
    group.divvy(stuck).stdout().hold();
    let held_from = producer.acknowledged().len();
    wait_for(PATIENCE, "five seconds of messages", || {
        producer.acknowledged().len() >= held_from + HELD
    })?;
    group.nothing_moved_since(&before)?;
    // Before its death: its successor commits soon after that.
    let stored = group.offsets()?;
    group.kill(stuck)?;
    let acknowledged_then = producer.acknowledged();
    for partition in group.owned_by(stuck, &before) {
        let written = group.output.offsets_of(stuck, &partition);
        let next = written.last().map_or(0, |last| last + 1);
        let stored = stored.get(&partition.1).copied().unwrap_or_default();
        ensure!(
            stored <= next,
            "{stored} is stored for {partition:?}, and what was written ends before {next}"
        );
        // Otherwise nothing was held back, and this would show nothing.
        let acknowledged = acknowledged_then
            .iter()
            .filter(|message| message.partition == partition.1);
        ensure!(
            acknowledged.count() > written.len() + RATE as usize / 8,
            "the member of {partition:?} was not stuck"
        );
    }

    let after = group.settle_from(&before, Duration::from_secs(4))?;
    ensure!(
        group.owned_by(successor, &after).len() == 8,
        "{}",
        show(&after)
    );
    let acknowledged = producer.stop()?;
    group.wait_until_printed(&topic, &acknowledged)
}
