use super::{Message, Request};
use crate::error_code::ErrorCode;
use crate::versions::ApiKey;
use crate::wire::{DecodeError, EncodeError, Reader, Writer};

/// Stores a group's offsets. Versions 0 to 2.
///
/// The version decides where: version 0 means ZooKeeper, and any broker writes there; later ones mean Kafka, and only the
/// group's coordinator does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommitRequest {
    /// The group. Kafka: `group.id`.
    pub group: String,
    /// Version 1: the generation of a group that Kafka manages, or -1 from outside of one. Neutral: -1.
    pub generation: i32,
    /// Version 1: the member of a group that Kafka manages, or empty from outside of one. Neutral: empty.
    pub member: String,
    /// Version 2: how long the offsets are kept, in milliseconds, or -1 for what the broker is set to. Neutral: -1.
    pub retention_ms: i64,
    /// What to store.
    pub topics: Vec<OffsetCommitTopic>,
}

/// The partitions of one topic in an [`OffsetCommitRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetCommitTopic {
    /// The topic.
    pub name: String,
    /// Its partitions.
    pub partitions: Vec<OffsetCommitPartition>,
}

/// The offset of one partition in an [`OffsetCommitRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommitPartition {
    /// The partition.
    pub partition: i32,
    /// The offset of the next message to read.
    pub offset: i64,
    /// Version 1 alone: the time of the commit, in milliseconds since 1970, from which the broker counts until it forgets the
    /// offset; -1 for the broker's own time. Neutral: -1.
    pub timestamp: i64,
    /// Any text to keep beside the offset, at most 4096 bytes unless the broker is set otherwise. ZooKeeper does not keep it.
    /// Best empty and not null.
    pub metadata: Option<String>,
}

/// Answers an [`OffsetCommitRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetCommitResponse {
    /// What came of each partition.
    pub topics: Vec<OffsetCommitTopicResponse>,
}

/// The partitions of one topic in an [`OffsetCommitResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetCommitTopicResponse {
    /// The topic.
    pub name: String,
    /// Its partitions.
    pub partitions: Vec<OffsetCommitPartitionResponse>,
}

/// What came of one partition in an [`OffsetCommitResponse`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffsetCommitPartitionResponse {
    /// The partition.
    pub partition: i32,
    /// Whether its offset was stored.
    pub error: ErrorCode,
}

impl Request for OffsetCommitRequest {
    const API: ApiKey = ApiKey::OffsetCommit;
    type Response = OffsetCommitResponse;
}

impl Message for OffsetCommitRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.string(&self.group)?;
        if version >= 1 {
            w.i32(self.generation);
            w.string(&self.member)?;
        }
        if version >= 2 {
            w.i64(self.retention_ms);
        }
        w.array(&self.topics, |w, topic| {
            w.string(&topic.name)?;
            w.array(&topic.partitions, |w, partition| {
                w.i32(partition.partition);
                w.i64(partition.offset);
                if version == 1 {
                    w.i64(partition.timestamp);
                }
                w.nullable_string(partition.metadata.as_deref())
            })
        })
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            group: r.string()?,
            generation: if version >= 1 { r.i32()? } else { -1 },
            member: if version >= 1 {
                r.string()?
            } else {
                String::new()
            },
            retention_ms: if version >= 2 { r.i64()? } else { -1 },
            topics: r.array(|r| {
                Ok(OffsetCommitTopic {
                    name: r.string()?,
                    partitions: r.array(|r| {
                        Ok(OffsetCommitPartition {
                            partition: r.i32()?,
                            offset: r.i64()?,
                            timestamp: if version == 1 { r.i64()? } else { -1 },
                            metadata: r.nullable_string()?,
                        })
                    })?,
                })
            })?,
        })
    }
}

impl Message for OffsetCommitResponse {
    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.array(&self.topics, |w, topic| {
            w.string(&topic.name)?;
            w.array(&topic.partitions, |w, partition| {
                w.i32(partition.partition);
                partition.error.write(w);
                Ok(())
            })
        })
    }

    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            topics: r.array(|r| {
                Ok(OffsetCommitTopicResponse {
                    name: r.string()?,
                    partitions: r.array(|r| {
                        Ok(OffsetCommitPartitionResponse {
                            partition: r.i32()?,
                            error: ErrorCode::read(r)?,
                        })
                    })?,
                })
            })?,
        })
    }
}
