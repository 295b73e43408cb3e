use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use divvy_client::{CommittedOffset, PerPartition, Result, TopicPartition};

use super::OffsetStore;
use crate::assignment::Assignment;

/// Two stores at once, for moving a group from one to the other: the first is written first, and of what both hold the larger
/// offset counts.
#[derive(Debug)]
pub struct DualOffsets {
    first: Arc<dyn OffsetStore>,
    second: Arc<dyn OffsetStore>,
}

impl DualOffsets {
    /// Joins two stores.
    pub fn new(first: Arc<dyn OffsetStore>, second: Arc<dyn OffsetStore>) -> Self {
        Self { first, second }
    }
}

#[async_trait]
impl OffsetStore for DualOffsets {
    async fn fetch(&self, tps: &[TopicPartition]) -> Result<PerPartition<Option<CommittedOffset>>> {
        let (first, second) = tokio::join!(self.first.fetch(tps), self.second.fetch(tps));
        let (mut first, second) = (first?, second?);
        for (tp, theirs) in second {
            let larger = match (first.remove(&tp), theirs) {
                // Without both answers the larger one is not known.
                (Some(Err(error)), _) | (_, Err(error)) => Err(error),
                (Some(Ok(ours)), Ok(theirs)) => Ok(ours
                    .into_iter()
                    .chain(theirs)
                    .max_by_key(|committed| committed.offset)),
                (None, theirs) => theirs,
            };
            first.insert(tp, larger);
        }
        Ok(first)
    }

    async fn commit(&self, offsets: &[(Assignment, i64)]) -> Result<PerPartition<()>> {
        let mut results = self.first.commit(offsets).await?;
        let written: Vec<_> = offsets
            .iter()
            .filter(|(assignment, _)| matches!(results.get(&assignment.tp), Some(Ok(()))))
            .cloned()
            .collect();
        results.extend(self.second.commit(&written).await?);
        Ok(results)
    }

    fn forgets_after(&self) -> Option<Duration> {
        self.first
            .forgets_after()
            .into_iter()
            .chain(self.second.forgets_after())
            .min()
    }
}
