//! The bytes that Kafka's own classes write, both ways; and some written out by hand, to be read beside the specification.

use bytes::Bytes;
use divvy_protocol::api::*;
use divvy_protocol::wire::Writer;
use divvy_protocol::{ApiKey, ErrorCode};

use crate::{Case, Check, for_every_api, versions};

/// The bytes of a line of `golden.txt`.
fn kafkas(api: &str, direction: &str, version: i16) -> Bytes {
    let key = [api, direction, &version.to_string()];
    let line = include_str!("golden.txt")
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|words| words[..3] == key);
    let line = line.unwrap_or_else(|| panic!("golden.txt lacks {key:?}"));
    unhex(line[3].trim_matches('-'))
}

fn unhex(text: &str) -> Bytes {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn body(message: &impl Message, version: i16) -> Bytes {
    let mut w = Writer::new();
    message.encode(&mut w, version).unwrap();
    w.finish()
}

struct AsKafka;

impl Check for AsKafka {
    fn check<R: Request<Response: Case> + Case>(&self) {
        let name = R::API.name();
        for version in versions::<R>() {
            let golden = kafkas(name, "request", version);
            let request = R::sample().in_version(version);
            assert_eq!(body(&request, version), golden, "{name} {version}");
            assert_eq!(decode_request::<R>(golden, version).unwrap(), request);

            let golden = kafkas(name, "response", version);
            let response = R::Response::sample().in_version(version);
            assert_eq!(body(&response, version), golden, "{name} {version}");
            assert_eq!(decode_response::<R>(golden, version).unwrap(), response);
        }
    }
}

#[test]
fn messages_are_written_and_read_as_by_kafka() {
    for_every_api(&AsKafka);
}

#[test]
fn a_requests_header_is_written_as_by_kafka() {
    let request = Case::in_version(FetchRequest::sample(), 4);
    let frame = encode_request(&request, 4, 7, "divvy").unwrap();
    let header = kafkas("Header", "request", 1);
    let rest = kafkas("Fetch", "request", 4);
    let size = u32::try_from(header.len() + rest.len()).unwrap();
    assert_eq!(frame, [&size.to_be_bytes()[..], &header, &rest].concat());
}

/// A frame of version 0, from a client "c" with correlation id 2, against bytes that were written by hand.
fn check_by_hand<R: Request>(request: &R, body: &str) {
    let header = format!("{:04x} 0000 00000002 0001 63", R::API.code());
    let payload = unhex(&(header + body));
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let frame = encode_request(request, 0, 2, "c").unwrap();
    assert_eq!(frame, [&size[..], &payload].concat(), "{}", R::API);
}

#[test]
fn requests_for_messages_by_hand() {
    let produce = ProduceRequest {
        transactional_id: None,
        acks: 1,
        timeout_ms: 100,
        topics: vec![ProduceTopic {
            name: "t".into(),
            partitions: vec![ProducePartition {
                partition: 3,
                records: Some(Bytes::from_static(b"\xab")),
            }],
        }],
    };
    check_by_hand(
        &produce,
        "0001 00000064  00000001 0001 74  00000001 00000003 00000001 ab",
    );
    let fetch = FetchRequest {
        replica_id: -1,
        max_wait_ms: 100,
        min_bytes: 1,
        topics: vec![FetchTopic {
            name: "t".into(),
            partitions: vec![FetchPartition {
                partition: 3,
                current_leader_epoch: -1,
                fetch_offset: 5,
                log_start_offset: -1,
                max_bytes: 1024,
            }],
        }],
        ..FetchRequest::sample()
    };
    check_by_hand(
        &fetch,
        "ffffffff 00000064 00000001  00000001 0001 74  00000001 00000003 0000000000000005 00000400",
    );
    let list_offsets = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: 0,
        topics: vec![ListOffsetsTopic {
            name: "t".into(),
            partitions: vec![ListOffsetsPartition {
                partition: 3,
                timestamp: -2,
                max_num_offsets: 1,
            }],
        }],
    };
    check_by_hand(
        &list_offsets,
        "ffffffff  00000001 0001 74  00000001 00000003 fffffffffffffffe 00000001",
    );
}

#[test]
fn other_requests_by_hand() {
    let metadata = MetadataRequest {
        topics: Some(vec!["t".into()]),
        allow_auto_topic_creation: true,
    };
    check_by_hand(&metadata, "00000001 0001 74");
    let all = MetadataRequest {
        topics: None,
        allow_auto_topic_creation: true,
    };
    check_by_hand(&all, "00000000");
    let commit = OffsetCommitRequest {
        group: "g".into(),
        generation: -1,
        member: String::new(),
        retention_ms: -1,
        topics: vec![OffsetCommitTopic {
            name: "t".into(),
            partitions: vec![OffsetCommitPartition {
                partition: 3,
                offset: 5,
                timestamp: -1,
                metadata: Some(String::new()),
            }],
        }],
    };
    check_by_hand(
        &commit,
        "0001 67  00000001 0001 74  00000001 00000003 0000000000000005 0000",
    );
    let fetch = OffsetFetchRequest {
        group: "g".into(),
        topics: Some(vec![OffsetFetchTopic {
            name: "t".into(),
            partitions: vec![3],
        }]),
    };
    check_by_hand(&fetch, "0001 67  00000001 0001 74  00000001 00000003");
    check_by_hand(&FindCoordinatorRequest { group: "g".into() }, "0001 67");
    let describe = DescribeGroupsRequest {
        groups: vec!["g".into()],
    };
    check_by_hand(&describe, "00000001 0001 67");
    check_by_hand(&ListGroupsRequest::default(), "");
    check_by_hand(&ApiVersionsRequest::default(), "");
    let create = CreateTopicsRequest {
        topics: vec![CreateTopic {
            name: "t".into(),
            num_partitions: 8,
            replication_factor: 1,
            assignments: vec![],
            configs: vec![],
        }],
        timeout_ms: 100,
        validate_only: false,
    };
    check_by_hand(
        &create,
        "00000001 0001 74 00000008 0001 00000000 00000000  00000064",
    );
    let delete = DeleteTopicsRequest {
        topics: vec!["t".into()],
        timeout_ms: 100,
    };
    check_by_hand(&delete, "00000001 0001 74  00000064");
}

#[test]
fn nulls_are_read_where_kafka_sends_them() {
    // A fetch of version 4 of one partition, whose list of aborted transactions and whose records are null.
    let body = unhex(
        "00000000  00000001 0001 74  00000001  00000003 0006 ffffffffffffffff ffffffffffffffff ffffffff ffffffff",
    );
    let response = decode_response::<FetchRequest>(body, 4).unwrap();
    let partition = &response.topics[0].partitions[0];
    assert_eq!(partition.error, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert!(partition.aborted.is_empty() && partition.records.is_empty());

    let all = decode_request::<OffsetFetchRequest>(unhex("0001 67 ffffffff"), 2).unwrap();
    assert_eq!(all.topics, None);
    assert!(decode_request::<OffsetFetchRequest>(unhex("0001 67 ffffffff"), 1).is_err());
    assert!(decode_request::<MetadataRequest>(unhex("ffffffff"), 0).is_err());
}

#[test]
fn the_numbers_of_the_apis_are_kafkas() {
    let codes: Vec<_> = ApiKey::ALL.iter().map(|key| key.code()).collect();
    assert_eq!(codes, [0, 1, 2, 3, 8, 9, 10, 15, 16, 18, 19, 20]);
    for key in ApiKey::ALL {
        assert_eq!(ApiKey::from_code(key.code()), Some(*key));
    }
    assert_eq!(ApiKey::from_code(4), None);
}
