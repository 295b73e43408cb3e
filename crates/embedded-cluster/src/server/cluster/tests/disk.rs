//! Clusters that are started again on what others have left on disk.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;

fn on(place: &Path, brokers: u16) -> EmbeddedClusterBuilder {
    EmbeddedCluster::builder().brokers(brokers).log_dir(place)
}

fn folders(place: &Path) -> Vec<String> {
    let entries = fs::read_dir(place).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| name != ".lock");
    names.sort();
    names
}

#[tokio::test]
async fn topics_and_messages_are_there_again_with_their_brokers() {
    let place = TempDir::new().expect("a place");
    let cluster = on(place.path(), 3).start().await.unwrap();
    cluster.create_topic(TOPIC, 3, 2).await.unwrap();
    let mut client = Client::connect(&cluster, cluster.leader(TOPIC, 0).unwrap()).await;
    client.produce(0, 1, "a").await;
    client.produce(0, 1, "b").await;
    let document = |cluster: &EmbeddedCluster| cluster.shared.hub.data("/brokers/topics/events");
    let before = document(&cluster);
    cluster.shutdown().await;

    let cluster = on(place.path(), 3).start().await.unwrap();
    assert_eq!(document(&cluster), before);
    assert_eq!(cluster.offsets(TOPIC, 0), Some((0, 2)));
    let mut client = Client::connect(&cluster, cluster.leader(TOPIC, 0).unwrap()).await;
    assert_eq!(client.produce(0, 1, "c").await, Some((ErrorCode::NONE, 2)));
    let values = ["a", "b", "c"].map(str::to_owned).to_vec();
    assert_eq!(client.fetch(0, 0).await, (ErrorCode::NONE, 3, values));
    cluster.grow_topic(TOPIC, 4).await.unwrap();
    cluster.shutdown().await;

    // A single broker serves what three have written.
    let cluster = on(place.path(), 1).start().await.unwrap();
    assert_eq!(cluster.offsets(TOPIC, 0), Some((0, 3)));
    assert_eq!(cluster.leader(TOPIC, 3), Some(1));
}

#[tokio::test]
async fn a_topic_is_deleted_from_the_disk_and_comes_back_empty() {
    let place = TempDir::new().expect("a place");
    let cluster = on(place.path(), 1).start().await.unwrap();
    cluster.create_topic(TOPIC, 2, 1).await.unwrap();
    cluster.create_topic("other", 1, 1).await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    client.produce(0, 1, "a").await;
    assert_eq!(folders(place.path()), ["events-0", "events-1", "other-0"]);
    cluster.delete_topic(TOPIC).await.unwrap();
    assert_eq!(folders(place.path()), ["other-0"]);
    cluster.create_topic(TOPIC, 1, 1).await.unwrap();
    assert_eq!(cluster.offsets(TOPIC, 0), Some((0, 0)));
}

#[tokio::test]
async fn a_message_that_the_disk_does_not_take_is_refused() {
    let place = TempDir::new().expect("a place");
    let cluster = on(place.path(), 1).start().await.unwrap();
    cluster.create_topic(TOPIC, 1, 1).await.unwrap();
    let file = place.path().join("events-0/00000000000000000000.log");
    let mut client = Client::connect(&cluster, 1).await;
    client.produce(0, 1, "a").await;
    fs::rename(&file, file.with_extension("gone")).unwrap();
    let failed = ErrorCode::UNKNOWN_SERVER_ERROR;
    assert_eq!(client.produce(0, 1, "b").await, Some((failed, -1)));
    assert_eq!(client.fetch(0, 0).await.0, failed);
    fs::rename(file.with_extension("gone"), &file).unwrap();
    assert_eq!(client.produce(0, 1, "b").await, Some((ErrorCode::NONE, 1)));
}

#[tokio::test]
async fn two_clusters_do_not_share_a_folder() {
    let place = TempDir::new().expect("a place");
    let first = on(place.path(), 1).start().await.unwrap();
    let second = on(place.path(), 1).start().await;
    assert!(matches!(&second, Err(Error::LogInUse(_))), "{second:?}");
    first.shutdown().await;
    on(place.path(), 1).start().await.unwrap();
}
