//! Brokers replaced by others of a later version, one by one.

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, Group, KafkaVersion, Node, scale, turn, use_rdkafka};

const BROKERS: usize = 3;
/// What each version's brokers speak among themselves.
const AS_BEFORE: [(&str, &str); 1] = [("inter.broker.protocol.version", "0.8.2.X")];

/// Three brokers of 0.8.2.2 become brokers of 0.9.0.1 on the same data, one by one, and then speak 0.9 among themselves, while a
/// group and a producer run: no owner changes, nothing is lost, and every broker is spoken to as what it has become.
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
    // So that every broker leads something, and somebody speaks to it.
    cluster.elect_preferred_leaders()?;
    group.wait_for_lines(1000)?;
    group.nothing_moved_since(&owners)?;
    group.nothing_is_lost(producers)?;
    group.printed_once_and_in_order()?;
    // librdkafka's connections are its own, and say nothing of what they take a broker for.
    if !use_rdkafka() {
        for broker in cluster.brokers() {
            is_taken_for_what_it_is(&group, broker)?;
        }
    }
    Ok(())
}

/// Demands that the members have taken a broker for 0.8.2 first, and for 0.9 from some connection on.
fn is_taken_for_what_it_is(group: &Group<'_>, broker: &Node) -> Result<()> {
    let address = format!("broker={}", broker.address());
    let (mut as_0_8, mut as_0_9) = (0, 0);
    for (number, member) in group.members.iter().enumerate() {
        let said = member.program.stderr().texts();
        let connections: Vec<bool> = said
            .iter()
            .filter(|line| line.contains("connected") && line.contains(&address))
            .map(|line| line.contains("minor: 9"))
            .collect();
        ensure!(
            connections.is_sorted(),
            "member {number} took {broker} for 0.9, and then for 0.8.2 again"
        );
        as_0_9 += connections.iter().filter(|is_0_9| **is_0_9).count();
        as_0_8 += connections.iter().filter(|is_0_9| !**is_0_9).count();
    }
    ensure!(
        as_0_8 > 0 && as_0_9 > 0,
        "{as_0_8} connections to {broker} as 0.8.2, {as_0_9} as 0.9"
    );
    Ok(())
}
