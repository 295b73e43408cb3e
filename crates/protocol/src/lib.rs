//! Kafka's wire protocol and record formats, from 0.8.2 to 4.1, without I/O.

pub mod api;
pub mod compression;
mod error_code;
pub mod records;
mod topic_partition;
mod versions;
pub mod wire;

pub use topic_partition::TopicPartition;
