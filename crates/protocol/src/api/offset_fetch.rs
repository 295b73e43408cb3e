use super::{Message, Request};
use crate::error_code::ErrorCode;
use crate::versions::ApiKey;
use crate::wire::{DecodeError, EncodeError, Reader, Writer};

/// Reads a group's stored offsets. Versions 0 to 2.
///
/// The version decides where: version 0 means ZooKeeper, and any broker reads there; later ones mean Kafka, and only the group's
/// coordinator does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetFetchRequest {
    /// The group. Kafka: `group.id`.
    pub group: String,
    /// Which partitions; `None` for all of the group, from version 2 on. Not to be `None` for older versions.
    pub topics: Option<Vec<OffsetFetchTopic>>,
}

/// The partitions of one topic in an [`OffsetFetchRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetFetchTopic {
    /// The topic.
    pub name: String,
    /// Its partitions.
    pub partitions: Vec<i32>,
}

/// Answers an [`OffsetFetchRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetFetchResponse {
    /// What is stored.
    pub topics: Vec<OffsetFetchTopicResponse>,
    /// Version 2: what went wrong with the request as a whole. Neutral: [`ErrorCode::NONE`].
    pub error: ErrorCode,
}

/// The partitions of one topic in an [`OffsetFetchResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetFetchTopicResponse {
    /// The topic.
    pub name: String,
    /// Its partitions.
    pub partitions: Vec<OffsetFetchPartitionResponse>,
}

/// What is stored for one partition in an [`OffsetFetchResponse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetFetchPartitionResponse {
    /// The partition.
    pub partition: i32,
    /// The offset of the next message to read, or -1 if nothing is stored.
    pub offset: i64,
    /// The text beside the offset.
    pub metadata: Option<String>,
    /// Whether reading succeeded. Version 0 answers [`ErrorCode::UNKNOWN_TOPIC_OR_PARTITION`] where nothing is stored, later
    /// ones do not see an error in that.
    pub error: ErrorCode,
}

impl Request for OffsetFetchRequest {
    const API: ApiKey = ApiKey::OffsetFetch;
    type Response = OffsetFetchResponse;
}

impl Message for OffsetFetchRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if version < 2 && self.topics.is_none() {
            return Err(EncodeError::NotInVersion {
                api: Self::API,
                version,
                field: "topics: None",
            });
        }
        w.string(&self.group)?;
        w.nullable_array(self.topics.as_deref(), |w, topic| {
            w.string(&topic.name)?;
            w.i32_array(&topic.partitions)
        })
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            group: r.string()?,
            topics: if version >= 2 {
                r.nullable_array(OffsetFetchTopic::read)?
            } else {
                Some(r.array(OffsetFetchTopic::read)?)
            },
        })
    }
}

impl OffsetFetchTopic {
    fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            name: r.string()?,
            partitions: r.array(Reader::i32)?,
        })
    }
}

impl Message for OffsetFetchResponse {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.array(&self.topics, |w, topic| {
            w.string(&topic.name)?;
            w.array(&topic.partitions, |w, partition| {
                w.i32(partition.partition);
                w.i64(partition.offset);
                w.nullable_string(partition.metadata.as_deref())?;
                partition.error.write(w);
                Ok(())
            })
        })?;
        if version >= 2 {
            self.error.write(w);
        }
        Ok(())
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            topics: r.array(|r| {
                Ok(OffsetFetchTopicResponse {
                    name: r.string()?,
                    partitions: r.array(OffsetFetchPartitionResponse::read)?,
                })
            })?,
            error: if version >= 2 {
                ErrorCode::read(r)?
            } else {
                ErrorCode::NONE
            },
        })
    }
}

impl OffsetFetchPartitionResponse {
    fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: r.i32()?,
            offset: r.i64()?,
            metadata: r.nullable_string()?,
            error: ErrorCode::read(r)?,
        })
    }
}
