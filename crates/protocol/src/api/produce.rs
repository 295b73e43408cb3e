use bytes::Bytes;

use super::{Message, Request};
use crate::error_code::ErrorCode;
use crate::versions::ApiKey;
use crate::wire::{DecodeError, EncodeError, Reader, Writer};

/// Appends messages to partitions; for their leader. Versions 0 to 7.
///
/// The format of the messages must follow the version, see [`message_magic`](crate::message_magic).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProduceRequest {
    /// Version 3: the transaction that the messages are part of. Neutral: `None`. Not to be set for older versions.
    pub transactional_id: Option<String>,
    /// Who must have the messages before the broker answers: all replicas in sync (-1), the leader (1), or nobody (0), and then
    /// there is no answer. Kafka: `acks`.
    pub acks: i16,
    /// How long the broker waits for the replicas, in milliseconds. Kafka: `request.timeout.ms`.
    pub timeout_ms: i32,
    /// What to append where.
    pub topics: Vec<ProduceTopic>,
}

/// The partitions of one topic in a [`ProduceRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProduceTopic {
    /// The topic.
    pub name: String,
    /// Its partitions.
    pub partitions: Vec<ProducePartition>,
}

/// The messages for one partition in a [`ProduceRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducePartition {
    /// The partition.
    pub partition: i32,
    /// A record set.
    pub records: Option<Bytes>,
}

/// Answers a [`ProduceRequest`] that asks for acks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProduceResponse {
    /// What came of each partition.
    pub topics: Vec<ProduceTopicResponse>,
    /// Version 1: how long the broker has held the answer back (up to version 5) or wants the client to pause (from 6 on), in
    /// milliseconds. Neutral: 0.
    pub throttle_ms: i32,
}

/// The partitions of one topic in a [`ProduceResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProduceTopicResponse {
    /// The topic.
    pub name: String,
    /// Its partitions.
    pub partitions: Vec<ProducePartitionResponse>,
}

/// What came of one partition in a [`ProduceResponse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducePartitionResponse {
    /// The partition.
    pub partition: i32,
    /// Whether the messages were appended.
    pub error: ErrorCode,
    /// The offset that the first of them got.
    pub base_offset: i64,
    /// Version 2: the time that the broker gave them, in milliseconds since 1970, if the topic takes the broker's time. Neutral: -1.
    pub log_append_time: i64,
    /// Version 5: the first offset that the log holds. Neutral: -1.
    pub log_start_offset: i64,
}

impl Request for ProduceRequest {
    const API: ApiKey = ApiKey::Produce;
    type Response = ProduceResponse;

    fn expects_response(&self) -> bool {
        self.acks != 0
    }
}

impl Message for ProduceRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if version >= 3 {
            w.nullable_string(self.transactional_id.as_deref())?;
        } else if self.transactional_id.is_some() {
            return Err(EncodeError::NotInVersion {
                api: Self::API,
                version,
                field: "transactional_id",
            });
        }
        w.i16(self.acks);
        w.i32(self.timeout_ms);
        w.array(&self.topics, |w, topic| {
            w.string(&topic.name)?;
            w.array(&topic.partitions, |w, partition| {
                w.i32(partition.partition);
                w.nullable_bytes(partition.records.as_deref())
            })
        })
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            transactional_id: if version >= 3 {
                r.nullable_string()?
            } else {
                None
            },
            acks: r.i16()?,
            timeout_ms: r.i32()?,
            topics: r.array(|r| {
                Ok(ProduceTopic {
                    name: r.string()?,
                    partitions: r.array(|r| {
                        Ok(ProducePartition {
                            partition: r.i32()?,
                            records: r.nullable_bytes()?,
                        })
                    })?,
                })
            })?,
        })
    }
}

impl Message for ProduceResponse {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.array(&self.topics, |w, topic| {
            w.string(&topic.name)?;
            w.array(&topic.partitions, |w, partition| {
                partition.encode(w, version)
            })
        })?;
        if version >= 1 {
            w.i32(self.throttle_ms);
        }
        Ok(())
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            topics: r.array(|r| {
                Ok(ProduceTopicResponse {
                    name: r.string()?,
                    partitions: r.array(|r| ProducePartitionResponse::decode(r, version))?,
                })
            })?,
            throttle_ms: if version >= 1 { r.i32()? } else { 0 },
        })
    }
}

impl Message for ProducePartitionResponse {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i32(self.partition);
        self.error.write(w);
        w.i64(self.base_offset);
        if version >= 2 {
            w.i64(self.log_append_time);
        }
        if version >= 5 {
            w.i64(self.log_start_offset);
        }
        Ok(())
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: r.i32()?,
            error: ErrorCode::read(r)?,
            base_offset: r.i64()?,
            log_append_time: if version >= 2 { r.i64()? } else { -1 },
            log_start_offset: if version >= 5 { r.i64()? } else { -1 },
        })
    }
}
