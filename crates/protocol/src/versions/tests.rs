use bytes::Bytes;

use super::{
    ApiKey, ApiVersionTable, BrokerVersion, MetadataProbe, ParseBrokerVersionError, VersionRange,
    classify_metadata_probe, message_magic,
};
use crate::ErrorCode;
use crate::api::{
    ApiVersion, ApiVersionsResponse, MetadataBroker, MetadataPartition, MetadataRequest,
    MetadataResponse, MetadataTopic, encode_response, split_response,
};

fn parsed(text: &str) -> BrokerVersion {
    text.parse().unwrap()
}

fn table(text: &str) -> ApiVersionTable {
    ApiVersionTable::for_broker(parsed(text))
}

/// The chosen versions, in the order of [`ApiKey::ALL`], and the message format; -1 for none.
fn choices(table: &ApiVersionTable) -> Vec<i16> {
    ApiKey::ALL
        .iter()
        .map(|key| table.choose(*key).unwrap_or(-1))
        .chain(table.message_magic().map(i16::from))
        .collect()
}

#[test]
fn the_versions_that_are_chosen_for_each_release() {
    // Produce, Fetch, ListOffsets, Metadata, OffsetCommit, OffsetFetch, FindCoordinator, DescribeGroups, ListGroups, ApiVersions,
    // CreateTopics, DeleteTopics; and the message format.
    let expected = [
        ("0.8.2.2", [0, 0, 0, 0, 1, 1, 0, -1, -1, -1, -1, -1, 0]),
        ("0.9.0.1", [1, 1, 0, 0, 2, 1, 0, 0, 0, -1, -1, -1, 0]),
        ("0.10.0.1", [2, 2, 0, 1, 2, 1, 0, 0, 0, 0, -1, -1, 1]),
        ("0.10.1.1", [2, 3, 1, 1, 2, 1, 0, 0, 0, 0, 0, 0, 1]),
        ("0.10.2.2", [2, 3, 1, 1, 2, 2, 0, 0, 0, 0, 0, 0, 1]),
        ("0.11.0.3", [3, 4, 2, 4, 2, 2, 0, 0, 0, 0, 2, 1, 2]),
        ("1.1.1", [3, 4, 2, 4, 2, 2, 0, 0, 0, 0, 2, 1, 2]),
        ("2.0.1", [3, 4, 2, 4, 2, 2, 0, 0, 0, 0, 2, 1, 2]),
        ("2.1.0", [7, 10, 2, 4, 2, 2, 0, 0, 0, 0, 2, 1, 2]),
        ("2.3", [7, 11, 2, 4, 2, 2, 0, 0, 0, 0, 2, 1, 2]),
        ("2.8.2", [7, 11, 2, 4, 2, 2, 0, 0, 0, 0, 2, 1, 2]),
        ("3.9.1", [7, 11, 2, 4, 2, 2, 0, 0, 0, 0, 2, 1, 2]),
        ("4.1.0", [7, 11, 2, 4, 2, 2, 0, 0, 0, 0, 2, 1, 2]),
    ];
    for (release, expected) in expected {
        assert_eq!(choices(&table(release)), expected, "{release}");
    }
}

#[test]
fn the_ranges_of_the_releases_that_are_known() {
    let range = |release: &str, key| {
        let range = table(release).range(key);
        range.map_or_else(|| "-".to_owned(), |range| range.to_string())
    };
    let releases = [
        "0.8.2.2", "0.9.0.1", "0.10.0.0", "0.10.2.2", "0.11.0.3", "1.1.1", "2.8.2", "3.9.1",
        "4.1.0",
    ];
    let expected = [
        "0-0 0-1 0-2 0-2 0-3 0-5 0-9 0-11 3-13",
        "0-0 0-1 0-2 0-3 0-5 0-7 0-12 0-17 4-18",
        "0-0 0-0 0-0 0-1 0-2 0-2 0-6 0-9 1-10",
        "0-0 0-0 0-1 0-2 0-4 0-5 0-11 0-12 0-13",
        "0-1 0-2 0-2 0-2 0-3 0-3 0-8 0-9 2-9",
        "0-1 0-1 0-1 0-2 0-3 0-3 0-7 0-9 1-9",
        "0-0 0-0 0-0 0-0 0-1 0-1 0-3 0-6 0-6",
        "- 0-0 0-0 0-0 0-1 0-1 0-5 0-5 0-6",
        "- 0-0 0-0 0-0 0-1 0-1 0-4 0-5 0-5",
        "- - 0-0 0-0 0-1 0-1 0-3 0-4 0-4",
        "- - - 0-1 0-2 0-2 0-7 0-7 2-7",
        "- - - 0-0 0-1 0-1 0-6 0-6 1-6",
    ];
    for (key, expected) in ApiKey::ALL.iter().zip(expected) {
        let found: Vec<_> = releases.map(|release| range(release, *key)).into();
        assert_eq!(found.join(" "), expected, "{key}");
    }
}

fn advertised(ranges: &[(i16, i16, i16)]) -> ApiVersionTable {
    let api = |(api_key, min_version, max_version): &(i16, i16, i16)| ApiVersion {
        api_key: *api_key,
        min_version: *min_version,
        max_version: *max_version,
    };
    ApiVersionTable::from_api_versions(&ApiVersionsResponse {
        error: ErrorCode::NONE,
        apis: ranges.iter().map(api).collect(),
    })
}

#[test]
fn a_broker_that_was_asked_is_believed() {
    // What 0.10.2 says, with an API that is not known here.
    let table = advertised(&[
        (0, 0, 2),
        (1, 0, 3),
        (3, 0, 2),
        (8, 0, 2),
        (7, 1, 3),
        (99, 0, 9),
    ]);
    assert_eq!(table.choose(ApiKey::Produce), Some(2));
    assert_eq!(table.choose(ApiKey::Fetch), Some(3));
    assert_eq!(table.choose(ApiKey::Metadata), Some(1));
    assert_eq!(table.choose(ApiKey::OffsetFetch), None);
    assert_eq!(table.message_magic(), Some(1));
}

#[test]
fn produce_below_3_is_never_believed_of_a_4_broker() {
    let table = advertised(&[(0, 0, 13), (1, 4, 18)]);
    let range = VersionRange { min: 3, max: 13 };
    assert_eq!(table.range(ApiKey::Produce), Some(range));
    assert!(range.contains(3) && !range.contains(2) && !range.contains(14));
    // An older broker means what it says.
    let table = advertised(&[(0, 0, 11), (1, 0, 17)]);
    assert_eq!(table.range(ApiKey::Produce).map(|range| range.min), Some(0));
}

#[test]
fn a_broker_without_a_usable_version_has_none() {
    assert_eq!(advertised(&[(1, 12, 18)]).choose(ApiKey::Fetch), None);
    assert_eq!(advertised(&[(1, 5, 9)]).choose(ApiKey::Fetch), None);
    // Ranges that hold nothing.
    let table = advertised(&[(1, 3, 2), (2, 0, -1), (0, i16::MIN, i16::MAX)]);
    assert_eq!(table.range(ApiKey::Fetch), None);
    assert_eq!(table.range(ApiKey::ListOffsets), None);
    assert_eq!(table.choose(ApiKey::Produce), Some(7));
    assert_eq!(advertised(&[]).message_magic(), None);
}

#[test]
fn releases_are_read_as_people_write_them() {
    for (text, read) in [
        ("0.8.2", "0.8.2"),
        ("0.8.2.2", "0.8.2"),
        ("0.9", "0.9.0"),
        ("0.9.0.1", "0.9.0"),
        ("0.11.0.3", "0.11.0"),
        ("1.1.1", "1.1.1"),
        ("2.8", "2.8.0"),
        ("4.1.0", "4.1.0"),
        ("10.0", "10.0.0"),
    ] {
        assert_eq!(parsed(text).to_string(), read);
    }
    assert_eq!(parsed("0.8.2.2"), BrokerVersion::V0_8_2);
    assert_eq!(parsed("0.9.0.1"), BrokerVersion::V0_9);
    assert!(parsed("0.9.0.1").is_legacy() && parsed("0.8.2").is_legacy());
    assert!(!parsed("0.10.0.0").is_legacy() && !parsed("4.1.0").is_legacy());
    // As numbers and not as text.
    assert!(parsed("0.10.2") > parsed("0.9.0"));
}

#[test]
fn what_is_no_release_is_refused() {
    for text in [
        "",
        "4",
        "auto",
        "0.9.",
        ".9",
        "0..9",
        "0.9.0.1.2",
        "-1.0",
        "+1.0",
        "1.x",
        "1.0.70000",
        "1.0.0.x",
        " 0.9",
    ] {
        let error = text.parse::<BrokerVersion>().unwrap_err();
        let malformed = matches!(error, ParseBrokerVersionError::Malformed { .. });
        assert!(malformed && !error.is_retriable(), "{text}");
    }
    for text in ["0.8.1.1", "0.8", "0.7.2", "0.0"] {
        let error = text.parse::<BrokerVersion>().unwrap_err();
        assert!(error.to_string().contains("0.8.2 is the oldest"), "{text}");
    }
}

#[test]
fn messages_follow_the_version_that_carries_them() {
    let magics = [0, 1, 2, 3, 4, 7].map(message_magic);
    assert_eq!(magics, [0, 0, 1, 2, 2, 2]);
}

/// A cluster of so many brokers, whose racks and topics are like those that real ones have.
fn cluster(brokers: i32, rack: Option<&str>, topics: usize) -> MetadataResponse {
    let broker = |node_id| MetadataBroker {
        node_id,
        host: format!("kafka-{node_id}"),
        port: 9092,
        rack: rack.map(str::to_owned),
    };
    let topic = |number| MetadataTopic {
        error: ErrorCode::NONE,
        name: format!("topic-{number}"),
        is_internal: number % 2 == 1,
        partitions: vec![MetadataPartition {
            leader: 1,
            replicas: vec![1, 2],
            isr: vec![1],
            ..MetadataPartition::default()
        }],
    };
    MetadataResponse {
        brokers: (0..brokers).map(broker).collect(),
        controller_id: 1,
        topics: (0..topics).map(topic).collect(),
        ..MetadataResponse::default()
    }
}

fn answer(response: &MetadataResponse, version: i16) -> Bytes {
    let frame = encode_response::<MetadataRequest>(response, version, 0).unwrap();
    split_response(frame.slice(4..)).unwrap().1
}

#[test]
fn the_probe_tells_the_layouts_apart() {
    for brokers in 0..6 {
        for rack in [None, Some(""), Some("a"), Some("rack-1")] {
            for topics in 0..4 {
                let response = cluster(brokers, rack, topics);
                let probe = |version| classify_metadata_probe(answer(&response, version));
                assert_eq!(probe(0), Ok(MetadataProbe::Legacy), "{response:?}");
                assert_eq!(probe(1), Ok(MetadataProbe::Modern), "{response:?}");
            }
        }
    }
}

#[test]
fn the_probe_knows_what_is_no_broker() {
    let whole = answer(&cluster(3, None, 2), 1);
    for end in 0..whole.len() {
        assert!(classify_metadata_probe(whole.slice(..end)).is_err());
    }
    let text = Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert!(classify_metadata_probe(text).is_err());
}
