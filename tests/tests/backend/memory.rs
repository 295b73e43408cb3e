//! The backend over a log in memory.

use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use divvy::{Backend, MemoryBackend};

use crate::promises::{BUDGET, keeps_all};
use crate::stage::Stage;

struct Memory {
    cluster: MemoryBackend,
    backend: Arc<dyn Backend>,
}

async fn memory() -> Result<Memory> {
    let cluster = MemoryBackend::new(BUDGET);
    cluster.create_topic("t", 4);
    let backend = Arc::new(cluster.clone());
    Ok(Memory { cluster, backend })
}

#[async_trait]
impl Stage for Memory {
    fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    fn topic(&self) -> &str {
        "t"
    }

    async fn append(&self, partition: i32, values: Vec<Vec<u8>>) -> Result<()> {
        for value in values {
            let tp = self.tp(partition);
            self.cluster.append(&tp, Some(1000), None, Some(&value))?;
        }
        Ok(())
    }
}

keeps_all!(memory());
