//! Where reading begins and ends: `-n`, `--from` and `--to`, as offsets and as times.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use divvy_tests::{Cluster, KafkaVersion, unique};

use crate::on_every_version;
use crate::program::{offsets, printed, values};
use crate::records::{self, Record};

on_every_version!(
    the_last_messages_are_shared_among_partitions,
    reading_begins_and_ends_at_offsets,
    old_brokers_find_times_by_segment,
);

fn the_last_messages_are_shared_among_partitions(cluster: &Cluster) -> Result<()> {
    let topic = unique("last");
    cluster.create_topic(&topic, 4, 1)?;
    // The tool deals messages without a key out in turn.
    cluster.produce(&topic, "none", 0..100)?;
    let bootstrap = cluster.bootstrap();
    let tail = format!("tail --topic {topic} --bootstrap {bootstrap} --exit-at-end");
    let last = printed(&[&tail, "-n 12"])?;
    let offsets = offsets(&last);
    assert_eq!(offsets.len(), 4, "{offsets:?}");
    assert!(
        offsets.values().all(|offsets| offsets == &[22, 23, 24]),
        "{offsets:?}"
    );

    // The short ones give what they have, the others make up for them.
    let more = vec![Record::new(None, Some(b"100")); 20];
    records::produce(cluster, &topic, "none", &more)?;
    assert_eq!(printed(&[&tail, "-n 3"])?.len(), 3);
    assert_eq!(printed(&[&tail, "-n 110"])?.len(), 110);
    assert_eq!(printed(&[&tail, "-n 1000"])?.len(), 120);
    assert_eq!(printed(&[&tail, "-n 0"])?, []);
    assert_eq!(printed(&[&tail, "--partition 1,3 -n 4"])?.len(), 4);
    Ok(())
}

fn reading_begins_and_ends_at_offsets(cluster: &Cluster) -> Result<()> {
    let topic = unique("offsets");
    cluster.create_topic(&topic, 8, 1)?;
    cluster.produce(&topic, "gzip", 0..160)?;
    let bootstrap = cluster.bootstrap();
    let tail = format!("tail --topic {topic} --bootstrap {bootstrap}");
    let some = offsets(&printed(&[&tail, "--from 5 --to 8"])?);
    assert_eq!(some.len(), 8);
    assert!(
        some.values().all(|offsets| offsets == &[5, 6, 7]),
        "{some:?}"
    );
    let all = printed(&[&tail, "--from earliest --to latest"])?;
    assert_eq!(values(&all)?, Vec::from_iter(0..160));
    assert_eq!(printed(&[&tail, "--from latest --to latest"])?, []);
    let end = offsets(&printed(&[&tail, "--from 18 --exit-at-end"])?);
    assert!(end.values().all(|offsets| offsets == &[18, 19]), "{end:?}");
    Ok(())
}

/// Brokers before 0.10.1 know when a segment was written last, and no more: reading begins with the last segment that was
/// finished before, so that nothing younger is missed.
fn old_brokers_find_times_by_segment(cluster: &Cluster) -> Result<()> {
    let topic = unique("times");
    create_with_small_segments(cluster, &topic)?;
    cluster.produce(&topic, "none", padded(0..200))?;
    let between = format!("@{}", now()?);
    cluster.produce(&topic, "none", padded(200..250))?;

    let bootstrap = cluster.bootstrap();
    let tail = format!("tail --topic {topic} --bootstrap {bootstrap} --exit-at-end");
    let young = values(&printed(&[&tail, "--from", &between])?)?;
    assert_eq!(young.last(), Some(&249));
    assert!(young[0] <= 200, "{young:?}");
    assert!(young[0] > 100, "begins long before: {young:?}");
    for long_ago in ["-1h", "2015-06-01T08:00:00Z", "@0"] {
        assert_eq!(
            printed(&[&tail, "--from", long_ago])?.len(),
            250,
            "{long_ago}"
        );
    }
    assert_eq!(printed(&[&tail, "--from", "2099-01-01T00:00:00Z"])?, []);
    Ok(())
}

/// From 0.10.1 on, times are those of the messages themselves.
#[test]
fn newer_brokers_find_times_by_message() -> Result<()> {
    let cluster = Cluster::shared(KafkaVersion::V0_11_0_3)?;
    let topic = unique("times");
    cluster.create_topic(&topic, 1, 1)?;
    cluster.produce(&topic, "none", 0..20)?;
    let between = format!("@{}", now()? + 1);
    cluster.produce(&topic, "none", 20..50)?;

    let bootstrap = cluster.bootstrap();
    let tail = format!("tail --topic {topic} --bootstrap {bootstrap}");
    let young = printed(&[&tail, "--exit-at-end --from", &between])?;
    assert_eq!(values(&young)?, Vec::from_iter(20..50));
    let old = printed(&[&tail, "--to", &between])?;
    assert_eq!(values(&old)?, Vec::from_iter(0..20));
    assert_eq!(printed(&[&tail, "--exit-at-end --from -1h"])?.len(), 50);
    assert_eq!(
        printed(&[&tail, "--exit-at-end --from", "2099-01-01T00:00:00Z"])?,
        []
    );
    Ok(())
}

/// A topic of one partition whose segments hold one batch of messages each, if these are [`padded`].
pub(crate) fn create_with_small_segments(cluster: &Cluster, topic: &str) -> Result<()> {
    let zookeeper = cluster.zookeeper_connect();
    let arguments = [
        "--zookeeper",
        &zookeeper,
        "--create",
        "--topic",
        topic,
        "--partitions",
        "1",
        "--replication-factor",
        "1",
        "--config",
        "segment.bytes=20000",
    ];
    cluster.run_java_tool("kafka.admin.TopicCommand", arguments, b"")?;
    cluster.wait_until_settled("the topic's leader", |metadata| {
        let partition = metadata.topics.get(topic).and_then(|topic| topic.get(&0));
        partition.is_some_and(|partition| partition.leader.is_some())
    })
}

/// Numbers as long as two thousand bytes.
pub(crate) fn padded(numbers: Range<i32>) -> impl Iterator<Item = String> {
    numbers.map(|number| format!("{number:02000}"))
}

/// Milliseconds since 1970.
fn now() -> Result<u128> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())
}
