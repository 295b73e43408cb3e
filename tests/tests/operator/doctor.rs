//! Planted faults, each of which has to be found and nothing else.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, Divvy, KafkaVersion, unique, wait_for, wait_some};
use divvy_zookeeper::{Acl, Auth, Config, ZooKeeper};
use serde_json::Value;

use crate::program::{consumer, ends};
use crate::{PATIENCE, on_every_version};

on_every_version!(
    a_healthy_group_is_found_healthy,
    poisoning_members_are_named,
    stale_owners_are_named,
    orphans_are_named,
    partitions_that_two_members_own_are_named,
    offsets_outside_of_the_log_are_named,
    offsets_of_what_retention_has_deleted_are_named,
    stores_that_disagree_are_named,
    a_missing_topic_is_named,
    forbidden_nodes_are_named,
    growing_lag_is_explained,
);

/// The problems that the doctor names, each with its subject.
fn findings(cluster: &Cluster, command_line: &str) -> Result<BTreeSet<(String, String)>> {
    let ended = ends(cluster, &format!("group doctor {command_line} --json"))?;
    let found = ended.json()?;
    let text = |line: &Value, field: &str| -> Result<String> {
        let text = line[field].as_str().filter(|text| !text.is_empty());
        Ok(text
            .with_context(|| format!("{line} has no {field}"))?
            .to_owned())
    };
    let expected = if found.is_empty() { 0 } else { 1 };
    ensure!(
        ended.code == Some(expected),
        "{:?}: {}",
        ended.code,
        ended.complaint
    );
    let read = |line: &Value| {
        text(line, "what")?;
        text(line, "remedy")?;
        Ok((text(line, "problem")?, text(line, "subject")?))
    };
    found.iter().map(read).collect()
}

fn only(problem: &str, subject: impl Into<String>) -> BTreeSet<(String, String)> {
    BTreeSet::from([(problem.to_owned(), subject.into())])
}

/// A group with one member that has read and committed everything of two partitions.
fn group(cluster: &Cluster, options: &str) -> Result<(String, String, Divvy)> {
    let (topic, group) = (unique("sick"), unique("group"));
    cluster.create_topic(&topic, 2, 1)?;
    cluster.produce(&topic, "none", 0..20)?;
    let member = consumer(cluster, &group, &topic, options)?;
    wait_for(PATIENCE, "everything to be committed", || {
        let lag = ends(cluster, &format!("group lag {group} --json"));
        let lines = lag.and_then(|lag| lag.json()).unwrap_or_default();
        lines
            .last()
            .is_some_and(|sum| sum["lag"] == 0 && sum["partitions_unknown"] == 0)
    })?;
    Ok((topic, group, member))
}

fn quick(group: &str) -> String {
    format!("{group} --interval 300ms")
}

fn a_healthy_group_is_found_healthy(cluster: &Cluster) -> Result<()> {
    for options in ["", "--offsets kafka"] {
        let (_, group, _member) = group(cluster, options)?;
        assert_eq!(
            findings(cluster, &quick(&group))?,
            BTreeSet::new(),
            "{options}"
        );
    }
    Ok(())
}

/// The partitions lose their owners, too, which is what such a member does.
fn poisoning_members_are_named(cluster: &Cluster) -> Result<()> {
    for (data, id) in [(None, "host:1b4e28ba"), (Some("{}"), "garbage")] {
        let (topic, group, member) = group(cluster, "")?;
        let view = cluster.zookeeper_view()?;
        let node = format!("/consumers/{group}/ids/{id}");
        assert!(view.put_ephemeral(&node, data.unwrap_or(&topic))?);
        member.wait_for_event(PATIENCE, "blocked", |_| true)?;
        wait_for(PATIENCE, "the partitions to be released", || {
            view.owners(&group, &topic)
                .is_ok_and(|owners| owners.is_empty())
        })?;
        let found = findings(cluster, &quick(&group))?;
        let mut expected = only("poisoning-member", node);
        expected.extend(only("orphan", topic));
        assert_eq!(found, expected);
    }
    Ok(())
}

fn stale_owners_are_named(cluster: &Cluster) -> Result<()> {
    let (topic, group, member) = group(cluster, "")?;
    member.term()?;
    member.wait_success(PATIENCE)?;
    let view = cluster.zookeeper_view()?;
    let [persistent, ephemeral] =
        [0, 1].map(|partition| format!("/consumers/{group}/owners/{topic}/{partition}"));
    view.put(&persistent, "ghost-0")?;
    assert!(view.put_ephemeral(&ephemeral, "ghost-1")?);
    let mut expected = only("stale-owner", persistent);
    expected.extend(only("stale-owner", ephemeral));
    assert_eq!(findings(cluster, &quick(&group))?, expected);
    Ok(())
}

/// A member of Kafka's own dialect that has given up stays registered and owns nothing.
fn orphans_are_named(cluster: &Cluster) -> Result<()> {
    let (topic, group, member) = group(cluster, "")?;
    member.term()?;
    member.wait_success(PATIENCE)?;
    let view = cluster.zookeeper_view()?;
    let registration =
        format!(r#"{{"version":1,"subscription":{{"{topic}":1}},"pattern":"static"}}"#);
    assert!(view.put_ephemeral(
        &format!("/consumers/{group}/ids/{group}_zombie"),
        &registration
    )?);
    assert_eq!(findings(cluster, &quick(&group))?, only("orphan", topic));
    Ok(())
}

/// Members under both versions of Python claim below directories of different names.
fn partitions_that_two_members_own_are_named(cluster: &Cluster) -> Result<()> {
    let (topic, group, _member) = group(cluster, "")?;
    let view = cluster.zookeeper_view()?;
    let other = format!("{group}_other");
    let registration = r#"{"version":1,"subscription":{},"pattern":"static"}"#;
    let group_node = format!("/consumers/{group}");
    assert!(view.put_ephemeral(&format!("{group_node}/ids/{other}"), registration)?);
    let claim = format!("{group_node}/owners/b'{topic}'/0-1");
    assert!(view.put_ephemeral(&claim, &format!("{other}-0"))?);
    let expected = only("claimed-twice", format!("{topic}-1"));
    assert_eq!(findings(cluster, &quick(&group))?, expected);
    Ok(())
}

fn offsets_of_what_retention_has_deleted_are_named(cluster: &Cluster) -> Result<()> {
    let (topic, group) = (unique("sick"), unique("group"));
    let settings = [("segment.bytes", "20000"), ("retention.bytes", "1")];
    cluster.create_topic_with(&topic, 1, 1, &settings)?;
    let large = (0..40).map(|number| format!("{number:02000}"));
    cluster.produce(&topic, "none", large)?;
    cluster
        .zookeeper_view()?
        .put(&format!("/consumers/{group}/offsets/{topic}/0"), "0")?;
    let expected = only("offset-below-log", format!("{topic}-0"));
    wait_for(PATIENCE, "the first messages to be deleted", || {
        findings(cluster, &quick(&group)).is_ok_and(|found| found == expected)
    })
}

fn offsets_outside_of_the_log_are_named(cluster: &Cluster) -> Result<()> {
    let (topic, group, member) = group(cluster, "")?;
    member.term()?;
    member.wait_success(PATIENCE)?;
    let view = cluster.zookeeper_view()?;
    let node = |partition| format!("/consumers/{group}/offsets/{topic}/{partition}");
    view.put(&node(0), "1000")?;
    view.put(&node(1), "no number")?;
    let mut expected = only("offset-beyond-log", format!("{topic}-0"));
    expected.extend(only("unreadable-offset", format!("{topic}-1")));
    assert_eq!(findings(cluster, &quick(&group))?, expected);
    Ok(())
}

fn stores_that_disagree_are_named(cluster: &Cluster) -> Result<()> {
    let (topic, group, _member) = group(cluster, "--offsets kafka")?;
    cluster
        .zookeeper_view()?
        .put(&format!("/consumers/{group}/offsets/{topic}/1"), "4")?;
    let expected = only("stores-disagree", format!("{topic}-1"));
    assert_eq!(findings(cluster, &quick(&group))?, expected);
    Ok(())
}

fn a_missing_topic_is_named(cluster: &Cluster) -> Result<()> {
    let (_, group, _member) = group(cluster, "")?;
    cluster
        .zookeeper_view()?
        .put(&format!("/consumers/{group}/offsets/gone/0"), "4")?;
    assert_eq!(
        findings(cluster, &quick(&group))?,
        only("missing-topic", "gone")
    );
    Ok(())
}

/// A 0.9 consumer with a JAAS login makes such nodes: all may read them, and it alone may write.
fn forbidden_nodes_are_named(cluster: &Cluster) -> Result<()> {
    let (topic, group) = (unique("sick"), unique("group"));
    cluster.create_topic(&topic, 1, 1)?;
    let owned = format!("/consumers/{group}/owners/{topic}");
    cluster
        .zookeeper_view()?
        .put(&format!("/consumers/{group}/owners"), "")?;
    let mut config = Config::new(cluster.zookeeper_connect());
    config.auth = vec![Auth::Digest {
        username: "java".to_owned(),
        password: "secret".to_owned(),
    }];
    config.acl = Acl::Creator;
    runtime()?.block_on(async {
        let session = ZooKeeper::new(config)?.session().await?;
        session.create_persistent(&owned, b"").await?;
        session.close().await
    })?;
    assert_eq!(
        findings(cluster, &quick(&group))?,
        only("not-allowed", owned)
    );
    Ok(())
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_all().build()?)
}

/// A reader of `divvy consume` that takes nothing is a handler that is stuck.
fn growing_lag_is_explained(cluster: &Cluster) -> Result<()> {
    let (topic, group, member) = group(cluster, "")?;
    member.term()?;
    member.wait_success(PATIENCE)?;
    let producer = cluster.produce_numbers(&topic, 0..2, 200)?;
    wait_for(PATIENCE, "messages", || producer.acknowledged().len() > 100)?;
    let explained = |reason: &str| -> Result<()> {
        let ended = ends(
            cluster,
            &format!("group doctor {group} --interval 3s --json"),
        )?;
        let found = ended.json()?;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0]["problem"], "growing-lag");
        let remedy = found[0]["remedy"].as_str().context("no remedy")?;
        assert!(remedy.contains(reason), "{remedy}");
        Ok(())
    };
    explained("no member is registered")?;

    let zookeeper = cluster.zookeeper_connect();
    let consume = format!(
        "consume --zookeeper {zookeeper} --group {group} --topic {topic} --json --commit-interval 200ms --events json"
    );
    let stuck = Divvy::command(consume.split(' ')).hold_stdout().spawn()?;
    stuck.wait_for_event(PATIENCE, "assigned", |_| true)?;
    let view = cluster.zookeeper_view()?;
    let sum = || {
        view.offsets(&group, &topic)
            .map(|offsets| offsets.values().sum::<i64>())
    };
    // What fits into the pipe is taken first.
    let mut last = sum()?;
    wait_some(PATIENCE, "the reader to be stuck", || {
        let stands = ends(cluster, &format!("group lag {group} --interval 3s --json")).ok()?;
        let now = sum().ok()?;
        let stood = std::mem::replace(&mut last, now) == now;
        (stood && stands.code == Some(0)).then_some(())
    })?;
    explained("the members are stuck")?;
    producer.stop()?;
    Ok(())
}

/// On a cluster of its own, because its brokers are struck.
fn struck_brokers_are_named(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder().kafka(version).brokers(2).start()?;
    let (topic, group) = (unique("sick"), unique("group"));
    cluster.create_topic(&topic, 2, 1)?;
    cluster.produce(&topic, "none", 0..20)?;
    let consume = format!("consume --group {group} --topic {topic} --exit-at-end");
    assert_eq!(ends(&cluster, &consume)?.lines.len(), 20);
    let metadata = cluster.metadata()?;
    let led_by_1 = metadata.topics[&topic].iter();
    let led_by_1 = led_by_1.filter(|(_, partition)| partition.leader == Some(1));
    let partition = *led_by_1
        .map(|(id, _)| id)
        .next()
        .context("broker 1 leads nothing")?;

    // KAFKA-1387: it runs and answers, and its registration is gone.
    let view = cluster.zookeeper_view()?;
    view.delete("/brokers/ids/1")?;
    let state = format!("/brokers/topics/{topic}/partitions/{partition}/state");
    let leaderless = || {
        view.text(&state)
            .is_ok_and(|s| s.is_some_and(|s| s.contains("\"leader\":-1")))
    };
    wait_for(PATIENCE, "the partition to lose its leader", leaderless)?;
    let no_leader = only("no-leader", format!("{topic}-{partition}"));
    let without = findings(&cluster, &quick(&group))?;
    let mut expected = no_leader.clone();
    expected.extend(only("missing-broker", "broker 1"));
    assert_eq!(without, expected);

    let bootstrap = cluster.bootstrap();
    let with = findings(
        &cluster,
        &format!("{} --bootstrap {bootstrap}", quick(&group)),
    )?;
    let mut expected = no_leader;
    expected.extend(only("unregistered-broker", "broker 1"));
    assert_eq!(with, expected);

    // The remedy helps.
    cluster.brokers()[1].restart()?;
    cluster.wait_until_in_sync()?;
    let healed = findings(
        &cluster,
        &format!("{} --bootstrap {bootstrap}", quick(&group)),
    )?;
    assert_eq!(healed, BTreeSet::new());
    Ok(())
}

mod struck {
    use divvy_tests::tests_on;

    use super::struck_brokers_are_named;

    tests_on!(
        [
            embedded = Embedded0_8_2,
            kafka_0_8_2_2 = V0_8_2_2,
            kafka_0_9_0_1 = V0_9_0_1
        ],
        at_any_time,
        struck_brokers_are_named
    );
}
