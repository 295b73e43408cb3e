//! Kafka's own programs: the producer, the high-level consumer with its offsets in either store, and the administrator's tools.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, JavaConsumer, KafkaVersion, unique, wait_for};

use super::{PATIENCE, as_both_versions};

as_both_versions!(
    javas_consumers_keep_offsets_in_zookeeper,
    javas_consumers_keep_offsets_in_kafka,
    javas_tools_create_grow_and_delete_a_topic,
);

const MESSAGES: usize = 100;

fn javas_consumers_keep_offsets_in_zookeeper(version: KafkaVersion) -> Result<()> {
    keep_offsets(version, "zookeeper")
}

fn javas_consumers_keep_offsets_in_kafka(version: KafkaVersion) -> Result<()> {
    keep_offsets(version, "kafka")
}

/// Two members read what the producer wrote, and leave; a third one reads what was written after that and nothing else.
fn keep_offsets(version: KafkaVersion, store: &str) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let (topic, group) = (unique("read"), unique("group"));
    cluster.create_topic(&topic, 4, 1)?;
    cluster.produce(&topic, "snappy", 0..MESSAGES)?;
    let mut member = JavaConsumer::new(&group, &topic);
    let properties = [
        ("offsets.storage", store),
        ("dual.commit.enabled", "false"),
        ("zookeeper.session.timeout.ms", "4000"),
    ];
    member.properties = properties
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    let members = [member.spawn(cluster)?, member.spawn(cluster)?];
    let printed = || -> BTreeSet<String> {
        let lines = members.iter().flat_map(|member| member.stdout().texts());
        lines.collect()
    };
    let view = cluster.zookeeper_view()?;
    let shared = wait_for(PATIENCE, "two owners of two partitions each", || {
        let owners = view.owners(&group, &topic).unwrap_or_default();
        let members: BTreeSet<_> = owners.values().map(|owner| owner.session).collect();
        owners.len() == 4 && members.len() == 2
    });
    shared.with_context(|| members[0].stderr().tail(20))?;
    wait_for(PATIENCE, "every message", || printed().len() == MESSAGES)?;
    for member in &members {
        member.term()?;
        member.wait(PATIENCE)?;
    }
    let checked = cluster.consumer_offset_checker(&group, &topic)?;
    let committed: i64 = checked.values().filter_map(|row| row.offset).sum();
    let ends: i64 = checked.values().filter_map(|row| row.log_size).sum();
    ensure!((committed, ends) == (100, 100), "{checked:?}");
    ensure!(
        view.offsets(&group, &topic)?.is_empty() == (store == "kafka"),
        "the offsets are not where they are to be"
    );

    cluster.produce(&topic, "gzip", MESSAGES..MESSAGES + 5)?;
    member.from_beginning = false;
    let third = member.spawn(cluster)?;
    wait_for(PATIENCE, "what is new", || third.stdout().len() >= 5)?;
    third.term()?;
    third.wait(PATIENCE)?;
    let lines: BTreeSet<String> = third.stdout().texts().into_iter().collect();
    let wanted = (MESSAGES..MESSAGES + 5).map(|number| number.to_string());
    ensure!(lines == wanted.collect(), "{lines:?}");
    Ok(())
}

/// `TopicCommand` writes to ZooKeeper, and the brokers follow.
fn javas_tools_create_grow_and_delete_a_topic(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder().kafka(version).brokers(3).start()?;
    let topic = unique("made");
    cluster.create_topic_with(&topic, 3, 2, &[("retention.ms", "60000")])?;
    let zookeeper = cluster.zookeeper_connect();
    let tool = |arguments: &[&str]| {
        let arguments = ["--zookeeper", &zookeeper, "--topic", &topic]
            .into_iter()
            .chain(arguments.iter().copied());
        cluster.run_java_tool("kafka.admin.TopicCommand", arguments, b"")
    };
    let described = tool(&["--describe"])?;
    for wanted in [
        "PartitionCount:3",
        "ReplicationFactor:2",
        "retention.ms=60000",
    ] {
        ensure!(described.contains(wanted), "no {wanted} in:\n{described}");
    }
    tool(&["--alter", "--partitions", "5"])?;
    cluster.wait_until_settled("five partitions with leaders", |metadata| {
        let partitions = metadata.topics.get(&topic);
        partitions.is_some_and(|found| {
            found.len() == 5 && found.values().all(|partition| partition.leader.is_some())
        })
    })?;
    tool(&["--delete"])?;
    cluster.wait_until_settled("the topic to be gone", |metadata| {
        !metadata.topics.contains_key(&topic)
    })
}
