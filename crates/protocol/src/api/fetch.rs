use bytes::Bytes;

use super::{Message, Request};
use crate::error_code::ErrorCode;
use crate::versions::ApiKey;
use crate::wire::{DecodeError, EncodeError, Reader, Writer};

/// Reads messages of partitions; for their leader. Versions 0 to 11.
///
/// The order of partitions matters from version 3 on: the first that has messages gets one even if that exceeds every limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// The broker that asks, or -1 for a consumer.
    pub replica_id: i32,
    /// How long the broker waits for `min_bytes`, in milliseconds. Kafka: `fetch.wait.max.ms`, later `fetch.max.wait.ms`.
    pub max_wait_ms: i32,
    /// How many bytes the broker gathers before it answers. Kafka: `fetch.min.bytes`.
    pub min_bytes: i32,
    /// Version 3: how many bytes the answer should have at most. Neutral: 2,147,483,647. Kafka: `fetch.max.bytes`.
    pub max_bytes: i32,
    /// Version 4: 0 to read all messages, 1 only those of finished transactions. Neutral: 0. Kafka: `isolation.level`.
    pub isolation_level: i8,
    /// Version 7: the fetch session, or 0 for none. Neutral: 0.
    pub session_id: i32,
    /// Version 7: the epoch of the fetch session, or -1 for none. Neutral: -1.
    pub session_epoch: i32,
    /// What to read.
    pub topics: Vec<FetchTopic>,
    /// Version 7: what to take out of the fetch session. Neutral: empty.
    pub forgotten: Vec<ForgottenTopic>,
    /// Version 11: where the consumer is, or empty. Neutral: empty. Kafka: `client.rack`.
    pub rack_id: String,
}

/// The partitions of one topic in a [`FetchRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchTopic {
    /// The topic.
    pub name: String,
    /// Its partitions.
    pub partitions: Vec<FetchPartition>,
}

/// One partition in a [`FetchRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// The partition.
    pub partition: i32,
    /// Version 9: the leader epoch that the client knows, or -1 for none. Neutral: -1.
    pub current_leader_epoch: i32,
    /// The offset to read from.
    pub fetch_offset: i64,
    /// Version 5: the first offset that a follower's log holds; -1 for a consumer. Neutral: -1.
    pub log_start_offset: i64,
    /// How many bytes to read of this partition at most. Kafka: `fetch.message.max.bytes`, later `max.partition.fetch.bytes`.
    pub max_bytes: i32,
}

/// What a [`FetchRequest`] takes out of a fetch session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForgottenTopic {
    /// The topic.
    pub name: String,
    /// Its partitions.
    pub partitions: Vec<i32>,
}

/// Answers a [`FetchRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchResponse {
    /// Version 1: how long the broker has held the answer back (up to version 7) or wants the client to pause (from 8 on), in
    /// milliseconds. Neutral: 0.
    pub throttle_ms: i32,
    /// Version 7: what went wrong with the request as a whole. Neutral: [`ErrorCode::NONE`].
    pub error: ErrorCode,
    /// Version 7: the fetch session. Neutral: 0.
    pub session_id: i32,
    /// What was read, not necessarily in the order of the request.
    pub topics: Vec<FetchTopicResponse>,
}

/// The partitions of one topic in a [`FetchResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchTopicResponse {
    /// The topic.
    pub name: String,
    /// Its partitions.
    pub partitions: Vec<FetchPartitionResponse>,
}

/// What was read of one partition in a [`FetchResponse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPartitionResponse {
    /// The partition.
    pub partition: i32,
    /// Whether reading succeeded.
    pub error: ErrorCode,
    /// The end of what consumers may read; -1 with an error.
    pub high_watermark: i64,
    /// Version 4: the end of what consumers of finished transactions may read. Neutral: -1.
    pub last_stable_offset: i64,
    /// Version 5: the first offset that the log holds. Neutral: -1.
    pub log_start_offset: i64,
    /// Version 4: the transactions in `records` that were given up, in no certain order. Neutral: empty, also for null.
    pub aborted: Vec<AbortedTransaction>,
    /// Version 11: the replica that the client should better read from, or -1. Neutral: -1.
    pub preferred_read_replica: i32,
    /// A record set, whose last entry may be cut off: a slice of the frame, which it keeps alive. Empty also for null.
    pub records: Bytes,
}

/// A transaction that was given up, in a [`FetchPartitionResponse`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose transaction it was.
    pub producer_id: i64,
    /// The offset of its first message.
    pub first_offset: i64,
}

impl Request for FetchRequest {
    const API: ApiKey = ApiKey::Fetch;
    type Response = FetchResponse;
}

impl Message for FetchRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i32(self.replica_id);
        w.i32(self.max_wait_ms);
        w.i32(self.min_bytes);
        if version >= 3 {
            w.i32(self.max_bytes);
        }
        if version >= 4 {
            w.i8(self.isolation_level);
        }
        if version >= 7 {
            w.i32(self.session_id);
            w.i32(self.session_epoch);
        }
        w.array(&self.topics, |w, topic| {
            w.string(&topic.name)?;
            w.array(&topic.partitions, |w, partition| {
                partition.encode(w, version)
            })
        })?;
        if version >= 7 {
            w.array(&self.forgotten, |w, topic| {
                w.string(&topic.name)?;
                w.i32_array(&topic.partitions)
            })?;
        }
        if version >= 11 {
            w.string(&self.rack_id)?;
        }
        Ok(())
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            replica_id: r.i32()?,
            max_wait_ms: r.i32()?,
            min_bytes: r.i32()?,
            max_bytes: if version >= 3 { r.i32()? } else { i32::MAX },
            isolation_level: if version >= 4 { r.i8()? } else { 0 },
            session_id: if version >= 7 { r.i32()? } else { 0 },
            session_epoch: if version >= 7 { r.i32()? } else { -1 },
            topics: r.array(|r| {
                Ok(FetchTopic {
                    name: r.string()?,
                    partitions: r.array(|r| FetchPartition::decode(r, version))?,
                })
            })?,
            forgotten: if version >= 7 {
                r.array(ForgottenTopic::read)?
            } else {
                Vec::new()
            },
            rack_id: if version >= 11 {
                r.string()?
            } else {
                String::new()
            },
        })
    }
}

impl Message for FetchPartition {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i32(self.partition);
        if version >= 9 {
            w.i32(self.current_leader_epoch);
        }
        w.i64(self.fetch_offset);
        if version >= 5 {
            w.i64(self.log_start_offset);
        }
        w.i32(self.max_bytes);
        Ok(())
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: r.i32()?,
            current_leader_epoch: if version >= 9 { r.i32()? } else { -1 },
            fetch_offset: r.i64()?,
            log_start_offset: if version >= 5 { r.i64()? } else { -1 },
            max_bytes: r.i32()?,
        })
    }
}

impl ForgottenTopic {
    fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            name: r.string()?,
            partitions: r.array(Reader::i32)?,
        })
    }
}

impl Message for FetchResponse {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if version >= 1 {
            w.i32(self.throttle_ms);
        }
        if version >= 7 {
            self.error.write(w);
            w.i32(self.session_id);
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
            throttle_ms: if version >= 1 { r.i32()? } else { 0 },
            error: if version >= 7 {
                ErrorCode::read(r)?
            } else {
                ErrorCode::NONE
            },
            session_id: if version >= 7 { r.i32()? } else { 0 },
            topics: r.array(|r| {
                Ok(FetchTopicResponse {
                    name: r.string()?,
                    partitions: r.array(|r| FetchPartitionResponse::decode(r, version))?,
                })
            })?,
        })
    }
}

impl Message for FetchPartitionResponse {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i32(self.partition);
        self.error.write(w);
        w.i64(self.high_watermark);
        if version >= 4 {
            w.i64(self.last_stable_offset);
        }
        if version >= 5 {
            w.i64(self.log_start_offset);
        }
        if version >= 4 {
            w.array(&self.aborted, |w, aborted| {
                w.i64(aborted.producer_id);
                w.i64(aborted.first_offset);
                Ok(())
            })?;
        }
        if version >= 11 {
            w.i32(self.preferred_read_replica);
        }
        w.bytes(&self.records)
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: r.i32()?,
            error: ErrorCode::read(r)?,
            high_watermark: r.i64()?,
            last_stable_offset: if version >= 4 { r.i64()? } else { -1 },
            log_start_offset: if version >= 5 { r.i64()? } else { -1 },
            aborted: if version >= 4 {
                r.nullable_array(AbortedTransaction::read)?
                    .unwrap_or_default()
            } else {
                Vec::new()
            },
            preferred_read_replica: if version >= 11 { r.i32()? } else { -1 },
            records: r.nullable_bytes()?.unwrap_or_default(),
        })
    }
}

impl AbortedTransaction {
    fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            producer_id: r.i64()?,
            first_offset: r.i64()?,
        })
    }
}
