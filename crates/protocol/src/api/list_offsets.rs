use super::{Message, Request};
use crate::error_code::ErrorCode;
use crate::versions::ApiKey;
use crate::wire::{DecodeError, EncodeError, Reader, Writer};

/// Looks up offsets of partitions; for their leader. Versions 0 to 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListOffsetsRequest {
    /// The broker that asks, or -1 for a consumer.
    pub replica_id: i32,
    /// Version 2: 0 for the high watermark as the log's end, 1 for the last stable offset. Neutral: 0. Kafka: `isolation.level`.
    pub isolation_level: i8,
    /// What to look up.
    pub topics: Vec<ListOffsetsTopic>,
}

/// The partitions of one topic in a [`ListOffsetsRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOffsetsTopic {
    /// The topic.
    pub name: String,
    /// Its partitions.
    pub partitions: Vec<ListOffsetsPartition>,
}

/// One partition in a [`ListOffsetsRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListOffsetsPartition {
    /// The partition.
    pub partition: i32,
    /// -1 for the log's end, -2 for its start, or milliseconds since 1970.
    pub timestamp: i64,
    /// Version 0 alone: how many offsets to give at most; not below 1. Neutral: 1.
    pub max_num_offsets: i32,
}

/// Answers a [`ListOffsetsRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOffsetsResponse {
    /// Version 2: how long the broker has held the answer back, in milliseconds. Neutral: 0.
    pub throttle_ms: i32,
    /// What was found.
    pub topics: Vec<ListOffsetsTopicResponse>,
}

/// The partitions of one topic in a [`ListOffsetsResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOffsetsTopicResponse {
    /// The topic.
    pub name: String,
    /// Its partitions.
    pub partitions: Vec<ListOffsetsPartitionResponse>,
}

/// What was found for one partition in a [`ListOffsetsResponse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListOffsetsPartitionResponse {
    /// The partition.
    pub partition: i32,
    /// Whether looking up succeeded.
    pub error: ErrorCode,
    /// Version 0 alone: the starts of the log's segments that are not newer than the time, and its end if it is not, newest
    /// first; empty, without an error, if the time is before all of them. Neutral: `None`.
    pub old_style_offsets: Option<Vec<i64>>,
    /// Version 1: the time of the message that was found, or -1. Neutral: -1.
    pub timestamp: i64,
    /// Version 1: the offset that was found, or -1 for none. Neutral: -1.
    pub offset: i64,
}

impl ListOffsetsPartitionResponse {
    /// The offset that was found, in whichever version: the first of a list, which is the newest.
    pub fn offset(&self) -> Option<i64> {
        match &self.old_style_offsets {
            Some(offsets) => offsets.first().copied(),
            None => Some(self.offset).filter(|offset| *offset >= 0),
        }
    }

    /// Whether this is the list of version 0, whose emptiness means that the time is before the log's first segment. In later
    /// versions the lack of an offset means that the time is after the log's last message.
    pub fn is_list(&self) -> bool {
        self.old_style_offsets.is_some()
    }
}

impl Request for ListOffsetsRequest {
    const API: ApiKey = ApiKey::ListOffsets;
    type Response = ListOffsetsResponse;
}

impl Message for ListOffsetsRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i32(self.replica_id);
        if version >= 2 {
            w.i8(self.isolation_level);
        }
        w.array(&self.topics, |w, topic| {
            w.string(&topic.name)?;
            w.array(&topic.partitions, |w, partition| {
                w.i32(partition.partition);
                w.i64(partition.timestamp);
                if version == 0 {
                    w.i32(partition.max_num_offsets);
                }
                Ok(())
            })
        })
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            replica_id: r.i32()?,
            isolation_level: if version >= 2 { r.i8()? } else { 0 },
            topics: r.array(|r| {
                Ok(ListOffsetsTopic {
                    name: r.string()?,
                    partitions: r.array(|r| {
                        Ok(ListOffsetsPartition {
                            partition: r.i32()?,
                            timestamp: r.i64()?,
                            max_num_offsets: if version == 0 { r.i32()? } else { 1 },
                        })
                    })?,
                })
            })?,
        })
    }
}

impl Message for ListOffsetsResponse {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if version >= 2 {
            w.i32(self.throttle_ms);
        }
        w.array(&self.topics, |w, topic| {
            w.string(&topic.name)?;
            w.array(&topic.partitions, |w, partition| {
                partition.encode(w, version)
            })
        })
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_ms: if version >= 2 { r.i32()? } else { 0 },
            topics: r.array(|r| {
                Ok(ListOffsetsTopicResponse {
                    name: r.string()?,
                    partitions: r.array(|r| ListOffsetsPartitionResponse::decode(r, version))?,
                })
            })?,
        })
    }
}

impl Message for ListOffsetsPartitionResponse {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i32(self.partition);
        self.error.write(w);
        if version == 0 {
            let offsets = self.old_style_offsets.as_deref().unwrap_or_default();
            return w.array(offsets, |w, offset| {
                w.i64(*offset);
                Ok(())
            });
        }
        w.i64(self.timestamp);
        w.i64(self.offset);
        Ok(())
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: r.i32()?,
            error: ErrorCode::read(r)?,
            old_style_offsets: if version == 0 {
                Some(r.array(Reader::i64)?)
            } else {
                None
            },
            timestamp: if version >= 1 { r.i64()? } else { -1 },
            offset: if version >= 1 { r.i64()? } else { -1 },
        })
    }
}
