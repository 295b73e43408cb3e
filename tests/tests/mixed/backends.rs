//! Members that read through librdkafka beside those that do not.

use anyhow::{Result, ensure};
use divvy_tests::{Cluster, Group, KafkaVersion, on_every_version, scale};

on_every_version!(members_over_both_backends_share_a_group);

/// Partitions go from each kind of member to the other, when one joins and when one leaves: nothing is lost, nothing comes twice, and
/// nobody prints what another one has.
fn members_over_both_backends_share_a_group(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, &[8])?;
    let topic = group.topic().to_owned();
    let producer = cluster.produce_numbers(&topic, 0..8, 1000)?;
    for member in 0..4 {
        if member == 2 {
            group = group.arguments(&["--use-rdkafka"]);
        }
        group.join()?;
        group.wait_for_lines(scale(500, 20_000))?;
    }
    // One of each kind, and one of each kind stays.
    for member in [0, 2] {
        group.leave(member)?;
        group.wait_for_lines(scale(500, 20_000))?;
    }
    let acknowledged = producer.stop()?;
    group.wait_until_printed(&topic, &acknowledged)?;
    for member in [1, 3] {
        let lines = group.output.printed().iter();
        let own = lines.filter(|line| line.member == member).count();
        ensure!(own > 0, "member {member} has printed nothing");
        group.leave(member)?;
    }
    group.printed_once_and_in_order()
}
