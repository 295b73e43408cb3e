//! Brokers replaced by others of a later version, one by one.

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, Group, KafkaVersion, scale, turn};

const BROKERS: usize = 3;
/// What each version's brokers speak among themselves.
const AS_BEFORE: [(&str, &str); 1] = [("inter.broker.protocol.version", "0.8.2.X")];

/// Three brokers of 0.8.2.2 become brokers of 0.9.0.1 on the same data, one by one, and then speak 0.9 among themselves, while a
/// group and a producer run: no owner changes, nothing is lost, and the members speak to each broker as what it has become.
#[test]
fn brokers_are_upgraded_under_a_running_group() -> Result<()> {
    let _turn = turn();
    let cluster = Cluster::builder()
        .brokers(BROKERS)
        .property("replica.lag.time.max.ms", 1000)
        .property("replica.fetch.wait.max.ms", 250)
        .property("min.insync.replicas", 2)
        .property("unclean.leader.election.enable", false)
        .start()?;
    // So that the members say what they find out about each connection.
    let mut group = Group::new(&cluster, &[8])?.arguments(&["-vv"]);
    let producers = group.produce(1000)?;
    for _ in 0..2 {
        group.join()?;
    }
    group.wait_for_lines(1000)?;
    let owners = group.owners()?;

    // In a short run only one of them is told to speak 0.9 afterwards.
    let raised = scale(1, BROKERS);
    for (properties, brokers) in [(AS_BEFORE.as_slice(), BROKERS), (&[], raised)] {
        for broker in 0..brokers {
            let doing = || format!("broker {broker} with {properties:?}");
            let replaced = cluster.replace_broker(broker, KafkaVersion::V0_9_0_1, properties);
            replaced.with_context(doing)?;
            cluster.wait_until_in_sync().with_context(doing)?;
            group.wait_for_lines(1000).with_context(doing)?;
            group.nothing_moved_since(&owners).with_context(doing)?;
        }
    }
    speaks(&group, &cluster)?;
    group.nothing_is_lost(producers)?;
    group.printed_once_and_in_order()
}

/// Demands that every member has taken every broker for 0.8.2 first, and for 0.9 last.
fn speaks(group: &Group<'_>, cluster: &Cluster) -> Result<()> {
    for (number, member) in group.members.iter().enumerate() {
        let said = member.program.stderr().texts();
        for broker in cluster.brokers() {
            let address = format!("broker={}", broker.address());
            let of_broker: Vec<&String> = said
                .iter()
                .filter(|line| line.contains("connected") && line.contains(&address))
                .collect();
            let line = |line: Option<&&String>, wanted: &str| {
                line.is_some_and(|line| line.contains(wanted))
            };
            ensure!(
                line(of_broker.first(), "minor: 8") && line(of_broker.last(), "minor: 9"),
                "member {number} took {broker} for these: {of_broker:#?}"
            );
        }
    }
    Ok(())
}
