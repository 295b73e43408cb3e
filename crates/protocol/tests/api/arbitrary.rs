//! Any message, with nulls, empty and long lists, and extreme numbers.

use bytes::Bytes;
use divvy_protocol::ErrorCode;
use divvy_protocol::api::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// A strategy for a structure, from one for each of its fields.
macro_rules! any_of {
    ($type:ident { $($field:ident: $strategy:expr),+ $(,)? }) => {
        ($($strategy,)+).prop_map(|($($field,)+)| $type { $($field),+ }).boxed()
    };
}

/// Mostly ASCII as in names, at times anything that is Unicode, at times empty.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9._-]{0,12}", "\\PC{0,6}"]
}

fn maybe_text() -> impl Strategy<Value = Option<String>> {
    option::of(text())
}

fn records() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn error() -> impl Strategy<Value = ErrorCode> {
    any::<i16>().prop_map(ErrorCode::from)
}

fn few<T: std::fmt::Debug>(element: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    vec(element, 0..4)
}

pub(crate) fn produce() -> BoxedStrategy<ProduceRequest> {
    let partition = any_of!(ProducePartition {
        partition: any::<i32>(),
        records: option::of(records()),
    });
    let topic = any_of!(ProduceTopic {
        name: text(),
        partitions: few(partition),
    });
    any_of!(ProduceRequest {
        transactional_id: maybe_text(),
        acks: any::<i16>(),
        timeout_ms: any::<i32>(),
        topics: few(topic),
    })
}

pub(crate) fn produced() -> BoxedStrategy<ProduceResponse> {
    let partition = any_of!(ProducePartitionResponse {
        partition: any::<i32>(),
        error: error(),
        base_offset: any::<i64>(),
        log_append_time: any::<i64>(),
        log_start_offset: any::<i64>(),
    });
    let topic = any_of!(ProduceTopicResponse {
        name: text(),
        partitions: few(partition),
    });
    any_of!(ProduceResponse {
        topics: few(topic),
        throttle_ms: any::<i32>(),
    })
}

pub(crate) fn fetch() -> BoxedStrategy<FetchRequest> {
    let partition = any_of!(FetchPartition {
        partition: any::<i32>(),
        current_leader_epoch: any::<i32>(),
        fetch_offset: any::<i64>(),
        log_start_offset: any::<i64>(),
        max_bytes: any::<i32>(),
    });
    let topic = any_of!(FetchTopic {
        name: text(),
        partitions: few(partition),
    });
    let forgotten = any_of!(ForgottenTopic {
        name: text(),
        partitions: few(any::<i32>()),
    });
    any_of!(FetchRequest {
        replica_id: any::<i32>(),
        max_wait_ms: any::<i32>(),
        min_bytes: any::<i32>(),
        max_bytes: any::<i32>(),
        isolation_level: any::<i8>(),
        session_id: any::<i32>(),
        session_epoch: any::<i32>(),
        topics: few(topic),
        forgotten: few(forgotten),
        rack_id: text(),
    })
}

pub(crate) fn fetched() -> BoxedStrategy<FetchResponse> {
    let aborted = any_of!(AbortedTransaction {
        producer_id: any::<i64>(),
        first_offset: any::<i64>(),
    });
    let partition = any_of!(FetchPartitionResponse {
        partition: any::<i32>(),
        error: error(),
        high_watermark: any::<i64>(),
        last_stable_offset: any::<i64>(),
        log_start_offset: any::<i64>(),
        aborted: few(aborted),
        preferred_read_replica: any::<i32>(),
        records: records(),
    });
    let topic = any_of!(FetchTopicResponse {
        name: text(),
        partitions: few(partition),
    });
    any_of!(FetchResponse {
        throttle_ms: any::<i32>(),
        error: error(),
        session_id: any::<i32>(),
        topics: few(topic),
    })
}

pub(crate) fn list_offsets() -> BoxedStrategy<ListOffsetsRequest> {
    let partition = any_of!(ListOffsetsPartition {
        partition: any::<i32>(),
        timestamp: any::<i64>(),
        max_num_offsets: any::<i32>(),
    });
    let topic = any_of!(ListOffsetsTopic {
        name: text(),
        partitions: few(partition),
    });
    any_of!(ListOffsetsRequest {
        replica_id: any::<i32>(),
        isolation_level: any::<i8>(),
        topics: few(topic),
    })
}

pub(crate) fn listed_offsets() -> BoxedStrategy<ListOffsetsResponse> {
    let partition = any_of!(ListOffsetsPartitionResponse {
        partition: any::<i32>(),
        error: error(),
        old_style_offsets: few(any::<i64>()).prop_map(Some),
        timestamp: any::<i64>(),
        offset: any::<i64>(),
    });
    let topic = any_of!(ListOffsetsTopicResponse {
        name: text(),
        partitions: few(partition),
    });
    any_of!(ListOffsetsResponse {
        throttle_ms: any::<i32>(),
        topics: few(topic),
    })
}

pub(crate) fn metadata() -> BoxedStrategy<MetadataRequest> {
    any_of!(MetadataRequest {
        topics: option::of(few(text())),
        allow_auto_topic_creation: any::<bool>(),
    })
}

pub(crate) fn described_metadata() -> BoxedStrategy<MetadataResponse> {
    let broker = any_of!(MetadataBroker {
        node_id: any::<i32>(),
        host: text(),
        port: any::<i32>(),
        rack: maybe_text(),
    });
    let partition = any_of!(MetadataPartition {
        error: error(),
        partition: any::<i32>(),
        leader: any::<i32>(),
        replicas: few(any::<i32>()),
        isr: few(any::<i32>()),
    });
    let topic = any_of!(MetadataTopic {
        error: error(),
        name: text(),
        is_internal: any::<bool>(),
        partitions: few(partition),
    });
    any_of!(MetadataResponse {
        throttle_ms: any::<i32>(),
        brokers: few(broker),
        cluster_id: maybe_text(),
        controller_id: any::<i32>(),
        topics: few(topic),
    })
}

pub(crate) fn offset_commit() -> BoxedStrategy<OffsetCommitRequest> {
    let partition = any_of!(OffsetCommitPartition {
        partition: any::<i32>(),
        offset: any::<i64>(),
        timestamp: any::<i64>(),
        metadata: maybe_text(),
    });
    let topic = any_of!(OffsetCommitTopic {
        name: text(),
        partitions: few(partition),
    });
    any_of!(OffsetCommitRequest {
        group: text(),
        generation: any::<i32>(),
        member: text(),
        retention_ms: any::<i64>(),
        topics: few(topic),
    })
}

pub(crate) fn offset_committed() -> BoxedStrategy<OffsetCommitResponse> {
    let partition = any_of!(OffsetCommitPartitionResponse {
        partition: any::<i32>(),
        error: error(),
    });
    let topic = any_of!(OffsetCommitTopicResponse {
        name: text(),
        partitions: few(partition),
    });
    any_of!(OffsetCommitResponse { topics: few(topic) })
}

pub(crate) fn offset_fetch() -> BoxedStrategy<OffsetFetchRequest> {
    let topic = any_of!(OffsetFetchTopic {
        name: text(),
        partitions: few(any::<i32>()),
    });
    any_of!(OffsetFetchRequest {
        group: text(),
        topics: option::of(few(topic)),
    })
}

pub(crate) fn offset_fetched() -> BoxedStrategy<OffsetFetchResponse> {
    let partition = any_of!(OffsetFetchPartitionResponse {
        partition: any::<i32>(),
        offset: any::<i64>(),
        metadata: maybe_text(),
        error: error(),
    });
    let topic = any_of!(OffsetFetchTopicResponse {
        name: text(),
        partitions: few(partition),
    });
    any_of!(OffsetFetchResponse {
        topics: few(topic),
        error: error(),
    })
}

pub(crate) fn find_coordinator() -> BoxedStrategy<FindCoordinatorRequest> {
    any_of!(FindCoordinatorRequest { group: text() })
}

pub(crate) fn found_coordinator() -> BoxedStrategy<FindCoordinatorResponse> {
    any_of!(FindCoordinatorResponse {
        error: error(),
        node_id: any::<i32>(),
        host: text(),
        port: any::<i32>(),
    })
}

pub(crate) fn list_groups() -> BoxedStrategy<ListGroupsRequest> {
    Just(ListGroupsRequest::default()).boxed()
}

pub(crate) fn listed_groups() -> BoxedStrategy<ListGroupsResponse> {
    let group = any_of!(ListedGroup {
        group: text(),
        protocol_type: text(),
    });
    any_of!(ListGroupsResponse {
        error: error(),
        groups: few(group),
    })
}

pub(crate) fn api_versions_request() -> BoxedStrategy<ApiVersionsRequest> {
    Just(ApiVersionsRequest::default()).boxed()
}

pub(crate) fn api_versions() -> BoxedStrategy<ApiVersionsResponse> {
    let api = any_of!(ApiVersion {
        api_key: any::<i16>(),
        min_version: any::<i16>(),
        max_version: any::<i16>(),
    });
    any_of!(ApiVersionsResponse {
        error: error(),
        apis: few(api),
    })
}

pub(crate) fn create_topics() -> BoxedStrategy<CreateTopicsRequest> {
    let assignment = any_of!(ReplicaAssignment {
        partition: any::<i32>(),
        brokers: few(any::<i32>()),
    });
    let config = any_of!(CreateTopicConfig {
        name: text(),
        value: maybe_text(),
    });
    let topic = any_of!(CreateTopic {
        name: text(),
        num_partitions: any::<i32>(),
        replication_factor: any::<i16>(),
        assignments: few(assignment),
        configs: few(config),
    });
    any_of!(CreateTopicsRequest {
        topics: few(topic),
        timeout_ms: any::<i32>(),
        validate_only: any::<bool>(),
    })
}

pub(crate) fn created_topics() -> BoxedStrategy<CreateTopicsResponse> {
    let topic = any_of!(CreateTopicResponse {
        name: text(),
        error: error(),
        message: maybe_text(),
    });
    any_of!(CreateTopicsResponse {
        throttle_ms: any::<i32>(),
        topics: few(topic),
    })
}

pub(crate) fn delete_topics() -> BoxedStrategy<DeleteTopicsRequest> {
    any_of!(DeleteTopicsRequest {
        topics: few(text()),
        timeout_ms: any::<i32>(),
    })
}

pub(crate) fn deleted_topics() -> BoxedStrategy<DeleteTopicsResponse> {
    let topic = any_of!(DeleteTopicResponse {
        name: text(),
        error: error(),
    });
    any_of!(DeleteTopicsResponse {
        throttle_ms: any::<i32>(),
        topics: few(topic),
    })
}

pub(crate) fn describe_groups() -> BoxedStrategy<DescribeGroupsRequest> {
    any_of!(DescribeGroupsRequest {
        groups: few(text()),
    })
}

pub(crate) fn described_groups() -> BoxedStrategy<DescribeGroupsResponse> {
    let member = any_of!(DescribedMember {
        member: text(),
        client_id: text(),
        client_host: text(),
        metadata: records(),
        assignment: records(),
    });
    let group = any_of!(DescribedGroup {
        error: error(),
        group: text(),
        state: text(),
        protocol_type: text(),
        protocol: text(),
        members: few(member),
    });
    any_of!(DescribeGroupsResponse { groups: few(group) })
}
