use super::{Message, Request};
use crate::error_code::ErrorCode;
use crate::versions::ApiKey;
use crate::wire::{DecodeError, EncodeError, Reader, Writer};

/// Asks for brokers, topics and leaders; any broker answers. Versions 0 to 4.
///
/// Before version 4, and before brokers of 0.11 in any case, asking for a topic by name creates it where
/// `auto.create.topics.enable` is on, as it is by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataRequest {
    /// Which topics; `None` for all. Version 0 cannot ask for none: an empty list asks it for all, and is read as `None`. Null
    /// must not be sent to brokers before 0.10, whatever the version.
    pub topics: Option<Vec<String>>,
    /// Version 4: whether topics that do not exist may be created. Neutral: true, because older versions do create them.
    pub allow_auto_topic_creation: bool,
}

/// Answers a [`MetadataRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataResponse {
    /// Version 3: how long the broker has held the answer back, in milliseconds. Neutral: 0.
    pub throttle_ms: i32,
    /// The brokers that are alive.
    pub brokers: Vec<MetadataBroker>,
    /// Version 2: the cluster's name for itself. Neutral: `None`.
    pub cluster_id: Option<String>,
    /// Version 1: the broker that is the controller, or -1 if there is none at the moment. Neutral: -1.
    pub controller_id: i32,
    /// The topics that were asked for.
    pub topics: Vec<MetadataTopic>,
}

/// A broker in a [`MetadataResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataBroker {
    /// Kafka: `broker.id`.
    pub node_id: i32,
    /// Where clients reach it. Kafka: `advertised.host.name`, later `advertised.listeners`.
    pub host: String,
    /// The port beside the host.
    pub port: i32,
    /// Version 1: where it is. Neutral: `None`. Kafka: `broker.rack`.
    pub rack: Option<String>,
}

/// A topic in a [`MetadataResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataTopic {
    /// What is wrong with the topic as a whole.
    pub error: ErrorCode,
    /// Its name.
    pub name: String,
    /// Version 1: whether it is Kafka's own, such as `__consumer_offsets`. Neutral: false.
    pub is_internal: bool,
    /// Its partitions, in no certain order.
    pub partitions: Vec<MetadataPartition>,
}

/// A partition in a [`MetadataTopic`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataPartition {
    /// What is wrong with the partition. [`ErrorCode::REPLICA_NOT_AVAILABLE`] beside a leader is no reason not to use it.
    pub error: ErrorCode,
    /// The partition.
    pub partition: i32,
    /// The broker that serves it, or -1 for none.
    pub leader: i32,
    /// The brokers that hold a copy.
    pub replicas: Vec<i32>,
    /// Those of them whose copy is complete.
    pub isr: Vec<i32>,
}

impl Default for MetadataResponse {
    /// A response that names nothing, with the neutral values.
    fn default() -> Self {
        Self {
            throttle_ms: 0,
            brokers: Vec::new(),
            cluster_id: None,
            controller_id: -1,
            topics: Vec::new(),
        }
    }
}

impl Request for MetadataRequest {
    const API: ApiKey = ApiKey::Metadata;
    type Response = MetadataResponse;
}

impl Message for MetadataRequest {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let topics = match &self.topics {
            None if version == 0 => Some(&[][..]),
            topics => topics.as_deref(),
        };
        w.nullable_array(topics, |w, name| w.string(name))?;
        if version >= 4 {
            w.bool(self.allow_auto_topic_creation);
        }
        Ok(())
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            topics: if version == 0 {
                Some(r.array(Reader::string)?).filter(|topics| !topics.is_empty())
            } else {
                r.nullable_array(Reader::string)?
            },
            allow_auto_topic_creation: if version >= 4 { r.bool()? } else { true },
        })
    }
}

impl Message for MetadataResponse {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if version >= 3 {
            w.i32(self.throttle_ms);
        }
        w.array(&self.brokers, |w, broker| broker.encode(w, version))?;
        if version >= 2 {
            w.nullable_string(self.cluster_id.as_deref())?;
        }
        if version >= 1 {
            w.i32(self.controller_id);
        }
        w.array(&self.topics, |w, topic| topic.encode(w, version))
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            throttle_ms: if version >= 3 { r.i32()? } else { 0 },
            brokers: r.array(|r| MetadataBroker::decode(r, version))?,
            cluster_id: if version >= 2 {
                r.nullable_string()?
            } else {
                None
            },
            controller_id: if version >= 1 { r.i32()? } else { -1 },
            topics: r.array(|r| MetadataTopic::decode(r, version))?,
        })
    }
}

impl Message for MetadataBroker {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i32(self.node_id);
        w.string(&self.host)?;
        w.i32(self.port);
        if version >= 1 {
            w.nullable_string(self.rack.as_deref())?;
        }
        Ok(())
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            node_id: r.i32()?,
            host: r.string()?,
            port: r.i32()?,
            rack: if version >= 1 {
                r.nullable_string()?
            } else {
                None
            },
        })
    }
}

impl Message for MetadataTopic {
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        self.error.write(w);
        w.string(&self.name)?;
        if version >= 1 {
            w.bool(self.is_internal);
        }
        w.array(&self.partitions, |w, partition| partition.write(w))
    }

    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            error: ErrorCode::read(r)?,
            name: r.string()?,
            is_internal: if version >= 1 { r.bool()? } else { false },
            partitions: r.array(MetadataPartition::read)?,
        })
    }
}

impl MetadataPartition {
    fn write(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.error.write(w);
        w.i32(self.partition);
        w.i32(self.leader);
        w.i32_array(&self.replicas)?;
        w.i32_array(&self.isr)
    }

    fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            error: ErrorCode::read(r)?,
            partition: r.i32()?,
            leader: r.i32()?,
            replicas: r.array(Reader::i32)?,
            isr: r.array(Reader::i32)?,
        })
    }
}
