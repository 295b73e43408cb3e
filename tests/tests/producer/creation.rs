//! Topics that brokers create when they are asked for them.

use divvy::{
    Client, ClientConfig, ClientError, Producer, ProducerConfig, ProducerError, ProducerRecord,
};
use divvy_tests::{Cluster, KafkaVersion, on_every_version, use_rdkafka};

use super::*;

on_every_version!(a_topic_is_created_by_writing_to_it_where_that_is_allowed);

const PARTITIONS: usize = 3;

fn a_topic_is_created_by_writing_to_it_where_that_is_allowed(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder()
        .kafka(version)
        .property("auto.create.topics.enable", true)
        .property("num.partitions", PARTITIONS)
        .start()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let client = Client::connect(ClientConfig::bootstrap([cluster.bootstrap()])).await?;
        let free = Producer::new(&client, config(true))?;
        let sent = (0..60).map(|number| ProducerRecord::new("wanted", number.to_string()));
        let deliveries = tokio::time::timeout(PATIENCE, free.send_all(sent)).await?;
        tokio::time::timeout(PATIENCE, deliveries.all()).await??;
        assert_eq!(free.partitions_for("wanted").await?.len(), PARTITIONS);
        // Who has not seen it before finds it without asking, and nothing else.
        let careful = Producer::new(&client, config(false))?;
        let refused = careful.send(ProducerRecord::new("mistyped", "a")).await;
        assert!(is_unknown(refused.as_ref().err()), "{refused:?}");
        careful
            .send(ProducerRecord::new("wanted", "61"))
            .await?
            .await?;
        let refused = free.send(ProducerRecord::new("no/name", "a")).await;
        assert!(refused.is_err());
        let topics = client.list_topics().await?.topics;
        let names: Vec<&str> = topics.keys().map(String::as_str).collect();
        assert_eq!(names, ["wanted"], "nobody else has asked for one");
        anyhow::Ok(())
    })?;

    let bootstrap = cluster.bootstrap();
    let produce = ["produce", "-b", &bootstrap, "-t", "by-the-program"];
    let (status, _) = Divvy::command(produce).run(b"a\n", PATIENCE)?;
    assert_eq!(status.code(), Some(1));
    let produce = produce.iter().chain(&["--allow-auto-create-topics"]);
    let (status, divvy) = Divvy::command(produce).run(b"a\n", PATIENCE)?;
    assert!(status.success(), "{}", divvy.stderr().tail(20));
    assert_eq!(
        cluster.metadata()?.topics["by-the-program"].len(),
        PARTITIONS
    );
    Ok(())
}

fn config(allow_auto_create_topics: bool) -> ProducerConfig {
    ProducerConfig {
        allow_auto_create_topics,
        use_rdkafka: use_rdkafka(),
        ..ProducerConfig::default()
    }
}

fn is_unknown(error: Option<&ProducerError>) -> bool {
    matches!(
        error,
        Some(ProducerError::Client(ClientError::UnknownTopic { .. }))
    )
}
