use super::{Message, Request};
use crate::error_code::ErrorCode;
use crate::versions::ApiKey;
use crate::wire::{DecodeError, EncodeError, Reader, Writer};

/// Deletes topics; for the controller. Versions 0 and 1. Brokers before 0.10.1 do not know it: there, topics are marked in
/// ZooKeeper.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteTopicsRequest {
    /// Which topics.
    pub topics: Vec<String>,
    /// How long the broker waits until the topics are known to be deleted, in milliseconds. 0 or less does not wait.
    pub timeout_ms: i32,
}

/// Answers a [`DeleteTopicsRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteTopicsResponse {
    /// Version 1: how long the broker has held the answer back, in milliseconds. Neutral: 0.
    pub throttle_ms: i32,
    /// What came of each topic.
    pub topics: Vec<DeleteTopicResponse>,
}

/// What came of one topic in a [`DeleteTopicsResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteTopicResponse {
    /// Its name.
    pub name: String,
    /// Whether it was deleted.
    pub error: ErrorCode,
}

impl Request for DeleteTopicsRequest {
    const API: ApiKey = ApiKey::DeleteTopics;
    type Response = DeleteTopicsResponse;
}

impl Message for DeleteTopicsRequest {
    fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.array(&self.topics, |w, topic| w.string(topic))?;
        w.i32(self.timeout_ms);
        Ok(())
    }

    fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            topics: r.array(Reader::string)?,
            timeout_ms: r.i32()?,
        })
    }
}

impl Message for DeleteTopicsResponse {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if version >= 1 {
            w.i32(self.throttle_ms);
        }
        w.array(&self.topics, |w, topic| {
            w.string(&topic.name)?;
            topic.error.write(w);
            Ok(())
        })
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_ms: if version >= 1 { r.i32()? } else { 0 },
            topics: r.array(|r| {
                Ok(DeleteTopicResponse {
                    name: r.string()?,
                    error: ErrorCode::read(r)?,
                })
            })?,
        })
    }
}
