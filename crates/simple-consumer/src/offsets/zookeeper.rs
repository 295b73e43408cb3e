use async_trait::async_trait;
use divvy_client::{CommittedOffset, PerPartition, Result, TopicPartition};
use divvy_zookeeper::documents::{format_offset, parse_offset};
use divvy_zookeeper::{CreatePersistent, Session, Set, ZooKeeper, paths};
use futures_util::future::join_all;

use super::OffsetStore;
use crate::assignment::Assignment;

/// Offsets in ZooKeeper, at `/consumers/<group>/offsets/<topic>/<partition>` as decimal text, where Java's high-level consumer
/// and every monitoring tool for it look.
#[derive(Debug)]
pub struct ZooKeeperOffsets {
    zookeeper: ZooKeeper,
    group: String,
}

impl ZooKeeperOffsets {
    /// The store of one group.
    pub fn new(zookeeper: ZooKeeper, group: &str) -> Self {
        Self {
            zookeeper,
            group: group.to_owned(),
        }
    }

    fn path(&self, tp: &TopicPartition) -> String {
        paths::offset(&self.group, &tp.topic, tp.partition)
    }

    async fn read(
        &self,
        session: &Session,
        tp: &TopicPartition,
    ) -> Result<Option<CommittedOffset>> {
        let path = self.path(tp);
        let found = session.get(&path).await?;
        let offset = found.and_then(|node| parse_offset(&path, &node.data));
        Ok(offset.map(|offset| CommittedOffset {
            offset,
            metadata: String::new(),
        }))
    }

    async fn write(&self, session: &Session, tp: &TopicPartition, value: i64) -> Result<()> {
        let (path, data) = (self.path(tp), format_offset(value));
        if session.set(&path, data.as_bytes(), None).await? != Set::NoNode {
            return Ok(());
        }
        // Where somebody else creates it meanwhile, the later write counts.
        if session.create_persistent(&path, data.as_bytes()).await? == CreatePersistent::Exists {
            session.set(&path, data.as_bytes(), None).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl OffsetStore for ZooKeeperOffsets {
    async fn fetch(&self, tps: &[TopicPartition]) -> Result<PerPartition<Option<CommittedOffset>>> {
        let session = self.zookeeper.session().await?;
        // Pipelined on one connection.
        let reads = tps.iter().map(|tp| async {
            let stored = self.read(&session, tp).await;
            (tp.clone(), stored)
        });
        Ok(join_all(reads).await.into_iter().collect())
    }

    async fn commit(&self, offsets: &[(Assignment, i64)]) -> Result<PerPartition<()>> {
        let session = self.zookeeper.session().await?;
        let writes = offsets.iter().map(|(assignment, offset)| async {
            let written = self.write(&session, &assignment.tp, *offset).await;
            (assignment.tp.clone(), written)
        });
        Ok(join_all(writes).await.into_iter().collect())
    }
}
