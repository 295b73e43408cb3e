//! Kafka's wire protocol and record formats, from 0.8.2 to 4.1, without I/O.
//!
//! What is here: the requests and responses that a consumer, a producer and an offset tool need, in those versions that the
//! brokers of each release serve best ([`api`]); which release accepts which versions, and how to tell without disturbing an old
//! broker ([`ApiVersionTable`], [`classify_metadata_probe`]); what error codes mean ([`ErrorCode`]); the record formats with
//! magic 0, 1 and 2 ([`records`]) and their codecs ([`compression`]).
//!
//! What is not here: sockets, clocks, retries, and any decision about what to ask next. Nothing waits and nothing panics, and
//! memory is bounded by what was received and by the limits that the caller gives, whatever the bytes are.
//!
//! A request travels as a frame, and its answer is told apart from others by the correlation id:
//!
//! ```
//! use bytes::Bytes;
//! use divvy_protocol::api::{self, FindCoordinatorRequest};
//! use divvy_protocol::{ApiKey, ApiVersionTable, BrokerVersion, ErrorCode};
//!
//! let table = ApiVersionTable::for_broker("0.8.2.2".parse::<BrokerVersion>()?);
//! let version = table.choose(ApiKey::FindCoordinator).ok_or("the broker does not know it")?;
//! let request = FindCoordinatorRequest { group: "billing".to_owned() };
//! let frame = api::encode_request(&request, version, 1, "divvy")?;
//! assert_eq!(frame[..4], [0, 0, 0, 24]);
//!
//! // What came back, without the four bytes of its size.
//! let answer = Bytes::from_static(b"\0\0\0\x01\0\x0f\xff\xff\xff\xff\0\0\xff\xff\xff\xff");
//! let (correlation_id, body) = api::split_response(answer)?;
//! assert_eq!(correlation_id, 1);
//! let response = api::decode_response::<FindCoordinatorRequest>(body, version)?;
//! assert_eq!(response.error, ErrorCode::COORDINATOR_NOT_AVAILABLE);
//! assert!(response.error.is_retriable());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(not(test), deny(clippy::expect_used, clippy::indexing_slicing))]

pub mod api;
pub mod compression;
mod error_code;
pub mod records;
mod topic_partition;
mod versions;
pub mod wire;

pub use error_code::ErrorCode;
pub use topic_partition::TopicPartition;
pub use versions::{
    ApiKey, ApiVersionTable, BrokerVersion, MetadataProbe, ParseBrokerVersionError, VersionRange,
    classify_metadata_probe, message_magic,
};
