//! kazoo, which PyKafka brings.

use anyhow::{Result, ensure};
use divvy_tests::{Cluster, KafkaVersion, Process, pykafka};

use super::{PATIENCE, as_both_versions};

as_both_versions!(kazoo_sees_what_it_sees_of_the_real_server);

/// Nodes, ephemerals, sequentials, watches, transactions, a chroot, a session that moves, and the four-letter words: whatever the
/// tour prints, it prints of ZooKeeper 3.4.6.
fn kazoo_sees_what_it_sees_of_the_real_server(version: KafkaVersion) -> Result<()> {
    let real = tour(&Cluster::builder().brokers(0).start()?)?;
    let embedded = tour(&Cluster::builder().kafka(version).brokers(0).start()?)?;
    ensure!(real.len() > 30, "the tour was short: {real:#?}");
    let pairs = real.iter().zip(&embedded);
    let differences: Vec<_> = pairs.filter(|(real, embedded)| real != embedded).collect();
    ensure!(
        differences.is_empty() && real.len() == embedded.len(),
        "the real server and the embedded one: {differences:#?}"
    );
    Ok(())
}

fn tour(cluster: &Cluster) -> Result<Vec<String>> {
    let mut command = pykafka::python_program("kazoo_tour.py")?;
    command.arg(cluster.zookeepers()[0].address().to_string());
    let program = Process::spawn("kazoo", &mut command)?;
    program.wait_success(PATIENCE)?;
    let mut lines = program.stdout().texts();
    // What Kafka keeps at the root is none of the tour's.
    lines.retain(|line| !line.starts_with("top "));
    Ok(lines)
}
