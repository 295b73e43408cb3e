use std::collections::BTreeMap;
use std::net::SocketAddr;

use divvy_protocol::ErrorCode;
use divvy_protocol::api::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic,
};
use divvy_zookeeper::documents::TopicAssignment;
use divvy_zookeeper::paths;
use tracing::debug;

use super::requests::Broker;
use super::state::{Partition, State};

impl Broker {
    /// Describes brokers and topics. Topics that are asked for by name and are not there are created, where that is wanted.
    pub(super) fn metadata(&self, request: &MetadataRequest) -> MetadataResponse {
        let asked = request.topics.as_deref().unwrap_or_default();
        let (response, missing) = {
            let state = self.shared.lock();
            let known: Vec<String> = state.topics.keys().cloned().collect();
            let names = if asked.is_empty() { &known } else { asked };
            let topics: Vec<_> = names.iter().map(|name| describe(&state, name)).collect();
            let response = MetadataResponse {
                brokers: brokers(&self.believed_alive(&state)),
                topics,
                ..MetadataResponse::default()
            };
            let topics = response.topics.iter();
            let missing = topics.filter(|one| one.error == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            let missing: Vec<_> = missing.map(|one| one.name.clone()).collect();
            (response, missing)
        };
        self.created(response, &missing)
    }

    /// Nobody tells a broker that it is registered no more: it goes on counting itself.
    fn believed_alive(&self, state: &State) -> BTreeMap<i32, SocketAddr> {
        let mut alive = state.alive.clone();
        if let Some(address) = state.known.get(&self.id) {
            alive.insert(self.id, *address);
        }
        alive
    }

    /// Creates topics. Who asked is told that they have no leader yet.
    fn created(&self, mut response: MetadataResponse, missing: &[String]) -> MetadataResponse {
        let Some((partitions, replicas)) = self.shared.settings.auto_create else {
            return response;
        };
        let brokers: Vec<i32> = response
            .brokers
            .iter()
            .map(|broker| broker.node_id)
            .collect();
        let replicas = replicas.min(brokers.len());
        let Ok(assignment) = TopicAssignment::deal(&brokers, partitions, replicas, 0, 0) else {
            return response;
        };
        for name in missing {
            match self.shared.create_topic(name, &assignment) {
                Ok(_) => {
                    let topics = response.topics.iter_mut();
                    for topic in topics.filter(|topic| topic.name == *name) {
                        topic.error = ErrorCode::LEADER_NOT_AVAILABLE;
                    }
                }
                Err(error) => debug!("topic {name} cannot be created: {error}"),
            }
        }
        response
    }
}

fn brokers(alive: &BTreeMap<i32, SocketAddr>) -> Vec<MetadataBroker> {
    let brokers = alive.iter().map(|(id, address)| MetadataBroker {
        node_id: *id,
        host: address.ip().to_string(),
        port: address.port().into(),
        rack: None,
    });
    brokers.collect()
}

fn describe(state: &State, name: &str) -> MetadataTopic {
    let partitions = state.topics.get(name);
    let error = match partitions {
        Some(_) => ErrorCode::NONE,
        None if paths::validate_topic(name).is_err() => ErrorCode::INVALID_TOPIC_EXCEPTION,
        None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    };
    let partitions = partitions.into_iter().flatten();
    MetadataTopic {
        error,
        name: name.to_owned(),
        is_internal: false,
        partitions: partitions
            .map(|(id, one)| partition(state, *id, one))
            .collect(),
    }
}

/// These brokers name only the replicas that are alive, and say so.
fn partition(state: &State, id: i32, partition: &Partition) -> MetadataPartition {
    let alive = |replicas: &[i32]| -> Vec<i32> {
        let replicas = replicas.iter().copied();
        replicas.filter(|id| state.alive.contains_key(id)).collect()
    };
    let replicas = alive(&partition.replicas);
    let leader = partition
        .leader
        .filter(|leader| state.alive.contains_key(leader));
    MetadataPartition {
        error: match leader {
            None => ErrorCode::LEADER_NOT_AVAILABLE,
            Some(_) if replicas.len() < partition.replicas.len() => {
                ErrorCode::REPLICA_NOT_AVAILABLE
            }
            Some(_) => ErrorCode::NONE,
        },
        partition: id,
        leader: leader.unwrap_or(-1),
        isr: alive(&partition.isr),
        replicas,
    }
}
