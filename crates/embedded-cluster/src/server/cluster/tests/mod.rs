mod clients;
mod disk;

use std::future::Future;

use bytes::Bytes;
use divvy_protocol::ErrorCode;
use divvy_protocol::api::{
    self, FetchPartition, FetchRequest, FetchTopic, FindCoordinatorRequest, ListGroupsRequest,
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic, MetadataRequest,
    OffsetCommitPartition, OffsetCommitRequest, OffsetCommitTopic, OffsetFetchRequest,
    OffsetFetchTopic, ProducePartition, ProduceRequest, ProduceTopic, Request,
};
use divvy_protocol::compression::Compression;
use divvy_protocol::records::{DecodeOptions, RecordsBuilder, decode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::*;
use crate::server::{Faults, Release};

mod brokers;

const TOPIC: &str = "events";

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("not in time")
}

async fn start(release: Release) -> EmbeddedCluster {
    let builder = EmbeddedCluster::builder().brokers(3).kafka(release);
    let cluster = builder.start().await.expect("free ports");
    cluster.create_topic(TOPIC, 3, 2).await.expect("a topic");
    cluster
}

/// A connection with a broker, and the `client.id`.
struct Client(TcpStream, &'static str);

impl Client {
    async fn connect(cluster: &EmbeddedCluster, broker: i32) -> Client {
        Self::named("test", cluster, broker).await
    }

    async fn named(client_id: &'static str, cluster: &EmbeddedCluster, broker: i32) -> Client {
        let address = cluster.brokers()[&broker];
        let stream = TcpStream::connect(address).await.expect("a broker");
        Client(stream, client_id)
    }

    async fn send<R: Request>(&mut self, request: &R, version: i16) {
        let frame = api::encode_request(request, version, 7, self.1).expect("a request");
        // That the broker has gone is found out by reading.
        let _ = self.0.write_all(&frame).await;
    }

    /// The next answer; `None` where the broker closes the connection.
    async fn next(&mut self) -> Option<Bytes> {
        let mut head = [0; 4];
        soon(self.0.read_exact(&mut head)).await.ok()?;
        let mut body = vec![0; usize::try_from(i32::from_be_bytes(head)).expect("a length")];
        soon(self.0.read_exact(&mut body)).await.ok()?;
        let (correlation_id, body) = api::split_response(body.into()).expect("a header");
        assert_eq!(correlation_id, 7);
        Some(body)
    }

    async fn ask<R: Request>(&mut self, request: &R, version: i16) -> Option<R::Response> {
        self.send(request, version).await;
        let body = self.next().await?;
        Some(api::decode_response::<R>(body, version).expect("an answer"))
    }

    async fn produce(
        &mut self,
        partition: i32,
        acks: i16,
        value: &str,
    ) -> Option<(ErrorCode, i64)> {
        let mut builder = RecordsBuilder::new(0, Compression::None).expect("a format");
        builder
            .try_append(None, None, Some(value.as_bytes()), &[])
            .expect("room");
        let records = Some(builder.finish().expect("a message"));
        let request = ProduceRequest {
            acks,
            topics: vec![ProduceTopic {
                name: TOPIC.to_owned(),
                partitions: vec![ProducePartition { partition, records }],
            }],
            ..ProduceRequest::default()
        };
        if acks == 0 {
            self.send(&request, 0).await;
            return None;
        }
        let response = self.ask(&request, 0).await?;
        let partition = &response.topics[0].partitions[0];
        Some((partition.error, partition.base_offset))
    }

    async fn fetch(&mut self, wait_ms: i32, offset: i64) -> (ErrorCode, i64, Vec<String>) {
        let response = self
            .ask(&fetch(wait_ms, offset), 0)
            .await
            .expect("an answer");
        let partition = &response.topics[0].partitions[0];
        let decoded = decode(&partition.records, &DecodeOptions::default());
        let values = decoded
            .records
            .iter()
            .map(|record| String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned());
        (partition.error, partition.high_watermark, values.collect())
    }
}

fn asking(topics: &[&str]) -> MetadataRequest {
    let topics = topics.iter().map(|&topic| topic.to_owned());
    MetadataRequest {
        // All, where none is named.
        topics: Some(topics.collect()).filter(|topics: &Vec<_>| !topics.is_empty()),
        allow_auto_topic_creation: true,
    }
}

fn fetch(max_wait_ms: i32, fetch_offset: i64) -> FetchRequest {
    FetchRequest {
        replica_id: -1,
        max_wait_ms,
        min_bytes: 1,
        max_bytes: i32::MAX,
        isolation_level: 0,
        session_id: 0,
        session_epoch: -1,
        forgotten: Vec::new(),
        rack_id: String::new(),
        topics: vec![FetchTopic {
            name: TOPIC.to_owned(),
            partitions: vec![FetchPartition {
                partition: 0,
                fetch_offset,
                max_bytes: 1 << 20,
                current_leader_epoch: -1,
                log_start_offset: -1,
            }],
        }],
    }
}

#[tokio::test]
async fn what_is_produced_is_fetched_from_its_leader() {
    let cluster = start(Release::V0_8_2).await;
    let leader = cluster.leader(TOPIC, 0).unwrap();
    let mut client = Client::connect(&cluster, leader).await;
    assert_eq!(client.produce(0, 1, "a").await, Some((ErrorCode::NONE, 0)));
    assert_eq!(client.produce(0, -1, "b").await, Some((ErrorCode::NONE, 1)));
    let values = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(client.fetch(0, 0).await, (ErrorCode::NONE, 2, values));
    assert_eq!(client.fetch(0, 3).await.0, ErrorCode::OFFSET_OUT_OF_RANGE);
    let other = if leader == 1 { 2 } else { 1 };
    let mut elsewhere = Client::connect(&cluster, other).await;
    let refused = Some((ErrorCode::NOT_LEADER_OR_FOLLOWER, -1));
    assert_eq!(elsewhere.produce(0, 1, "c").await, refused);
    assert_eq!(
        elsewhere.fetch(0, 0).await.0,
        ErrorCode::NOT_LEADER_OR_FOLLOWER
    );
    let unknown = Some((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, -1));
    assert_eq!(client.produce(9, 1, "d").await, unknown);
    // Without acknowledgements a failure is the end of the connection.
    client.produce(9, 0, "e").await;
    assert_eq!(client.next().await, None);
}

#[tokio::test]
async fn a_fetch_waits_for_a_message_or_for_its_time() {
    let cluster = start(Release::V0_9).await;
    let leader = cluster.leader(TOPIC, 0).unwrap();
    let mut waiting = Client::connect(&cluster, leader).await;
    let began = Instant::now();
    assert_eq!(waiting.fetch(50, 0).await, (ErrorCode::NONE, 0, Vec::new()));
    assert!(began.elapsed() >= Duration::from_millis(50));

    waiting.send(&fetch(60_000, 0), 0).await;
    let mut producer = Client::connect(&cluster, leader).await;
    producer.produce(0, 1, "now").await;
    assert!(
        waiting
            .next()
            .await
            .is_some_and(|body| body.ends_with(b"now"))
    );
}

#[tokio::test]
async fn metadata_names_those_that_are_alive() {
    let mut cluster = start(Release::V0_8_2).await;
    let leader = cluster.leader(TOPIC, 0).unwrap();
    cluster.stop_broker(leader).await.unwrap();
    let next = cluster.leader(TOPIC, 0).expect("another replica");
    assert_ne!(next, leader);
    let mut client = Client::connect(&cluster, next).await;
    let asked = MetadataRequest {
        topics: Some(vec![
            TOPIC.to_owned(),
            "none".to_owned(),
            "no/name".to_owned(),
        ]),
        allow_auto_topic_creation: true,
    };
    let metadata = client.ask(&asked, 0).await.unwrap();
    assert_eq!(metadata.brokers.len(), 2);
    let errors: Vec<_> = metadata.topics.iter().map(|topic| topic.error).collect();
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(
        errors,
        [ErrorCode::NONE, unknown, ErrorCode::INVALID_TOPIC_EXCEPTION]
    );
    let partition = &metadata.topics[0].partitions[0];
    assert_eq!(partition.error, ErrorCode::REPLICA_NOT_AVAILABLE);
    assert_eq!((partition.leader, &partition.replicas), (next, &vec![next]));
    let state = cluster
        .shared
        .hub
        .data("/brokers/topics/events/partitions/0/state")
        .unwrap();
    let expected = format!(
        r#"{{"controller_epoch":1,"leader":{next},"version":1,"leader_epoch":1,"isr":[{next}]}}"#
    );
    assert_eq!(state, expected);

    cluster.restart_broker(leader).await.unwrap();
    let metadata = client.ask(&asked, 0).await.unwrap();
    assert_eq!(metadata.brokers.len(), 3);
    assert_eq!(metadata.topics[0].partitions[0].error, ErrorCode::NONE);
    assert_eq!(
        cluster.leader(TOPIC, 0),
        Some(next),
        "leaders are not taken back"
    );
}

#[tokio::test]
async fn topics_come_grow_and_go() {
    let cluster = start(Release::V0_8_2).await;
    let exists = cluster.create_topic(TOPIC, 1, 1).await;
    assert!(matches!(exists, Err(Error::TopicExists(_))), "{exists:?}");
    for (name, partitions, replicas) in [("a/b", 1, 1), ("t", 0, 1), ("t", 1, 4)] {
        let created = cluster.create_topic(name, partitions, replicas).await;
        assert!(
            matches!(created, Err(Error::InvalidTopic { .. })),
            "{created:?}"
        );
    }
    cluster.grow_topic(TOPIC, 5).await.unwrap();
    assert!(cluster.leader(TOPIC, 4).is_some());
    assert!(cluster.grow_topic(TOPIC, 5).await.is_err());
    cluster.delete_topic(TOPIC).await.unwrap();
    assert_eq!(cluster.leader(TOPIC, 0), None);
    let left = cluster.shared.hub.children("/brokers/topics");
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn topics_are_created_by_asking_only_where_that_is_wanted() {
    let builder = EmbeddedCluster::builder()
        .brokers(2)
        .auto_create_topics(4, 2);
    let cluster = builder.start().await.unwrap();
    let mut client = Client::connect(&cluster, 1).await;
    let asked = asking(&[TOPIC]);
    let first = client.ask(&asked, 0).await.unwrap();
    assert_eq!(first.topics[0].error, ErrorCode::LEADER_NOT_AVAILABLE);
    cluster.await_leaders(TOPIC, 4).await.unwrap();
    let second = client.ask(&asked, 0).await.unwrap();
    assert_eq!(second.topics[0].partitions.len(), 4);
}

fn commit(offset: i64, topic: &str) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group: "g".to_owned(),
        generation: -1,
        topics: vec![OffsetCommitTopic {
            name: topic.to_owned(),
            partitions: vec![OffsetCommitPartition {
                partition: 0,
                offset,
                timestamp: -1,
                metadata: Some("m".to_owned()),
            }],
        }],
        member: String::new(),
        retention_ms: -1,
    }
}

async fn committed(client: &mut Client, version: i16) -> (i64, Option<String>, ErrorCode) {
    let request = OffsetFetchRequest {
        group: "g".to_owned(),
        topics: Some(vec![OffsetFetchTopic {
            name: TOPIC.to_owned(),
            partitions: vec![0],
        }]),
    };
    let response = client.ask(&request, version).await.expect("an answer");
    let partition = response.topics[0].partitions[0].clone();
    (partition.offset, partition.metadata, partition.error)
}

#[tokio::test]
async fn offsets_are_kept_in_either_store() {
    let cluster = start(Release::V0_9).await;
    let mut any = Client::connect(&cluster, 1).await;
    let group = "g".to_owned();
    let request = FindCoordinatorRequest { group };
    let first = any.ask(&request, 0).await.unwrap();
    assert_eq!(first.error, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    let offsets = "__consumer_offsets";
    cluster.await_leaders(offsets, 50).await.unwrap();
    let found = any.ask(&request, 0).await.unwrap();
    // 103, which is the hash of the name, modulo 50.
    assert_eq!(Some(found.node_id), cluster.leader(offsets, 3));
    let mut coordinator = Client::connect(&cluster, found.node_id).await;
    let elsewhere = (1..=3).find(|id| *id != found.node_id).unwrap();
    let mut other = Client::connect(&cluster, elsewhere).await;
    let (text, nothing) = (Some("m".to_owned()), Some(String::new()));
    let none = ErrorCode::NONE;

    let missing = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(
        committed(&mut other, 0).await,
        (-1, nothing.clone(), missing)
    );
    assert_eq!(
        committed(&mut coordinator, 1).await,
        (-1, nothing.clone(), none)
    );
    for (version, offset) in [(0, 5), (1, 6), (2, 7)] {
        let answer = coordinator
            .ask(&commit(offset, TOPIC), version)
            .await
            .unwrap();
        assert_eq!(answer.topics[0].partitions[0].error, none);
    }
    assert_eq!(committed(&mut other, 0).await, (5, nothing, none));
    assert_eq!(committed(&mut coordinator, 1).await, (7, text, none));
    assert_eq!(
        cluster
            .shared
            .hub
            .data("/consumers/g/offsets/events/0")
            .unwrap(),
        "5"
    );

    assert_eq!(committed(&mut other, 1).await.2, ErrorCode::NOT_COORDINATOR);
    let refused = other.ask(&commit(8, TOPIC), 1).await.unwrap();
    assert_eq!(
        refused.topics[0].partitions[0].error,
        ErrorCode::NOT_COORDINATOR
    );
    let unknown = coordinator.ask(&commit(8, "none"), 0).await.unwrap();
    assert_eq!(unknown.topics[0].partitions[0].error, missing);
}

#[tokio::test]
async fn what_a_release_does_not_know_it_answers_as_that_release() {
    let ask_versions = api::ApiVersionsRequest::default();
    let cluster = start(Release::V0_8_2).await;
    let mut client = Client::connect(&cluster, 1).await;
    assert!(client.ask(&asking(&[]), 0).await.is_some());
    client.send(&ask_versions, 0).await;
    assert_eq!(client.next().await, None, "0.8.2 closes");
    let mut client = Client::connect(&cluster, 1).await;
    assert_eq!(
        client.ask(&ListGroupsRequest::default(), 0).await,
        None,
        "0.8.2 closes"
    );
    cluster.shutdown().await;

    let cluster = start(Release::V0_9).await;
    let mut client = Client::connect(&cluster, 1).await;
    assert!(client.ask(&ListGroupsRequest::default(), 0).await.is_some());
    client.send(&ask_versions, 0).await;
    client.send(&asking(&[]), 0).await;
    // Another connection is answered behind it, and this one never.
    let mut other = Client::connect(&cluster, 1).await;
    assert!(other.ask(&asking(&[]), 0).await.is_some());
    let mut byte = [0];
    let silent = timeout(Duration::from_millis(20), client.0.read(&mut byte)).await;
    assert!(silent.is_err(), "0.9 stays silent: {silent:?}");
}

#[tokio::test]
async fn a_test_cuts_delays_and_damages() {
    let mut cluster = start(Release::V0_8_2).await;
    let leader = cluster.leader(TOPIC, 0).unwrap();
    let mut client = Client::connect(&cluster, leader).await;
    client.produce(0, 1, "a").await;
    cluster.corrupt(TOPIC, 0, 0).unwrap();
    assert!(cluster.corrupt(TOPIC, 0, 1).is_err());
    assert_eq!(
        client.fetch(0, 0).await.2,
        Vec::<String>::new(),
        "a checksum is wrong"
    );

    let delay = Duration::from_millis(40);
    let faults = Faults {
        delay,
        ..Faults::default()
    };
    cluster.set_faults(leader, faults).unwrap();
    let began = Instant::now();
    client.fetch(0, 0).await;
    assert!(began.elapsed() >= delay);
    cluster.set_faults(leader, Faults::default()).unwrap();

    cluster.cut_connections(leader).unwrap();
    assert_eq!(client.next().await, None);

    let other = (1..=3).filter(|id| *id != leader);
    let moved: Vec<_> = other
        .map(|id| cluster.move_leader(TOPIC, 0, id).is_ok())
        .collect();
    assert_eq!(
        moved.iter().filter(|moved| **moved).count(),
        1,
        "the one other replica"
    );
    let mut client = Client::connect(&cluster, leader).await;
    assert_eq!(
        client.fetch(0, 0).await.0,
        ErrorCode::NOT_LEADER_OR_FOLLOWER
    );

    let leader = cluster.leader(TOPIC, 0).unwrap();
    cluster.expire_broker(leader).unwrap();
    assert_ne!(cluster.leader(TOPIC, 0), Some(leader));
    let back = || cluster.shared.alive().len() == 3;
    cluster.wait(TOPIC, back).await.expect("it registers again");
    cluster.kill_broker(leader).await.unwrap();
    assert!(
        cluster.shared.alive().contains_key(&leader),
        "nobody knows yet"
    );
    assert!(
        TcpStream::connect(cluster.brokers()[&leader])
            .await
            .is_err()
    );
    assert!(matches!(
        cluster.stop_broker(9).await,
        Err(Error::NoBroker(9))
    ));
}

#[tokio::test]
async fn there_is_a_controller_again_after_its_session() {
    let cluster = start(Release::V0_8_2).await;
    let hub = &cluster.shared.hub;
    let is_there = || hub.data("/controller").is_some();
    assert!(is_there());
    let session = cluster.shared.session().unwrap().id();
    cluster.zookeeper().expire_session(session);
    assert!(!is_there());
    cluster.wait(TOPIC, is_there).await.expect("a controller");
}

#[tokio::test]
async fn brokers_outlive_zookeeper_and_attach_again() {
    let mut cluster = start(Release::V0_9).await;
    let epoch = |cluster: &EmbeddedCluster| {
        let state = cluster
            .shared
            .hub
            .data("/brokers/topics/events/partitions/0/state");
        state.expect("a state")
    };
    let before = epoch(&cluster);
    let leader = cluster.leader(TOPIC, 0).unwrap();
    let session = cluster.nodes[&leader].session().unwrap();
    cluster.stop_zookeeper().await;
    let mut client = Client::connect(&cluster, leader).await;
    assert_eq!(client.produce(0, 1, "a").await, Some((ErrorCode::NONE, 0)));
    assert!(cluster.create_topic("more", 1, 1).await.is_err());
    cluster.restart_zookeeper().await.expect("the same port");
    cluster.create_topic("more", 1, 1).await.expect("a topic");
    assert_eq!(epoch(&cluster), before, "nobody was elected");
    assert!((1..=3).all(|broker| cluster.is_registered(broker)));
    let attached = format!("sid={session:#x},");
    let again = async {
        while !connections(&cluster).await.contains(&attached) {
            tokio::task::yield_now().await;
        }
    };
    soon(again).await;
}

/// What ZooKeeper says of its connections.
async fn connections(cluster: &EmbeddedCluster) -> String {
    let server = cluster.zookeeper().address();
    let mut stream = TcpStream::connect(server).await.expect("a server");
    stream.write_all(b"cons").await.expect("a server");
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer))
        .await
        .expect("text");
    answer
}

#[tokio::test]
async fn brokers_are_where_they_are_chosen_to_be() {
    let builder = EmbeddedCluster::builder().brokers(5);
    let builder = builder.broker(0, 0).broker(7, 0);
    let cluster = builder.start().await.expect("free ports");
    let ids: Vec<i32> = cluster.brokers().into_keys().collect();
    assert_eq!(ids, [0, 7]);
}

#[tokio::test]
async fn logs_say_where_they_begin_and_end() {
    let cluster = start(Release::V0_8_2).await;
    let leader = cluster.leader(TOPIC, 0).unwrap();
    let mut client = Client::connect(&cluster, leader).await;
    client.produce(0, 1, "a").await;
    assert_eq!(cluster.offsets(TOPIC, 0), Some((0, 1)));
    for (timestamp, expected) in [(-1, vec![1]), (-2, vec![0]), (0, vec![])] {
        let request = ListOffsetsRequest {
            topics: vec![ListOffsetsTopic {
                name: TOPIC.to_owned(),
                partitions: vec![ListOffsetsPartition {
                    partition: 0,
                    timestamp,
                    max_num_offsets: 1,
                }],
            }],
            replica_id: -1,
            isolation_level: 0,
        };
        let response = client.ask(&request, 0).await.unwrap();
        let offsets = response.topics[0].partitions[0].old_style_offsets.clone();
        assert_eq!(offsets, Some(expected), "for {timestamp}");
    }
}

#[tokio::test]
async fn what_is_no_request_ends_its_connection_alone() {
    let cluster = start(Release::V0_8_2).await;
    for hostile in [
        &[0x7f, 0xff, 0xff, 0xff][..],
        &[0xff, 0xff, 0xff, 0xff],
        &[0, 0, 0, 1, 0],
        // A fetch that claims two thousand million topics.
        &[
            0, 0, 0, 26, 0, 1, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f,
            0xff, 0xff, 0xff,
        ],
    ] {
        let mut client = Client::connect(&cluster, 1).await;
        client.0.write_all(hostile).await.unwrap();
        assert_eq!(client.next().await, None, "{hostile:?}");
    }
    let mut client = Client::connect(&cluster, 1).await;
    assert!(client.ask(&asking(&[]), 0).await.is_some());
}
