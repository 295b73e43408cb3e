//! Requests and their responses, one module for each API, and the frames that carry them.
//!
//! Every message is written and read by one function each, which takes the version; so a client and a server can both be built
//! on them. Structures have the fields of all versions. A field that a version does not have is left out when writing and gets
//! its neutral value when reading; the neutral value is the one that the protocol itself uses for "none" (-1 for offsets and
//! ids, `None`, an empty list) and stands beside the field. Where leaving a field out would change what the request asks for,
//! writing it is an [`EncodeError::NotInVersion`](crate::wire::EncodeError::NotInVersion).
//!
//! ```
//! use divvy_protocol::api::{self, MetadataBroker, MetadataRequest, MetadataResponse};
//!
//! // A client asks for all topics …
//! let request = MetadataRequest { topics: None, allow_auto_topic_creation: false };
//! let frame = api::encode_request(&request, 4, 7, "divvy")?;
//!
//! // … a server reads that, behind the frame's size, and answers …
//! let (header, body) = api::split_request(frame.slice(4..))?;
//! assert_eq!((header.api_key, header.api_version, header.correlation_id), (3, 4, 7));
//! assert_eq!(api::decode_request::<MetadataRequest>(body, header.api_version)?, request);
//! let response = MetadataResponse {
//!     brokers: vec![MetadataBroker { node_id: 1, host: "kafka-1".into(), port: 9092, rack: None }],
//!     ..Default::default()
//! };
//! let frame = api::encode_response::<MetadataRequest>(&response, 4, header.correlation_id)?;
//!
//! // … and the client reads the answer.
//! let (correlation_id, body) = api::split_response(frame.slice(4..))?;
//! assert_eq!(correlation_id, 7);
//! assert_eq!(api::decode_response::<MetadataRequest>(body, 4)?, response);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(clippy::arithmetic_side_effects)]

mod api_versions;
mod create_topics;
mod delete_topics;
mod describe_groups;
mod fetch;
mod find_coordinator;
mod frame;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_fetch;
mod produce;

pub use api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
pub use create_topics::{
    CreateTopic, CreateTopicConfig, CreateTopicResponse, CreateTopicsRequest, CreateTopicsResponse,
    ReplicaAssignment,
};
pub use delete_topics::{DeleteTopicResponse, DeleteTopicsRequest, DeleteTopicsResponse};
pub use describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedMember,
};
pub use fetch::{
    AbortedTransaction, FetchPartition, FetchPartitionResponse, FetchRequest, FetchResponse,
    FetchTopic, FetchTopicResponse, ForgottenTopic,
};
pub use find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
pub use frame::{
    Message, Request, RequestHeader, decode_request, decode_response, encode_request,
    encode_response, split_request, split_response,
};
pub use list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};
pub use list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic, ListOffsetsTopicResponse,
};
pub use metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic,
};
pub use offset_commit::{
    OffsetCommitPartition, OffsetCommitPartitionResponse, OffsetCommitRequest,
    OffsetCommitResponse, OffsetCommitTopic, OffsetCommitTopicResponse,
};
pub use offset_fetch::{
    OffsetFetchPartitionResponse, OffsetFetchRequest, OffsetFetchResponse, OffsetFetchTopic,
    OffsetFetchTopicResponse,
};
pub use produce::{
    ProducePartition, ProducePartitionResponse, ProduceRequest, ProduceResponse, ProduceTopic,
    ProduceTopicResponse,
};
