//! Where the program takes its settings from: a file of Java's, the environment, and addresses that lead elsewhere.

use std::fs;

use anyhow::{Context as _, Result};
use divvy_tests::{
    Cluster, Divvy, KafkaVersion, on_every_version as on_own_clusters, unique, warden,
};

use crate::PATIENCE;

on_own_clusters!(brokers_are_reached_where_they_are_mapped_to);

/// What a command line prints, without any option of the tests' own.
fn prints(command_line: &str, environment: &[(&str, &str)]) -> Result<(Vec<String>, String)> {
    let mut command = Divvy::native(command_line.split(' '));
    for (variable, value) in environment {
        command = command.env(variable, value);
    }
    let (status, divvy) = command.run(b"", PATIENCE)?;
    let said = divvy.stderr().tail(20);
    anyhow::ensure!(status.success(), "{command_line}: {status}: {said}");
    Ok((divvy.stdout().texts(), said))
}

mod from_a_file {
    use super::*;

    #[test]
    fn java_s_properties_are_read_and_what_is_unknown_is_named() -> Result<()> {
        let cluster = Cluster::shared(KafkaVersion::V0_8_2_2)?;
        let (topic, group) = (unique("file"), unique("group"));
        cluster.create_topic(&topic, 1, 1)?;
        cluster.produce(&topic, "none", 0..10)?;
        let directory = warden::temporary_directory()?;
        let file = directory.path().join("consumer.properties");
        let zookeeper = cluster.zookeeper_connect();
        let text = format!(
            "zookeeper.connect={zookeeper}\ngroup.id={group}\noffsets.storage=kafka\ndual.commit.enabled=false\n\
             auto.offset.reset=largest\nconsumer.timeout.ms=5\n"
        );
        fs::write(&file, text)?;
        let file = file.to_str().context("a path that is no text")?;

        let consume = format!("consume --config {file} --topic {topic} --exit-at-end");
        let (read, said) = prints(&consume, &[])?;
        assert_eq!(read, [""; 0]);
        assert!(
            said.contains("consumer.timeout.ms has no counterpart"),
            "{said}"
        );
        let (stored, _) = prints(
            &format!("offsets get --json --group {group} --config {file}"),
            &[],
        )?;
        assert!(stored[0].contains("\"in_kafka\":10"), "{stored:?}");

        // The group is the file's; the command line wins over the environment, and that over the file.
        let (described, _) = prints(&format!("group describe --config {file}"), &[])?;
        assert!(
            described.iter().any(|line| line.starts_with(&topic)),
            "{described:?}"
        );
        let other = unique("group");
        let (read, _) = prints(&format!("{consume} --group {other} --from earliest"), &[])?;
        assert_eq!(read.len(), 10);
        let other = unique("group");
        let environment = [("DIVVY_GROUP", &*other), ("DIVVY_FROM", "earliest")];
        assert_eq!(prints(&consume, &environment)?.0.len(), 10);
        let environment = [("DIVVY_GROUP", &*other), ("DIVVY_ZOOKEEPER", &*zookeeper)];
        let (described, _) = prints("group describe", &environment)?;
        assert!(
            described.iter().any(|line| line.starts_with(&topic)),
            "{described:?}"
        );
        Ok(())
    }
}

/// The brokers name the proxies before them. That is how they are reached, unless they are mapped to where they listen.
fn brokers_are_reached_where_they_are_mapped_to(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder()
        .kafka(version)
        .brokers_behind_proxies()
        .start()?;
    let topic = unique("mapped");
    cluster.create_topic(&topic, 2, 1)?;
    cluster.produce(&topic, "none", 0..20)?;
    let broker = &cluster.brokers()[0];
    let proxy = broker.proxy().context("no proxy")?;
    let zookeeper = cluster.zookeeper_connect();
    let tail = format!("tail --zookeeper {zookeeper} --topic {topic} --exit-at-end");
    let mapping = format!("{}={}", proxy.address(), broker.address());

    let before = proxy.accepted();
    assert_eq!(
        prints(&format!("{tail} --map-broker {mapping}"), &[])?
            .0
            .len(),
        20
    );
    assert_eq!(
        prints(&tail, &[("DIVVY_MAP_BROKER", &mapping)])?.0.len(),
        20
    );
    assert_eq!(
        proxy.accepted(),
        before,
        "somebody did not heed the mapping"
    );
    assert_eq!(prints(&tail, &[])?.0.len(), 20);
    assert!(proxy.accepted() > before);
    Ok(())
}
