use std::collections::BTreeMap;

use async_trait::async_trait;
use divvy_client::{
    BrokerOffsetStore, Client, CommittedOffset, Error, PerPartition, Result, TopicPartition,
};

use super::OffsetStore;
use crate::assignment::Assignment;

/// Offsets in ZooKeeper, written and read through a broker, for who has no way to ZooKeeper. Any broker up to Kafka 3 serves
/// that; brokers without ZooKeeper refuse.
#[derive(Debug)]
pub struct BrokerOffsets {
    client: Client,
    group: String,
}

impl BrokerOffsets {
    /// The store of one group.
    pub fn new(client: Client, group: &str) -> Self {
        Self {
            client,
            group: group.to_owned(),
        }
    }
}

/// Asks the brokers in random order until one answers.
macro_rules! any_broker {
    ($client:expr, |$broker:ident| $call:expr) => {{
        let mut last = Err(Error::NoBroker {
            tried: "the cluster's metadata names none".to_owned(),
        });
        for $broker in $client.brokers() {
            last = $call.await;
            match &last {
                Err(error) if error.is_disconnect() => {}
                _ => break,
            }
        }
        last
    }};
}

#[async_trait]
impl OffsetStore for BrokerOffsets {
    async fn fetch(&self, tps: &[TopicPartition]) -> Result<PerPartition<Option<CommittedOffset>>> {
        let store = BrokerOffsetStore::ZooKeeper;
        any_broker!(self.client, |broker| self.client.fetch_committed(
            &broker,
            store,
            &self.group,
            tps
        ))
    }

    async fn commit(&self, offsets: &[(Assignment, i64)]) -> Result<PerPartition<()>> {
        let offsets: BTreeMap<_, _> = offsets
            .iter()
            .map(|(assignment, offset)| {
                let committed = CommittedOffset {
                    offset: *offset,
                    metadata: String::new(),
                };
                (assignment.tp.clone(), committed)
            })
            .collect();
        let store = BrokerOffsetStore::ZooKeeper;
        any_broker!(self.client, |broker| self.client.commit(
            &broker,
            store,
            &self.group,
            &offsets
        ))
    }
}
