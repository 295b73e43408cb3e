//! Where a line of the log belongs.

use std::time::Duration;

use anyhow::{Result, ensure};
use divvy_tests::{Cluster, Divvy, KafkaVersion, turn, unique};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_claim_in_the_log_has_its_group_member_topic_and_partition() -> Result<()> {
    let _turn = turn();
    let cluster = Cluster::shared(KafkaVersion::V0_8_2_2)?;
    let (topic, group) = (unique("logged"), unique("group"));
    cluster.create_topic(&topic, 2, 1)?;
    let zookeeper = cluster.zookeeper_connect();
    let consume = [
        "-vv",
        "consume",
        "--zookeeper",
        &zookeeper,
        "--group",
        &group,
        "--topic",
        &topic,
    ];
    let member = Divvy::native(consume).spawn()?;
    for partition in 0..2 {
        let partition = format!("partition={partition}");
        let line = member
            .stderr()
            .wait_for(PATIENCE, "the log of a claim", |line| {
                line.contains("claimed") && line.contains(&partition)
            })?;
        let line = line.text().into_owned();
        let (spans, _) = line.split_once(" claimed").unwrap_or_default();
        for part in [
            format!("group{{group=\"{group}\""),
            format!("member=\"{group}_"),
            format!("claim{{topic={topic} "),
            partition,
        ] {
            ensure!(spans.contains(&part), "no {part}: {line}");
        }
    }
    member.term()?;
    member.wait_success(PATIENCE)?;
    // On its way out it stores and releases, each in its place.
    let log = member.stderr().texts();
    let released = log
        .iter()
        .filter(|line| line.contains("release{") && line.contains("released"));
    ensure!(released.count() == 2, "{}", member.stderr().tail(20));
    Ok(())
}
