//! Members that die.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use divvy_tests::{Cluster, Group, KafkaVersion, on_every_version, scale};

on_every_version!(the_partitions_of_a_killed_member_are_read_on);

const SESSION_TIMEOUT: Duration = Duration::from_secs(3);
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// What may pass between the end of a dead member's session and the first line of its successor.
const TAKEOVER: Duration = Duration::from_secs(1);
const PARTITIONS: i32 = 8;
const RATE: u32 = 2000;

/// A member is killed: its partitions, and only they, move, are read on in time, and only what was not committed comes again.
fn the_partitions_of_a_killed_member_are_read_on(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, &[PARTITIONS])?.arguments(&[
        "--session-timeout",
        "3s",
        "--commit-interval",
        "1s",
    ]);
    let topic = group.topic().to_owned();
    let producer = cluster.produce_numbers(&topic, 0..PARTITIONS, RATE)?;
    group.join()?;
    group.join()?;
    let mut may_come_again = BTreeMap::new();
    for _ in 0..scale(1, 10) {
        let victim = group.join()?;
        group.wait_for_lines(2 * RATE as usize)?;
        let before = group.owners()?;
        let lost = group.owned_by(victim, &before);
        ensure!(!lost.is_empty(), "the victim owned nothing");

        let killed = group.kill(victim)?;
        let deadline = SESSION_TIMEOUT + TAKEOVER;
        let after = group.settle_from(&before, deadline)?;
        for partition in lost {
            let heir = group.owner_of(&partition, &after)?;
            let took = group.wait_for_line_of(heir, &partition, killed)? - killed;
            ensure!(
                took <= deadline,
                "{partition:?} was read again after {took:?}"
            );
            *may_come_again.entry(partition).or_insert(0) += most_duplicates();
        }
    }
    let acknowledged = producer.stop()?;
    group.wait_until_printed(&topic, &acknowledged)?;
    group.printed_by_one_at_a_time()?;
    for (partition, count) in group.output.duplicates() {
        let most = may_come_again.get(&partition).copied().unwrap_or_default();
        ensure!(
            count <= most,
            "{count} messages of {partition:?} were printed twice, more than {most}"
        );
    }
    Ok(())
}

/// What one partition gets between two commits, and half a second.
fn most_duplicates() -> usize {
    let rate = f64::from(RATE) / f64::from(PARTITIONS);
    let uncommitted = COMMIT_INTERVAL + Duration::from_millis(500);
    (rate * uncommitted.as_secs_f64()) as usize
}
