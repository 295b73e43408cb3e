use std::collections::BTreeMap;

use divvy_protocol::api::MetadataResponse;
use divvy_protocol::{ErrorCode, TopicPartition};

use crate::address::HostPort;

/// What is known of a cluster at one moment: its brokers, topics, partitions and their leaders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// The brokers by `broker.id`.
    pub brokers: BTreeMap<i32, HostPort>,
    /// The broker that creates topics, where the brokers tell (0.10 and newer).
    pub controller: Option<i32>,
    /// The topics by name. On brokers from 0.11 on only those that somebody asked for.
    pub topics: BTreeMap<String, TopicMetadata>,
}

/// One topic of a [`Metadata`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicMetadata {
    /// Why the broker could not tell more of it, or [`ErrorCode::NONE`].
    pub error: ErrorCode,
    /// Its partitions by number.
    pub partitions: BTreeMap<i32, PartitionMetadata>,
}

/// One partition of a [`TopicMetadata`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionMetadata {
    /// The broker that serves it, or `None` while there is none.
    pub leader: Option<i32>,
    /// The brokers that hold a copy.
    pub replicas: Vec<i32>,
    /// Those whose copy is complete.
    pub isr: Vec<i32>,
}

impl Metadata {
    /// The broker that serves a partition, where it is known and has one.
    pub fn leader(&self, tp: &TopicPartition) -> Option<i32> {
        let leader = self.partition(tp)?.leader?;
        self.brokers.contains_key(&leader).then_some(leader)
    }

    /// A partition, where it is known.
    pub fn partition(&self, tp: &TopicPartition) -> Option<&PartitionMetadata> {
        self.topics
            .get(tp.topic.as_ref())?
            .partitions
            .get(&tp.partition)
    }

    /// The partitions of a topic in the order of their numbers, or `None` where it does not exist (or exists since so short a
    /// time that it has none yet).
    pub fn partitions(&self, topic: &str) -> Option<Vec<i32>> {
        let topic = self.topics.get(topic)?;
        (!topic.partitions.is_empty()).then(|| topic.partitions.keys().copied().collect())
    }

    pub(crate) fn from_response(response: MetadataResponse) -> Self {
        Self {
            brokers: response
                .brokers
                .into_iter()
                .filter_map(|broker| {
                    let port = u16::try_from(broker.port).ok()?;
                    Some((broker.node_id, HostPort::new(broker.host, port)))
                })
                .collect(),
            controller: Some(response.controller_id).filter(|id| *id >= 0),
            topics: response
                .topics
                .into_iter()
                .map(|topic| {
                    let partitions = topic.partitions.into_iter().map(|partition| {
                        // An error beside a leader means that some replica is down, which concerns nobody here.
                        let known = PartitionMetadata {
                            leader: Some(partition.leader).filter(|id| *id >= 0),
                            replicas: partition.replicas,
                            isr: partition.isr,
                        };
                        (partition.partition, known)
                    });
                    let partitions = partitions.filter(|(id, _)| *id >= 0).collect();
                    let known = TopicMetadata {
                        error: topic.error,
                        partitions,
                    };
                    (topic.name, known)
                })
                // A deleted topic is listed for a while with this error.
                .filter(|(_, topic)| topic.error != ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
                .collect(),
        }
    }
}
