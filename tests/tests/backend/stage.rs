//! Where promises are kept: a topic, a backend that fetches it, and how its queue is looked at.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use divvy::{Backend, Chunk, FetchError, TopicPartition};
use tokio::time::timeout;

/// How long something may take that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A topic of a cluster, and a backend on that cluster.
#[async_trait]
pub(crate) trait Stage: Send + Sync {
    fn backend(&self) -> &Arc<dyn Backend>;

    fn topic(&self) -> &str;

    /// Appends messages to a partition of the topic, and returns when they are stored.
    async fn append(&self, partition: i32, values: Vec<Vec<u8>>) -> Result<()>;

    fn tp(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(self.topic(), partition)
    }

    /// Appends small messages, whose values are their numbers.
    async fn append_numbers(&self, partition: i32, numbers: std::ops::Range<i64>) -> Result<()> {
        let values = numbers.map(|number| number.to_string().into_bytes());
        self.append(partition, values.collect()).await
    }

    /// The next thing of this partition in the queue; waits for it.
    async fn next(&self, partition: i32) -> Result<Result<Chunk, FetchError>> {
        let (prefetch, wanted) = (self.backend().prefetch(), self.tp(partition));
        let next = async {
            loop {
                let ready = prefetch.ready().notified();
                tokio::pin!(ready);
                ready.as_mut().enable();
                if let Some((tp, item)) = prefetch.pop(|tp| *tp == wanted) {
                    assert_eq!(tp, wanted);
                    return item;
                }
                ready.await;
            }
        };
        timeout(PATIENCE, next)
            .await
            .with_context(|| format!("nothing came of {wanted}"))
    }

    async fn next_chunk(&self, partition: i32) -> Result<Chunk> {
        Ok(self.next(partition).await??)
    }

    /// Takes chunks out of the queue until the log has been read up to `end`. Gives the offsets and values, having checked that the
    /// chunks join each other and begin at `start`.
    async fn read(&self, partition: i32, start: i64, end: i64) -> Result<Vec<(i64, Vec<u8>)>> {
        let mut messages = Vec::new();
        let mut position = start;
        while position < end {
            let chunk = self.next_chunk(partition).await?;
            assert_eq!(chunk.tp, self.tp(partition));
            assert_eq!(chunk.from_offset, position, "chunks join each other");
            assert!(chunk.next_offset > position, "and lead on");
            assert!(chunk.high_watermark >= chunk.next_offset);
            let decoded = chunk.decode(true);
            assert!(decoded.error.is_none(), "{:?}", decoded.error);
            for record in &decoded.records {
                assert!((position..chunk.next_offset).contains(&record.offset));
                let value = record.value.unwrap_or_default();
                messages.push((record.offset, value.to_vec()));
            }
            position = chunk.next_offset;
        }
        Ok(messages)
    }

    /// Waits until something of this partition is queued.
    async fn queued(&self, partition: i32) -> Result<()> {
        let (prefetch, tp) = (self.backend().prefetch(), self.tp(partition));
        let queued = async {
            loop {
                let ready = prefetch.ready().notified();
                tokio::pin!(ready);
                ready.as_mut().enable();
                if prefetch.fill(&tp).held > 0 {
                    return;
                }
                ready.await;
            }
        };
        timeout(PATIENCE, queued)
            .await
            .with_context(|| format!("nothing of {tp} was queued"))
    }

    /// That nothing of this partition is queued, long after it could have been: another partition, which is started at its end,
    /// gets new messages and hands them over.
    async fn assert_silent(&self, partition: i32, other: i32, end: i64) -> Result<()> {
        for round in 0..2 {
            let numbers = end + round..end + round + 1;
            self.append_numbers(other, numbers).await?;
            self.read(other, end + round, end + round + 1).await?;
        }
        let silent = self.tp(partition);
        let item = self.backend().prefetch().pop(|tp| *tp == silent);
        assert!(item.is_none(), "{item:?}");
        Ok(())
    }
}

pub(crate) fn numbers(range: std::ops::Range<i64>) -> Vec<(i64, Vec<u8>)> {
    range
        .map(|number| (number, number.to_string().into_bytes()))
        .collect()
}
