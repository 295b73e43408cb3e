//! Both stores of offsets: version 0 of the requests means ZooKeeper, and the later ones mean Kafka.

use divvy_protocol::ErrorCode;
use divvy_protocol::api::{
    OffsetCommitPartition, OffsetCommitPartitionResponse, OffsetCommitRequest,
    OffsetCommitResponse, OffsetCommitTopicResponse, OffsetFetchPartitionResponse,
    OffsetFetchRequest, OffsetFetchResponse, OffsetFetchTopicResponse,
};
use divvy_zookeeper::documents::{format_offset, parse_offset};
use divvy_zookeeper::paths;

use super::groups::{MAX_METADATA, Stored};
use super::requests::Broker;

impl Broker {
    pub(super) fn commit(
        &self,
        request: &OffsetCommitRequest,
        version: i16,
    ) -> OffsetCommitResponse {
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                let stored = match self.check(&request.group, &topic.name, partition) {
                    ErrorCode::NONE if version == 0 => {
                        self.commit_to_zookeeper(&request.group, &topic.name, partition)
                    }
                    ErrorCode::NONE => self.commit_to_kafka(&request.group, &topic.name, partition),
                    refused => refused,
                };
                OffsetCommitPartitionResponse {
                    partition: partition.partition,
                    error: stored,
                }
            });
            OffsetCommitTopicResponse {
                name: topic.name.clone(),
                partitions: partitions.collect(),
            }
        });
        OffsetCommitResponse {
            topics: topics.collect(),
        }
    }

    fn check(&self, group: &str, topic: &str, partition: &OffsetCommitPartition) -> ErrorCode {
        let metadata = partition.metadata.as_deref().unwrap_or_default();
        if !self.shared.lock().knows(topic, partition.partition) {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        } else if metadata.len() > MAX_METADATA {
            ErrorCode::OFFSET_METADATA_TOO_LARGE
        } else if paths::validate_group(group).is_err() {
            ErrorCode::INVALID_GROUP_ID
        } else {
            ErrorCode::NONE
        }
    }

    fn commit_to_zookeeper(
        &self,
        group: &str,
        topic: &str,
        partition: &OffsetCommitPartition,
    ) -> ErrorCode {
        let path = paths::offset(group, topic, partition.partition);
        let session = self.shared.session();
        match session.and_then(|session| session.put(&path, &format_offset(partition.offset))) {
            Ok(()) => ErrorCode::NONE,
            Err(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
        }
    }

    fn commit_to_kafka(
        &self,
        group: &str,
        topic: &str,
        partition: &OffsetCommitPartition,
    ) -> ErrorCode {
        if !self.coordinates(group) {
            return ErrorCode::NOT_COORDINATOR;
        }
        let stored = Stored {
            offset: partition.offset,
            metadata: partition.metadata.clone().unwrap_or_default(),
        };
        let mut state = self.shared.lock();
        state.offsets.put(group, topic, partition.partition, stored)
    }

    fn coordinates(&self, group: &str) -> bool {
        let state = self.shared.lock();
        state
            .coordinator(group)
            .is_some_and(|(id, _)| id == self.id)
    }

    pub(super) fn committed(
        &self,
        request: &OffsetFetchRequest,
        version: i16,
    ) -> OffsetFetchResponse {
        let topics = request.topics.iter().flatten().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                let (error, stored) = match version {
                    0 => self.stored_in_zookeeper(&request.group, &topic.name, *partition),
                    _ => self.stored_in_kafka(&request.group, &topic.name, *partition),
                };
                OffsetFetchPartitionResponse {
                    partition: *partition,
                    offset: stored.as_ref().map_or(-1, |stored| stored.offset),
                    metadata: Some(stored.map_or(String::new(), |stored| stored.metadata)),
                    error,
                }
            });
            OffsetFetchTopicResponse {
                name: topic.name.clone(),
                partitions: partitions.collect(),
            }
        });
        OffsetFetchResponse {
            topics: topics.collect(),
            error: ErrorCode::NONE,
        }
    }

    /// That nothing is stored has the code of an unknown partition.
    fn stored_in_zookeeper(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
    ) -> (ErrorCode, Option<Stored>) {
        let path = paths::offset(group, topic, partition);
        let is_known = self.shared.lock().knows(topic, partition);
        let data = self.shared.hub.data(&path).filter(|_| is_known);
        match data.and_then(|data| parse_offset(&path, &data)) {
            Some(offset) => {
                let metadata = String::new();
                (ErrorCode::NONE, Some(Stored { offset, metadata }))
            }
            None => (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, None),
        }
    }

    fn stored_in_kafka(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
    ) -> (ErrorCode, Option<Stored>) {
        if !self.coordinates(group) {
            return (ErrorCode::NOT_COORDINATOR, None);
        }
        let state = self.shared.lock();
        if !state.knows(topic, partition) {
            return (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, None);
        }
        (
            ErrorCode::NONE,
            state.offsets.get(group, topic, partition).cloned(),
        )
    }
}
