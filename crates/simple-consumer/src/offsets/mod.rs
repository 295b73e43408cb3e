//! Where a group's offsets are stored.

mod broker;
mod dual;
mod kafka;
mod memory;
mod zookeeper;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use divvy_client::{Client, CommittedOffset, PerPartition, Result, TopicPartition};

pub use broker::BrokerOffsets;
pub use dual::DualOffsets;
pub use kafka::KafkaOffsets;
pub use memory::MemoryOffsets;
pub use zookeeper::ZooKeeperOffsets;

use crate::assignment::Assignment;
use crate::config::{ConsumerConfig, OffsetStorage};

/// Stores the offsets of one group: for each partition the offset of the next message to read.
#[async_trait]
pub trait OffsetStore: fmt::Debug + Send + Sync {
    /// Reads what is stored. `None` where nothing is; an error, for all or for one partition, where that is not known.
    async fn fetch(&self, tps: &[TopicPartition]) -> Result<PerPartition<Option<CommittedOffset>>>;

    /// Stores offsets. Each partition has its own result.
    async fn commit(&self, offsets: &[(Assignment, i64)]) -> Result<PerPartition<()>>;

    /// After which time an offset that is not stored again may be forgotten; `None` where it is kept for ever.
    fn forgets_after(&self) -> Option<Duration> {
        None
    }
}

/// The store that the configuration asks for; `None` without a group.
pub(crate) fn for_client(
    client: &Client,
    config: &ConsumerConfig,
    consumer_id: &str,
) -> crate::Result<Option<Arc<dyn OffsetStore>>> {
    let Some(group) = &config.group else {
        return Ok(None);
    };
    let zookeeper = || -> Arc<dyn OffsetStore> {
        match &client.config().zookeeper {
            Some(zookeeper) => Arc::new(ZooKeeperOffsets::new(zookeeper.clone(), group)),
            None => Arc::new(BrokerOffsets::new(client.clone(), group)),
        }
    };
    Ok(Some(with_storage(
        client,
        config,
        group,
        consumer_id,
        zookeeper,
    )))
}

/// The store that the configuration asks for, with offsets in ZooKeeper going where `zookeeper` says.
pub fn with_storage(
    client: &Client,
    config: &ConsumerConfig,
    group: &str,
    consumer_id: &str,
    zookeeper: impl FnOnce() -> Arc<dyn OffsetStore>,
) -> Arc<dyn OffsetStore> {
    let kafka = || -> Arc<dyn OffsetStore> {
        let retries = config.offsets_max_retries;
        Arc::new(KafkaOffsets::new(
            client.clone(),
            group,
            consumer_id,
            retries,
        ))
    };
    match config.offset_storage {
        OffsetStorage::ZooKeeper => zookeeper(),
        OffsetStorage::Kafka => kafka(),
        OffsetStorage::Dual => Arc::new(DualOffsets::new(zookeeper(), kafka())),
    }
}
