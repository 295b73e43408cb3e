//! Members that make something else of their group than divvy's do.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use divvy_tests::group::show;
use divvy_tests::{Cluster, Group, KafkaVersion, on_every_version, wait_for};
use divvy_zookeeper::paths;

on_every_version!(
    a_java_member_that_gave_up_is_nudged,
    a_member_with_another_rule_is_named,
);

/// How long Kafka's own consumer tries to get a partition: four attempts, with two seconds behind each.
const JAVA_TRIES: Duration = Duration::from_secs(12);
/// How soon what is odd is reported: it may last for 16 s, and is looked for every 4 to 8 s.
const REPORTED: Duration = Duration::from_secs(45);

/// A member of Kafka's own finds its partitions taken until it has given them up for lost. They are free after that, and it does not
/// know: nobody reads them, divvy's member says so, and makes it try again.
fn a_java_member_that_gave_up_is_nudged(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, &[2])?
        .session_timeout(Duration::from_secs(3))
        .arguments(&["--nudge"]);
    let ours = group.join()?;
    let java = group.join_java()?;
    let topic = group.topic().to_owned();
    let squatted = [2, 3].map(|partition| paths::owner(&group.name, &topic, partition));
    for owner in &squatted {
        ensure!(group.view.put_ephemeral(owner, "somebody-0")?);
    }
    group.grow(4)?;
    let grown = Instant::now();
    wait_for(2 * JAVA_TRIES, "Kafka's own consumer to give up", || {
        grown.elapsed() > JAVA_TRIES
    })?;
    for owner in &squatted {
        group.view.delete(owner)?;
    }
    let id = group.members[java].id.clone();
    for partition in [2, 3] {
        let orphan = group
            .divvy(ours)
            .wait_for_event(REPORTED, "orphan", |event| {
                event["partition"] == partition && event["assigned_to"] == id.as_str()
            })?;
        ensure!(
            orphan.fields["orphaned_ms"].as_u64() >= Some(16_000),
            "{orphan:?}"
        );
    }
    group
        .settle_from(&[].into(), JAVA_TRIES)
        .context("after the nudge")?;
    Ok(())
}

/// Of two members of divvy's one shares out by range and one by round-robin, by mistake: the one that waits says why.
fn a_member_with_another_rule_is_named(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, &[12])?;
    let by_range = group.join()?;
    let mut group = group.arguments(&["--assignor", "roundrobin"]);
    let by_turns = group.enter()?;
    let id = group.members[by_range].id.clone();
    let disagreement = group
        .divvy(by_turns)
        .wait_for_event(REPORTED, "disagreement", |event| {
            event["owner"] == id.as_str()
        })
        .with_context(|| {
            group
                .owners()
                .map(|owners| show(&owners))
                .unwrap_or_default()
        })?;
    let why = disagreement.fields["why"].as_str().unwrap_or_default();
    ensure!(
        why.contains("what `range` gives it, and this member uses `roundrobin`"),
        "{why}"
    );
    Ok(())
}
