//! Asking brokers where logs begin and end, and storing a group's offsets through them.

use std::collections::BTreeMap;

use divvy_protocol::api::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic, OffsetCommitPartition,
    OffsetCommitRequest, OffsetCommitTopic, OffsetFetchRequest, OffsetFetchTopic,
};
use divvy_protocol::{ApiKey, ErrorCode, TopicPartition};

use crate::broker::Broker;
use crate::client::Client;
use crate::error::{Error, Result};

/// Which offset of a partition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first that the log still holds.
    Earliest,
    /// The one that the next message will get.
    Latest,
    /// The first whose message is not older than this time, in milliseconds since 1970. Brokers before 0.10.1 know only the age
    /// of log segments: they give the start of the last segment that was finished before this time, so that reading begins at
    /// or before it.
    Time(i64),
}

impl OffsetSpec {
    fn timestamp(self) -> i64 {
        match self {
            Self::Earliest => -2,
            Self::Latest => -1,
            Self::Time(millis) => millis.max(0),
        }
    }
}

/// What is stored for a group and a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The offset of the next message to read.
    pub offset: i64,
    /// What was stored beside it; empty where nothing was, and always with offsets in ZooKeeper.
    pub metadata: String,
}

/// In which of the brokers' two stores a group's offsets are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerOffsetStore {
    /// ZooKeeper, written by the broker (versions 0 of the requests; any broker answers).
    ZooKeeper,
    /// Kafka's own topic `__consumer_offsets` (later versions; the group's coordinator answers).
    Kafka,
}

/// One result for each partition that was asked about.
pub type PerPartition<T> = BTreeMap<TopicPartition, Result<T>>;

impl Client {
    /// Looks up offsets at the partitions' leaders. `None` for a time after the last message.
    pub async fn list_offsets(
        &self,
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
    ) -> PerPartition<Option<i64>> {
        if wanted.keys().any(|tp| self.metadata().leader(tp).is_none()) {
            self.refresh_if_possible().await;
        }
        let metadata = self.metadata();
        let mut results = PerPartition::new();
        let mut by_leader: BTreeMap<i32, BTreeMap<TopicPartition, OffsetSpec>> = BTreeMap::new();
        for (tp, spec) in wanted {
            match metadata.leader(tp) {
                Some(leader) => {
                    by_leader
                        .entry(leader)
                        .or_default()
                        .insert(tp.clone(), *spec);
                }
                None if metadata.partition(tp).is_none() => {
                    results.insert(tp.clone(), Err(Error::UnknownPartition { tp: tp.clone() }));
                }
                None => {
                    results.insert(tp.clone(), Err(Error::NoLeader { tp: tp.clone() }));
                }
            }
        }
        let asked = by_leader.into_iter().map(|(leader, wanted)| async move {
            let answer = match self.broker(leader) {
                Ok(broker) => ask_offsets(&broker, &wanted).await,
                Err(error) => Err(error),
            };
            complete(wanted.keys(), answer)
        });
        for part in futures_util::future::join_all(asked).await {
            results.extend(part);
        }
        if results
            .values()
            .any(|result| result.as_ref().is_err_and(blames_metadata))
        {
            // So that whoever asks again asks the right broker.
            self.refresh_if_possible().await;
        }
        results
    }

    async fn refresh_if_possible(&self) {
        if let Err(error) = self.refresh().await {
            tracing::debug!(%error, "the cluster's metadata cannot be refreshed");
        }
    }

    /// The broker that keeps a group's offsets in Kafka, asked for anew.
    pub async fn find_coordinator(&self, group: &str) -> Result<std::sync::Arc<Broker>> {
        let request = divvy_protocol::api::FindCoordinatorRequest {
            group: group.to_owned(),
        };
        let mut last = None;
        for broker in self.brokers() {
            match broker.call(&request).await {
                Ok(answer) if answer.error.is_ok() => match self.broker(answer.node_id) {
                    Ok(coordinator) => return Ok(coordinator),
                    Err(_) => {
                        self.refresh().await?;
                        return self.broker(answer.node_id);
                    }
                },
                Ok(answer) => {
                    return Err(Error::Broker {
                        broker: broker.address().to_string(),
                        request: ApiKey::FindCoordinator.name(),
                        subject: format!("group `{group}`"),
                        code: answer.error,
                    });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::NoBroker {
            tried: "the cluster's metadata names none".to_owned(),
        }))
    }

    /// Reads a group's stored offsets at one broker. `None` where nothing is stored, which is something else than an error.
    pub async fn fetch_committed(
        &self,
        broker: &Broker,
        store: BrokerOffsetStore,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<PerPartition<Option<CommittedOffset>>> {
        let request = OffsetFetchRequest {
            group: group.to_owned(),
            topics: Some(
                by_topic(partitions.iter().map(|tp| (tp, ())))
                    .into_iter()
                    .map(|(name, partitions)| OffsetFetchTopic {
                        name,
                        partitions: partitions.into_iter().map(|(id, ())| id).collect(),
                    })
                    .collect(),
            ),
        };
        let version = match store {
            BrokerOffsetStore::ZooKeeper => 0,
            BrokerOffsetStore::Kafka => 1,
        };
        let timeout = self.config().request_timeout;
        let response = broker.call_version(&request, version, timeout).await?;
        let mut found = PerPartition::new();
        for topic in response.topics {
            for partition in topic.partitions {
                let tp = TopicPartition::new(topic.name.as_str(), partition.partition);
                // Version 0 has the same code for an unknown topic and for nothing stored.
                let nothing = partition.error == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                    && store == BrokerOffsetStore::ZooKeeper;
                let result = if nothing || (partition.error.is_ok() && partition.offset < 0) {
                    Ok(None)
                } else if partition.error.is_ok() {
                    Ok(Some(CommittedOffset {
                        offset: partition.offset,
                        metadata: partition.metadata.unwrap_or_default(),
                    }))
                } else {
                    Err(refused(broker, ApiKey::OffsetFetch, &tp, partition.error))
                };
                found.insert(tp, result);
            }
        }
        Ok(complete(partitions.iter(), Ok(found)))
    }

    /// Stores a group's offsets at one broker, as a client outside of any group that Kafka itself manages.
    pub async fn commit(
        &self,
        broker: &Broker,
        store: BrokerOffsetStore,
        group: &str,
        offsets: &BTreeMap<TopicPartition, CommittedOffset>,
    ) -> Result<PerPartition<()>> {
        let request = OffsetCommitRequest {
            group: group.to_owned(),
            generation: -1,
            member: String::new(),
            retention_ms: -1,
            topics: by_topic(offsets.iter())
                .into_iter()
                .map(|(name, partitions)| OffsetCommitTopic {
                    name,
                    partitions: partitions
                        .into_iter()
                        .map(|(partition, committed)| OffsetCommitPartition {
                            partition,
                            offset: committed.offset,
                            timestamp: -1,
                            metadata: Some(committed.metadata.clone()),
                        })
                        .collect(),
                })
                .collect(),
        };
        let timeout = self.config().request_timeout;
        let response = match store {
            BrokerOffsetStore::ZooKeeper => broker.call_version(&request, 0, timeout).await?,
            BrokerOffsetStore::Kafka => broker.call(&request).await?,
        };
        let mut done = PerPartition::new();
        for topic in response.topics {
            for partition in topic.partitions {
                let tp = TopicPartition::new(topic.name.as_str(), partition.partition);
                let result = if partition.error.is_ok() {
                    Ok(())
                } else {
                    Err(refused(broker, ApiKey::OffsetCommit, &tp, partition.error))
                };
                done.insert(tp, result);
            }
        }
        Ok(complete(offsets.keys(), Ok(done)))
    }
}

/// Whether an error may come from metadata that is out of date.
fn blames_metadata(error: &Error) -> bool {
    error.is_disconnect()
        || matches!(
            error.code(),
            Some(
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                    | ErrorCode::LEADER_NOT_AVAILABLE
                    | ErrorCode::NOT_LEADER_OR_FOLLOWER
            )
        )
}

async fn ask_offsets(
    broker: &Broker,
    wanted: &BTreeMap<TopicPartition, OffsetSpec>,
) -> Result<PerPartition<Option<i64>>> {
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: 0,
        topics: by_topic(wanted.iter())
            .into_iter()
            .map(|(name, partitions)| ListOffsetsTopic {
                name,
                partitions: partitions
                    .into_iter()
                    .map(|(partition, spec)| ListOffsetsPartition {
                        partition,
                        timestamp: spec.timestamp(),
                        max_num_offsets: 1,
                    })
                    .collect(),
            })
            .collect(),
    };
    let response = broker.call(&request).await?;
    let mut found = PerPartition::new();
    let mut before_all_segments = BTreeMap::new();
    for topic in response.topics {
        for partition in topic.partitions {
            let tp = TopicPartition::new(topic.name.as_str(), partition.partition);
            if !partition.error.is_ok() {
                let error = refused(broker, ApiKey::ListOffsets, &tp, partition.error);
                found.insert(tp, Err(error));
                continue;
            }
            // Old brokers give a list, which is empty for a time before the first segment.
            let offset = partition.offset();
            if offset.is_none() && partition.is_list() {
                before_all_segments.insert(tp, OffsetSpec::Earliest);
            } else {
                found.insert(tp, Ok(offset));
            }
        }
    }
    if !before_all_segments.is_empty()
        && before_all_segments.len() <= wanted.len()
        && wanted
            .values()
            .any(|spec| matches!(spec, OffsetSpec::Time(_)))
    {
        found.extend(Box::pin(ask_offsets(broker, &before_all_segments)).await?);
    }
    Ok(found)
}

fn by_topic<'a, T>(
    partitions: impl IntoIterator<Item = (&'a TopicPartition, T)>,
) -> BTreeMap<String, Vec<(i32, T)>> {
    let mut topics: BTreeMap<String, Vec<(i32, T)>> = BTreeMap::new();
    for (tp, value) in partitions {
        topics
            .entry(tp.topic.as_ref().to_owned())
            .or_default()
            .push((tp.partition, value));
    }
    topics
}

/// Makes sure that each partition has a result: a failure counts for all, and what an answer left out is the peer's fault.
fn complete<'a, T>(
    wanted: impl Iterator<Item = &'a TopicPartition>,
    answer: Result<PerPartition<T>>,
) -> PerPartition<T> {
    let (mut found, missing) = match answer {
        Ok(found) => (found, None),
        Err(error) => (PerPartition::new(), Some(error)),
    };
    for tp in wanted {
        found.entry(tp.clone()).or_insert_with(|| {
            Err(missing.clone().unwrap_or_else(|| Error::Peer {
                broker: "the partition's broker".to_owned(),
                why: format!("its answer leaves out {tp}"),
            }))
        });
    }
    found
}

fn refused(broker: &Broker, request: ApiKey, tp: &TopicPartition, code: ErrorCode) -> Error {
    Error::Broker {
        broker: broker.address().to_string(),
        request: request.name(),
        subject: tp.to_string(),
        code,
    }
}
