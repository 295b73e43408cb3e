use super::{Message, Request};
use crate::error_code::ErrorCode;
use crate::versions::ApiKey;
use crate::wire::{DecodeError, EncodeError, Reader, Writer};

/// Creates topics; for the controller. Versions 0 to 2. Brokers before 0.10.1 do not know it: there, topics are created in
/// ZooKeeper.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateTopicsRequest {
    /// What to create.
    pub topics: Vec<CreateTopic>,
    /// How long the broker waits until the topics are known to be created, in milliseconds. 0 or less does not wait.
    pub timeout_ms: i32,
    /// Version 1: check the request and create nothing. Neutral: false. Not to be set for version 0.
    pub validate_only: bool,
}

/// One topic in a [`CreateTopicsRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateTopic {
    /// Its name.
    pub name: String,
    /// How many partitions it gets; -1 with `assignments`.
    pub num_partitions: i32,
    /// How many copies each of them has; -1 with `assignments`.
    pub replication_factor: i16,
    /// Which brokers hold which partition; empty to let the broker decide.
    pub assignments: Vec<ReplicaAssignment>,
    /// Its settings, where they differ from the broker's.
    pub configs: Vec<CreateTopicConfig>,
}

/// The brokers that hold one partition of a [`CreateTopic`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaAssignment {
    /// The partition.
    pub partition: i32,
    /// The brokers, the preferred leader first.
    pub brokers: Vec<i32>,
}

/// One setting of a [`CreateTopic`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateTopicConfig {
    /// Kafka's name for it, such as `retention.ms`.
    pub name: String,
    /// Its value.
    pub value: Option<String>,
}

/// Answers a [`CreateTopicsRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateTopicsResponse {
    /// Version 2: how long the broker has held the answer back, in milliseconds. Neutral: 0.
    pub throttle_ms: i32,
    /// What came of each topic.
    pub topics: Vec<CreateTopicResponse>,
}

/// What came of one topic in a [`CreateTopicsResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateTopicResponse {
    /// Its name.
    pub name: String,
    /// Whether it was created.
    pub error: ErrorCode,
    /// Version 1: why not, in words. Neutral: `None`.
    pub message: Option<String>,
}

impl Request for CreateTopicsRequest {
    const API: ApiKey = ApiKey::CreateTopics;
    type Response = CreateTopicsResponse;
}

impl Message for CreateTopicsRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if version == 0 && self.validate_only {
            return Err(EncodeError::NotInVersion {
                api: Self::API,
                version,
                field: "validate_only",
            });
        }
        w.array(&self.topics, |w, topic| topic.write(w))?;
        w.i32(self.timeout_ms);
        if version >= 1 {
            w.bool(self.validate_only);
        }
        Ok(())
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            topics: r.array(CreateTopic::read)?,
            timeout_ms: r.i32()?,
            validate_only: if version >= 1 { r.bool()? } else { false },
        })
    }
}

impl CreateTopic {
    fn write(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.string(&self.name)?;
        w.i32(self.num_partitions);
        w.i16(self.replication_factor);
        w.array(&self.assignments, |w, assignment| {
            w.i32(assignment.partition);
            w.i32_array(&assignment.brokers)
        })?;
        w.array(&self.configs, |w, config| {
            w.string(&config.name)?;
            w.nullable_string(config.value.as_deref())
        })
    }

    fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            name: r.string()?,
            num_partitions: r.i32()?,
            replication_factor: r.i16()?,
            assignments: r.array(|r| {
                Ok(ReplicaAssignment {
                    partition: r.i32()?,
                    brokers: r.array(Reader::i32)?,
                })
            })?,
            configs: r.array(|r| {
                Ok(CreateTopicConfig {
                    name: r.string()?,
                    value: r.nullable_string()?,
                })
            })?,
        })
    }
}

impl Message for CreateTopicsResponse {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if version >= 2 {
            w.i32(self.throttle_ms);
        }
        w.array(&self.topics, |w, topic| {
            w.string(&topic.name)?;
            topic.error.write(w);
            if version >= 1 {
                w.nullable_string(topic.message.as_deref())?;
            }
            Ok(())
        })
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_ms: if version >= 2 { r.i32()? } else { 0 },
            topics: r.array(|r| {
                Ok(CreateTopicResponse {
                    name: r.string()?,
                    error: ErrorCode::read(r)?,
                    message: if version >= 1 {
                        r.nullable_string()?
                    } else {
                        None
                    },
                })
            })?,
        })
    }
}
