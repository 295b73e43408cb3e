//! Members that come and go in order.

use anyhow::{Result, ensure};
use divvy_tests::{Cluster, Group, KafkaVersion, on_every_version, scale};

on_every_version!(three_members_share_eight_partitions);

/// Two thousand messages a second, three members that join one after the other, one that leaves: nothing is lost, nothing comes
/// twice, and nobody prints what another one has.
fn three_members_share_eight_partitions(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, &[8])?;
    let topic = group.topic().to_owned();
    let producer = cluster.produce_numbers(&topic, 0..8, 2000)?;
    for _ in 0..3 {
        group.join()?;
        group.wait_for_lines(scale(2000, 40_000))?;
    }
    group.leave(1)?;
    group.wait_for_lines(scale(2000, 40_000))?;

    let acknowledged = producer.stop()?;
    group.wait_until_printed(&topic, &acknowledged)?;
    group.leave(0)?;
    group.leave(2)?;
    group.printed_once_and_in_order()?;

    for (partition, offset) in group.offsets()? {
        let last = acknowledged
            .iter()
            .filter(|message| message.partition == partition)
            .map(|message| message.offset)
            .max();
        ensure!(
            Some(offset - 1) == last,
            "{offset} is stored for partition {partition}, which ends with {last:?}"
        );
    }
    Ok(())
}
