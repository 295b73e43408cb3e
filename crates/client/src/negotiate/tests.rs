use std::sync::Arc;
use std::sync::Mutex;

use bytes::Bytes;
use divvy_protocol::api::{
    ApiVersion, ApiVersionsResponse, ListGroupsResponse, MetadataBroker, MetadataPartition,
    MetadataResponse, MetadataTopic, encode_response,
};
use divvy_protocol::{ErrorCode, VersionRange};

use super::*;
use crate::connection::tests::{Peer, pair};
use crate::sync::lock;

const SECOND: Duration = Duration::from_secs(1);

/// Which broker stands at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    V0_8_2,
    V0_9,
    Modern,
    /// Hangs on whatever it is asked.
    Silent,
    /// Answers with bytes in no layout of Metadata.
    Garbage,
    /// Answers ApiVersions with an error.
    Refuses,
}

/// What a broker was asked: the code of the API and the version, over all its connections.
type Asked = Arc<Mutex<Vec<(i16, i16)>>>;

fn cluster() -> MetadataResponse {
    MetadataResponse {
        brokers: vec![MetadataBroker {
            node_id: 7,
            host: "kafka7".to_owned(),
            port: 9092,
            rack: None,
        }],
        controller_id: 7,
        topics: vec![MetadataTopic {
            name: "clicks".to_owned(),
            partitions: vec![MetadataPartition {
                partition: 0,
                leader: 7,
                replicas: vec![7],
                isr: vec![7],
                ..MetadataPartition::default()
            }],
            ..MetadataTopic::default()
        }],
        ..MetadataResponse::default()
    }
}

/// Plays a broker on one connection until it ends, or until the broker would end it.
async fn play(line: Line, mut peer: Peer, asked: Asked) {
    while let Some((header, _)) = peer.request().await {
        lock(&asked).push((header.api_key, header.api_version));
        let key = ApiKey::from_code(header.api_key);
        match (line, key) {
            (Line::Silent, _) => {}
            (Line::Garbage, _) => {
                let mut frame = 12_i32.to_be_bytes().to_vec();
                frame.extend(header.correlation_id.to_be_bytes());
                frame.extend([0x7f; 8]);
                peer.send(&frame).await;
            }
            // The old ones ignore the version and answer in the layout of version 0.
            (Line::V0_8_2 | Line::V0_9, Some(ApiKey::Metadata)) => {
                let id = header.correlation_id;
                let frame = encode_response::<MetadataRequest>(&cluster(), 0, id).unwrap();
                peer.send(&frame).await;
            }
            (_, Some(ApiKey::Metadata)) => {
                // An empty list means no topics from version 1 on.
                let answer = MetadataResponse {
                    topics: Vec::new(),
                    ..cluster()
                };
                peer.answer::<MetadataRequest>(&header, &answer).await;
            }
            (Line::V0_8_2, _) => return,
            (_, Some(ApiKey::ListGroups)) => {
                let answer = ListGroupsResponse::default();
                peer.answer::<ListGroupsRequest>(&header, &answer).await;
            }
            (Line::Modern | Line::Refuses, Some(ApiKey::ApiVersions)) => {
                peer.answer::<ApiVersionsRequest>(&header, &versions_of(line))
                    .await;
            }
            (_, key) => panic!("{line:?} should not be asked {key:?}"),
        }
    }
}

fn versions_of(line: Line) -> ApiVersionsResponse {
    if line == Line::Refuses {
        return ApiVersionsResponse {
            error: ErrorCode::UNSUPPORTED_VERSION,
            ..ApiVersionsResponse::default()
        };
    }
    let api = |key: ApiKey, max_version| ApiVersion {
        api_key: key.code(),
        min_version: 0,
        max_version,
    };
    ApiVersionsResponse {
        apis: vec![api(ApiKey::Fetch, 3), api(ApiKey::Metadata, 2)],
        ..ApiVersionsResponse::default()
    }
}

/// Negotiates with a broker; gives what was found and what the broker was asked on the connection and on the one thrown away.
async fn negotiate(
    line: Line,
    hint: Hint,
) -> (Result<Negotiated>, Vec<(i16, i16)>, Vec<(i16, i16)>) {
    let (asked, thrown_away) = (Asked::default(), Asked::default());
    let (connection, peer) = pair(1 << 16);
    tokio::spawn(play(line, peer, Arc::clone(&asked)));
    let open = || async {
        let (connection, peer) = pair(1 << 16);
        tokio::spawn(play(line, peer, Arc::clone(&thrown_away)));
        Ok(connection)
    };
    let found = versions(&connection, hint, SECOND, open).await;
    let (asked, thrown_away) = (lock(&asked).clone(), lock(&thrown_away).clone());
    (found, asked, thrown_away)
}

const METADATA_1: (i16, i16) = (3, 1);
const LIST_GROUPS_0: (i16, i16) = (16, 0);
const API_VERSIONS_0: (i16, i16) = (18, 0);

#[tokio::test(start_paused = true)]
async fn finds_0_8_2_by_what_it_answers_and_what_it_hangs_up_on() {
    let (found, asked, thrown_away) = negotiate(Line::V0_8_2, Hint::Unknown).await;
    let found = found.unwrap();
    assert_eq!(found.line, Some(BrokerVersion::V0_8_2));
    assert_eq!(
        found.versions,
        ApiVersionTable::for_broker(BrokerVersion::V0_8_2)
    );
    assert_eq!(
        asked,
        [METADATA_1],
        "the connection that is kept is not spoilt"
    );
    assert_eq!(thrown_away, [LIST_GROUPS_0]);
}

#[tokio::test(start_paused = true)]
async fn finds_0_9_without_ever_asking_for_its_versions() {
    let (found, asked, thrown_away) = negotiate(Line::V0_9, Hint::Unknown).await;
    assert_eq!(found.unwrap().line, Some(BrokerVersion::V0_9));
    assert_eq!(asked, [METADATA_1]);
    assert_eq!(thrown_away, [LIST_GROUPS_0]);
}

#[tokio::test(start_paused = true)]
async fn asks_newer_brokers_for_their_versions() {
    let (found, asked, thrown_away) = negotiate(Line::Modern, Hint::Unknown).await;
    let found = found.unwrap();
    assert_eq!(found.line, None);
    assert_eq!(
        found.versions.range(ApiKey::Fetch),
        Some(VersionRange { min: 0, max: 3 })
    );
    assert_eq!(found.versions.range(ApiKey::Produce), None);
    assert_eq!(asked, [METADATA_1, API_VERSIONS_0]);
    assert!(thrown_away.is_empty());
}

#[tokio::test(start_paused = true)]
async fn asks_at_once_where_the_registration_allows_it() {
    for version in [3, 4, 5] {
        let hint = Hint::from_registration(version);
        let (found, asked, _) = negotiate(Line::Modern, hint).await;
        assert_eq!(found.unwrap().line, None);
        assert_eq!(asked, [API_VERSIONS_0]);
    }
}

#[tokio::test(start_paused = true)]
async fn asks_nothing_where_the_line_is_known() {
    for (hint, line) in [
        (Hint::Line(BrokerVersion::V0_9), BrokerVersion::V0_9),
        (Hint::from_registration(0), BrokerVersion::V0_8_2),
        (Hint::from_registration(1), BrokerVersion::V0_8_2),
        (Hint::from_registration(2), BrokerVersion::V0_9),
    ] {
        let (found, asked, thrown_away) = negotiate(Line::Silent, hint).await;
        assert_eq!(found.unwrap().line, Some(line));
        assert!(asked.is_empty() && thrown_away.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn says_what_went_wrong() {
    let (found, ..) = negotiate(Line::Silent, Hint::Unknown).await;
    let error = found.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Timeout {
                request: "Metadata",
                ..
            }
        ),
        "{error}"
    );
    let (found, ..) = negotiate(Line::Garbage, Hint::Unknown).await;
    let error = found.unwrap_err();
    assert!(matches!(error, Error::Peer { .. }), "{error}");
    let (found, ..) = negotiate(Line::Refuses, Hint::Unknown).await;
    let error = found.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UNSUPPORTED_VERSION));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_hangs_on_the_last_question_is_of_no_known_line() {
    let (connection, peer) = pair(1 << 16);
    tokio::spawn(play(Line::V0_9, peer, Asked::default()));
    let open = || async {
        let (connection, peer) = pair(1 << 16);
        tokio::spawn(play(Line::Silent, peer, Asked::default()));
        Ok(connection)
    };
    let error = versions(&connection, Hint::Unknown, SECOND, open)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Timeout {
                request: "ListGroups",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn fails_where_no_second_connection_can_be_had() {
    let (connection, peer) = pair(1 << 16);
    tokio::spawn(play(Line::V0_8_2, peer, Asked::default()));
    let open = || async { Err(Error::Closed) };
    let error = versions(&connection, Hint::Unknown, SECOND, open)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Closed), "{error}");
}

/// The probe that every broker understands: version 1, and an empty list rather than null, which old ones fail on.
#[tokio::test(start_paused = true)]
async fn probes_with_an_empty_list() {
    let (connection, mut peer) = pair(1 << 16);
    let probe = tokio::spawn(async move {
        let open = || async { Err(Error::Closed) };
        versions(&connection, Hint::Unknown, SECOND, open).await
    });
    let (header, body) = peer.request().await.unwrap();
    assert_eq!((header.api_key, header.api_version), METADATA_1);
    assert_eq!(body, Bytes::from_static(&[0, 0, 0, 0]));
    drop(peer);
    assert!(probe.await.unwrap().unwrap_err().is_disconnect());
}
