//! ZooKeeper is killed, and comes back.

use std::time::{Duration, Instant};

use anyhow::Result;
use divvy_tests::{Cluster, KafkaVersion, on_embedded, on_kafka_0_8_2_2, scale, wait_for};

use crate::scene::{RATE, committed, group};

on_embedded!(a_restart_of_zookeeper_changes_no_owner);
on_kafka_0_8_2_2!(a_restart_of_zookeeper_changes_no_owner);

const AWAY: Duration = Duration::from_secs(1);

/// ZooKeeper's only server is killed and started again after a second: every owner node is the one that it was, and nothing is
/// lost and nothing comes twice.
fn a_restart_of_zookeeper_changes_no_owner(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder().kafka(version).start()?;
    let (mut group, producers) = group(&cluster, 2)?;
    let mut committed = committed(&group)?;
    committed.look()?;
    let owners = group.owners()?;
    for _ in 0..scale(1, 5) {
        let killed = Instant::now();
        cluster.zookeepers()[0].kill();
        wait_for(2 * AWAY, "the end of the outage", || {
            killed.elapsed() >= AWAY
        })?;
        cluster.zookeepers()[0].start()?;
        group.wait_for_lines(4 * RATE as usize)?;
        committed.watch(Duration::from_secs(2))?;
        group.nothing_moved_since(&owners)?;
    }
    committed.never_went_back()?;
    group.nothing_is_lost(producers)?;
    group.printed_once_and_in_order()
}
