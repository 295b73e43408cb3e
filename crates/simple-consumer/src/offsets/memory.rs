use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use divvy_client::{CommittedOffset, PerPartition, Result, TopicPartition};

use super::OffsetStore;
use crate::assignment::Assignment;
use crate::sync::lock;

/// Offsets in memory, for tests of code that consumes.
#[derive(Debug, Default)]
pub struct MemoryOffsets {
    offsets: Mutex<BTreeMap<TopicPartition, i64>>,
}

impl MemoryOffsets {
    /// What is stored.
    pub fn stored(&self) -> BTreeMap<TopicPartition, i64> {
        lock(&self.offsets).clone()
    }
}

#[async_trait]
impl OffsetStore for MemoryOffsets {
    async fn fetch(&self, tps: &[TopicPartition]) -> Result<PerPartition<Option<CommittedOffset>>> {
        let offsets = lock(&self.offsets);
        let stored = tps.iter().map(|tp| {
            let committed = offsets.get(tp).map(|offset| CommittedOffset {
                offset: *offset,
                metadata: String::new(),
            });
            (tp.clone(), Ok(committed))
        });
        Ok(stored.collect())
    }

    async fn commit(&self, offsets: &[(Assignment, i64)]) -> Result<PerPartition<()>> {
        let mut stored = lock(&self.offsets);
        let done = offsets.iter().map(|(assignment, offset)| {
            stored.insert(assignment.tp.clone(), *offset);
            (assignment.tp.clone(), Ok(()))
        });
        Ok(done.collect())
    }
}
