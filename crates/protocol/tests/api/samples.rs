//! The messages of `golden.txt`; `Golden.java` has the same.

use bytes::Bytes;
use divvy_protocol::ErrorCode;
use divvy_protocol::api::*;

const TIME: i64 = 1_500_000_000_000;

pub(crate) fn produce() -> ProduceRequest {
    let partition = |partition, records: Option<&'static [u8]>| ProducePartition {
        partition,
        records: records.map(Bytes::from_static),
    };
    ProduceRequest {
        transactional_id: Some("tx-1".into()),
        acks: -1,
        timeout_ms: 1500,
        topics: vec![
            ProduceTopic {
                name: "events".into(),
                partitions: vec![partition(0, Some(&[1, 2, 3])), partition(7, None)],
            },
            ProduceTopic {
                name: "audit".into(),
                partitions: vec![],
            },
        ],
    }
}

pub(crate) fn produced() -> ProduceResponse {
    let partitions = vec![
        ProducePartitionResponse {
            partition: 0,
            error: ErrorCode::NONE,
            base_offset: 42,
            log_append_time: TIME,
            log_start_offset: 5,
        },
        ProducePartitionResponse {
            partition: 7,
            error: ErrorCode::NOT_LEADER_OR_FOLLOWER,
            base_offset: -1,
            log_append_time: -1,
            log_start_offset: -1,
        },
    ];
    ProduceResponse {
        topics: vec![
            ProduceTopicResponse {
                name: "events".into(),
                partitions,
            },
            ProduceTopicResponse {
                name: "audit".into(),
                partitions: vec![],
            },
        ],
        throttle_ms: 77,
    }
}

pub(crate) fn fetch() -> FetchRequest {
    let partitions = vec![
        FetchPartition {
            partition: 0,
            current_leader_epoch: 4,
            fetch_offset: 100,
            log_start_offset: -1,
            max_bytes: 1_048_576,
        },
        FetchPartition {
            partition: 3,
            current_leader_epoch: -1,
            fetch_offset: 1 << 40,
            log_start_offset: 9,
            max_bytes: 4096,
        },
    ];
    FetchRequest {
        replica_id: -1,
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 8_388_608,
        isolation_level: 1,
        session_id: 11,
        session_epoch: 3,
        topics: vec![
            FetchTopic {
                name: "events".into(),
                partitions,
            },
            FetchTopic {
                name: "audit".into(),
                partitions: vec![],
            },
        ],
        forgotten: vec![ForgottenTopic {
            name: "old".into(),
            partitions: vec![1, 2],
        }],
        rack_id: "rack-a".into(),
    }
}

pub(crate) fn fetched() -> FetchResponse {
    let aborted = |producer_id, first_offset| AbortedTransaction {
        producer_id,
        first_offset,
    };
    let partitions = vec![
        FetchPartitionResponse {
            partition: 0,
            error: ErrorCode::NONE,
            high_watermark: 200,
            last_stable_offset: 190,
            log_start_offset: 5,
            aborted: vec![aborted(9, 150), aborted(8, 120)],
            preferred_read_replica: 2,
            records: Bytes::from_static(&[10, 11, 12]),
        },
        FetchPartitionResponse {
            partition: 3,
            error: ErrorCode::OFFSET_OUT_OF_RANGE,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted: vec![],
            preferred_read_replica: -1,
            records: Bytes::new(),
        },
    ];
    FetchResponse {
        throttle_ms: 12,
        error: ErrorCode::INVALID_FETCH_SESSION_EPOCH,
        session_id: 11,
        topics: vec![
            FetchTopicResponse {
                name: "events".into(),
                partitions,
            },
            FetchTopicResponse {
                name: "audit".into(),
                partitions: vec![],
            },
        ],
    }
}

pub(crate) fn list_offsets() -> ListOffsetsRequest {
    let partition = |partition, timestamp, max_num_offsets| ListOffsetsPartition {
        partition,
        timestamp,
        max_num_offsets,
    };
    ListOffsetsRequest {
        replica_id: -1,
        isolation_level: 1,
        topics: vec![
            ListOffsetsTopic {
                name: "events".into(),
                partitions: vec![partition(0, -1, 1), partition(1, TIME, 4)],
            },
            ListOffsetsTopic {
                name: "audit".into(),
                partitions: vec![],
            },
        ],
    }
}

pub(crate) fn listed_offsets() -> ListOffsetsResponse {
    let partitions = vec![
        ListOffsetsPartitionResponse {
            partition: 0,
            error: ErrorCode::NONE,
            old_style_offsets: Some(vec![300, 100]),
            timestamp: TIME,
            offset: 300,
        },
        ListOffsetsPartitionResponse {
            partition: 1,
            error: ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
            old_style_offsets: Some(vec![]),
            timestamp: -1,
            offset: -1,
        },
    ];
    ListOffsetsResponse {
        throttle_ms: 3,
        topics: vec![
            ListOffsetsTopicResponse {
                name: "events".into(),
                partitions,
            },
            ListOffsetsTopicResponse {
                name: "audit".into(),
                partitions: vec![],
            },
        ],
    }
}

pub(crate) fn metadata() -> MetadataRequest {
    MetadataRequest {
        topics: Some(vec!["events".into(), "audit".into()]),
        allow_auto_topic_creation: false,
    }
}

pub(crate) fn described_metadata() -> MetadataResponse {
    let broker = |node_id, host: &str, port, rack: Option<&str>| MetadataBroker {
        node_id,
        host: host.into(),
        port,
        rack: rack.map(Into::into),
    };
    let partitions = vec![
        MetadataPartition {
            error: ErrorCode::NONE,
            partition: 0,
            leader: 1,
            replicas: vec![1, 2],
            isr: vec![1],
        },
        MetadataPartition {
            error: ErrorCode::REPLICA_NOT_AVAILABLE,
            partition: 1,
            leader: 2,
            replicas: vec![2],
            isr: vec![],
        },
    ];
    MetadataResponse {
        throttle_ms: 4,
        brokers: vec![
            broker(1, "kafka-1.example", 9092, Some("rack-a")),
            broker(2, "kafka-2.example", 9093, None),
        ],
        cluster_id: Some("c-1".into()),
        controller_id: 2,
        topics: vec![
            MetadataTopic {
                error: ErrorCode::NONE,
                name: "events".into(),
                is_internal: false,
                partitions,
            },
            MetadataTopic {
                error: ErrorCode::LEADER_NOT_AVAILABLE,
                name: "new".into(),
                is_internal: true,
                partitions: vec![],
            },
        ],
    }
}

pub(crate) fn offset_commit() -> OffsetCommitRequest {
    let partitions = vec![
        OffsetCommitPartition {
            partition: 0,
            offset: 123,
            timestamp: TIME,
            metadata: Some("{}".into()),
        },
        OffsetCommitPartition {
            partition: 1,
            offset: 0,
            timestamp: -1,
            metadata: None,
        },
    ];
    OffsetCommitRequest {
        group: "billing".into(),
        generation: 5,
        member: "m-1".into(),
        retention_ms: 86_400_000,
        topics: vec![
            OffsetCommitTopic {
                name: "events".into(),
                partitions,
            },
            OffsetCommitTopic {
                name: "audit".into(),
                partitions: vec![],
            },
        ],
    }
}

pub(crate) fn offset_committed() -> OffsetCommitResponse {
    let partition = |partition, error| OffsetCommitPartitionResponse { partition, error };
    let partitions = vec![
        partition(0, ErrorCode::NONE),
        partition(1, ErrorCode::OFFSET_METADATA_TOO_LARGE),
    ];
    OffsetCommitResponse {
        topics: vec![
            OffsetCommitTopicResponse {
                name: "events".into(),
                partitions,
            },
            OffsetCommitTopicResponse {
                name: "audit".into(),
                partitions: vec![],
            },
        ],
    }
}

pub(crate) fn offset_fetch() -> OffsetFetchRequest {
    let topic = |name: &str, partitions| OffsetFetchTopic {
        name: name.into(),
        partitions,
    };
    OffsetFetchRequest {
        group: "billing".into(),
        topics: Some(vec![topic("events", vec![0, 1]), topic("audit", vec![])]),
    }
}

pub(crate) fn offset_fetched() -> OffsetFetchResponse {
    let partitions = vec![
        OffsetFetchPartitionResponse {
            partition: 0,
            offset: 123,
            metadata: Some("{}".into()),
            error: ErrorCode::NONE,
        },
        OffsetFetchPartitionResponse {
            partition: 1,
            offset: -1,
            metadata: None,
            error: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        },
    ];
    OffsetFetchResponse {
        topics: vec![
            OffsetFetchTopicResponse {
                name: "events".into(),
                partitions,
            },
            OffsetFetchTopicResponse {
                name: "audit".into(),
                partitions: vec![],
            },
        ],
        error: ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
    }
}

pub(crate) fn find_coordinator() -> FindCoordinatorRequest {
    FindCoordinatorRequest {
        group: "billing".into(),
    }
}

pub(crate) fn found_coordinator() -> FindCoordinatorResponse {
    FindCoordinatorResponse {
        error: ErrorCode::NONE,
        node_id: 2,
        host: "kafka-2.example".into(),
        port: 9093,
    }
}

pub(crate) fn listed_groups() -> ListGroupsResponse {
    let group = |group: &str, protocol_type: &str| ListedGroup {
        group: group.into(),
        protocol_type: protocol_type.into(),
    };
    ListGroupsResponse {
        error: ErrorCode::NONE,
        groups: vec![group("billing", "consumer"), group("tool", "")],
    }
}

pub(crate) fn api_versions() -> ApiVersionsResponse {
    let api = |api_key, min_version, max_version| ApiVersion {
        api_key,
        min_version,
        max_version,
    };
    ApiVersionsResponse {
        error: ErrorCode::UNSUPPORTED_VERSION,
        apis: vec![api(0, 0, 13), api(18, 0, 4)],
    }
}

pub(crate) fn create_topics() -> CreateTopicsRequest {
    let config = |name: &str, value: Option<&str>| CreateTopicConfig {
        name: name.into(),
        value: value.map(Into::into),
    };
    let assignment = |partition, brokers| ReplicaAssignment { partition, brokers };
    CreateTopicsRequest {
        topics: vec![
            CreateTopic {
                name: "new".into(),
                num_partitions: 8,
                replication_factor: 3,
                assignments: vec![],
                configs: vec![
                    config("retention.ms", Some("1000")),
                    config("cleanup.policy", None),
                ],
            },
            CreateTopic {
                name: "placed".into(),
                num_partitions: -1,
                replication_factor: -1,
                assignments: vec![assignment(0, vec![1, 2]), assignment(1, vec![2])],
                configs: vec![],
            },
        ],
        timeout_ms: 5000,
        validate_only: true,
    }
}

pub(crate) fn created_topics() -> CreateTopicsResponse {
    let topic = |name: &str, error, message: Option<&str>| CreateTopicResponse {
        name: name.into(),
        error,
        message: message.map(Into::into),
    };
    CreateTopicsResponse {
        throttle_ms: 9,
        topics: vec![
            topic("new", ErrorCode::NONE, None),
            topic(
                "placed",
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                Some("no such broker"),
            ),
        ],
    }
}

pub(crate) fn delete_topics() -> DeleteTopicsRequest {
    DeleteTopicsRequest {
        topics: vec!["old".into(), "older".into()],
        timeout_ms: 5000,
    }
}

pub(crate) fn deleted_topics() -> DeleteTopicsResponse {
    let topic = |name: &str, error| DeleteTopicResponse {
        name: name.into(),
        error,
    };
    DeleteTopicsResponse {
        throttle_ms: 9,
        topics: vec![
            topic("old", ErrorCode::NONE),
            topic("older", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        ],
    }
}

pub(crate) fn describe_groups() -> DescribeGroupsRequest {
    DescribeGroupsRequest {
        groups: vec!["billing".into(), "tool".into()],
    }
}

pub(crate) fn described_groups() -> DescribeGroupsResponse {
    let member = DescribedMember {
        member: "consumer-1-abc".into(),
        client_id: "consumer-1".into(),
        client_host: "/10.0.0.7".into(),
        metadata: Bytes::from_static(&[0, 1]),
        assignment: Bytes::new(),
    };
    DescribeGroupsResponse {
        groups: vec![
            DescribedGroup {
                error: ErrorCode::NONE,
                group: "billing".into(),
                state: "Stable".into(),
                protocol_type: "consumer".into(),
                protocol: "range".into(),
                members: vec![member],
            },
            DescribedGroup {
                error: ErrorCode::NOT_COORDINATOR,
                group: "tool".into(),
                state: "Dead".into(),
                ..DescribedGroup::default()
            },
        ],
    }
}
