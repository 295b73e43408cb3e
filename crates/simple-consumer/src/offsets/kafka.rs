use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use divvy_client::{
    Broker, BrokerOffsetStore, Client, CommittedOffset, Error, PerPartition, Result, TopicPartition,
};
use divvy_protocol::ErrorCode;
use tokio::sync::Mutex;

use super::OffsetStore;
use crate::assignment::Assignment;
use crate::engine::retry_backoff;

/// 0.8.2 brokers forget an offset a day after it was stored (`offsets.retention.minutes`).
const FORGETS_AFTER: Duration = Duration::from_secs(6 * 3600);

/// Offsets in Kafka's topic `__consumer_offsets`, stored through the group's coordinator.
///
/// The coordinator is asked for when it is first needed and whenever it has moved; while the topic is being created, or loaded
/// by a new coordinator, requests are tried again.
#[derive(Debug)]
pub struct KafkaOffsets {
    client: Client,
    group: String,
    consumer_id: String,
    hostname: String,
    max_retries: u32,
    coordinator: Mutex<Option<Arc<Broker>>>,
}

impl KafkaOffsets {
    /// The store of one group. What passes by itself is tried `max_retries` times again.
    pub fn new(client: Client, group: &str, consumer_id: &str, max_retries: u32) -> Self {
        Self {
            client,
            group: group.to_owned(),
            consumer_id: consumer_id.to_owned(),
            hostname: gethostname::gethostname().to_string_lossy().into_owned(),
            max_retries,
            coordinator: Mutex::new(None),
        }
    }

    /// Stores offsets as somebody's deliberate choice and not as what a member has finished: whoever claims these partitions next
    /// begins there, also where that is behind what was committed before.
    ///
    /// # Errors
    /// A configuration error where Kafka's own group protocol manages the group; otherwise each partition has its own result.
    pub async fn reset(&self, offsets: &BTreeMap<TopicPartition, i64>) -> Result<PerPartition<()>> {
        let chosen = |(tp, offset): (&TopicPartition, &i64)| {
            // A token would say that the offset belongs to a claim.
            (tp.clone(), *offset, self.metadata(None))
        };
        self.store(offsets.iter().map(chosen)).await
    }

    /// What is stored beside an offset. PyKafka's tools read the first two fields.
    fn metadata(&self, token: Option<i64>) -> String {
        let mut metadata = serde_json::json!({
            "consumer_id": self.consumer_id,
            "hostname": self.hostname,
        });
        if let Some(token) = token {
            metadata["token"] = token.to_string().into();
        }
        metadata.to_string()
    }

    async fn store(
        &self,
        offsets: impl Iterator<Item = (TopicPartition, i64, String)>,
    ) -> Result<PerPartition<()>> {
        let committed = |(tp, offset, metadata)| (tp, CommittedOffset { offset, metadata });
        let offsets: BTreeMap<_, _> = offsets.map(committed).collect();
        let offsets = &offsets;
        self.retried(|broker| async move {
            let store = BrokerOffsetStore::Kafka;
            let stored = self.client.commit(&broker, store, &self.group, offsets);
            let stored = stored.await?;
            match group_is_managed(&stored) {
                Some(code) => Err(Error::config(
                    "group",
                    format!("`{}` has members that Kafka's own group protocol manages ({code}), so that nobody else may commit for it; use another group", self.group),
                )),
                None => Ok(stored),
            }
        })
        .await
    }

    async fn coordinator(&self) -> Result<Arc<Broker>> {
        let mut coordinator = self.coordinator.lock().await;
        if let Some(known) = &*coordinator {
            return Ok(Arc::clone(known));
        }
        let found = self.client.find_coordinator(&self.group).await?;
        *coordinator = Some(Arc::clone(&found));
        Ok(found)
    }

    async fn once<T, F: Future<Output = Result<PerPartition<T>>>>(
        &self,
        request: impl FnOnce(Arc<Broker>) -> F,
    ) -> Result<PerPartition<T>> {
        let coordinator = self.coordinator().await?;
        request(coordinator).await
    }

    /// Sends a request to the coordinator until no part of its answer is a fault that may pass.
    async fn retried<T, F: Future<Output = Result<PerPartition<T>>>>(
        &self,
        mut request: impl FnMut(Arc<Broker>) -> F,
    ) -> Result<PerPartition<T>> {
        let mut backoff = retry_backoff(&self.consumer_id);
        // Creating the offsets topic takes a cluster some seconds, once in its life.
        let mut creating = 0;
        loop {
            let result = self.once(&mut request).await;
            let fault = match &result {
                Err(error) => Some(error.clone()),
                Ok(parts) => parts.values().find_map(|part| part.as_ref().err().cloned()),
            };
            let Some(fault) = fault else { return result };
            let moved = matches!(
                fault.code(),
                Some(ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE)
            );
            if moved || fault.is_disconnect() {
                *self.coordinator.lock().await = None;
            }
            if fault.code() == Some(ErrorCode::COORDINATOR_NOT_AVAILABLE) {
                creating += 1;
            }
            let spent = backoff.failures().saturating_sub(creating.min(20));
            if !fault.is_retriable() || spent >= self.max_retries {
                return result;
            }
            tokio::time::sleep(backoff.fail()).await;
        }
    }
}

#[async_trait]
impl OffsetStore for KafkaOffsets {
    async fn fetch(&self, tps: &[TopicPartition]) -> Result<PerPartition<Option<CommittedOffset>>> {
        self.retried(|broker| async move {
            let store = BrokerOffsetStore::Kafka;
            let fetched = self
                .client
                .fetch_committed(&broker, store, &self.group, tps);
            fetched.await
        })
        .await
    }

    async fn commit(&self, offsets: &[(Assignment, i64)]) -> Result<PerPartition<()>> {
        let committed = |(assignment, offset): &(Assignment, i64)| {
            let metadata = self.metadata(Some(assignment.token));
            (assignment.tp.clone(), *offset, metadata)
        };
        self.store(offsets.iter().map(committed)).await
    }

    fn forgets_after(&self) -> Option<Duration> {
        Some(FORGETS_AFTER)
    }
}

fn group_is_managed(stored: &PerPartition<()>) -> Option<ErrorCode> {
    stored
        .values()
        .filter_map(|part| part.as_ref().err()?.code())
        .find(|code| {
            matches!(
                *code,
                ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::ILLEGAL_GENERATION
            )
        })
}
