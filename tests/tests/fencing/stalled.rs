//! A member whose reader is stuck, and that leaves its group for that.

use std::time::Duration;

use anyhow::{Result, ensure};
use divvy_tests::group::PATIENCE;
use divvy_tests::{Cluster, Group, KafkaVersion, on_embedded, on_kafka_0_8_2_2};

use crate::scene::{PARTITIONS, SESSION_TIMEOUT};

on_embedded!(a_stuck_member_leaves_and_comes_back);
on_kafka_0_8_2_2!(a_stuck_member_leaves_and_comes_back);

const RATE: u32 = 5000;

fn a_stuck_member_leaves_and_comes_back(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, &[PARTITIONS])?
        .session_timeout(SESSION_TIMEOUT)
        .arguments(&["--commit-interval", "500ms"])
        .arguments(&["--max-processing-interval", "1s", "--on-stall", "release"]);
    let producers = group.produce(RATE)?;
    let stuck = group.join()?;
    group.join()?;
    group.wait_for_lines(RATE as usize)?;
    let before = group.owners()?;

    group.divvy(stuck).stdout().hold();
    let stalled = group
        .divvy(stuck)
        .wait_for_event(PATIENCE, "stalled", |_| true)?;
    ensure!(
        stalled.fields["age_ms"].as_u64() >= Some(1000),
        "{stalled:?}"
    );
    group.members[stuck].lives = false;
    let alone = group.settle_from(&before, Duration::from_secs(5))?;

    group.divvy(stuck).stdout().release();
    group.members[stuck].lives = true;
    group.settle_from(&alone, PATIENCE)?;
    group.nothing_is_lost(producers)
}
