//! A member whose reader is stuck, and that leaves its group for that.

use std::time::Duration;

use anyhow::{Result, ensure};
use divvy_tests::group::PATIENCE;
use divvy_tests::{Cluster, Group, KafkaVersion, turn};

use crate::scene::{PARTITIONS, SESSION_TIMEOUT};

const RATE: u32 = 5000;

#[test]
fn a_stuck_member_leaves_and_comes_back() -> Result<()> {
    let _turn = turn();
    let cluster = Cluster::shared(KafkaVersion::V0_8_2_2)?;
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
