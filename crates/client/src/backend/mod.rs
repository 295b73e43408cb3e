//! Where messages come from: the trait behind which fetching happens, and its implementations.

mod chunk;
mod memory;
mod native;
mod prefetch;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use divvy_protocol::TopicPartition;

pub use chunk::{Chunk, FetchError};
pub use memory::MemoryBackend;
pub use native::{FetchConfig, IsolationLevel, NativeBackend};
pub use prefetch::{Fill, Generation, Prefetch};

use crate::error::Result;
use crate::offsets::{OffsetSpec, PerPartition};

/// Broker traffic of a consumer: fetches the partitions that it is told to and puts them into a [`Prefetch`] queue.
///
/// A backend knows nothing of groups, commits or reset policies. Every implementation keeps these promises:
///
/// - chunks of a partition come in the order of their offsets and begin where [`Backend::start`] said; nothing is left out
///   between them but what the log itself does not hold;
/// - after `start`, `stop` or `close` have returned, nothing that was fetched before enters the queue;
/// - what passes by itself (a leader that moved, a broker that is down) is retried for ever, and touches no partition of other
///   brokers; everything else is put into the queue as a [`FetchError`], after the chunks before it, and that partition stands
///   still;
/// - the queue's budget is kept: a partition is fetched while it has room, whatever the others do.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync {
    /// The queue that is filled.
    fn prefetch(&self) -> &Arc<Prefetch>;

    /// Fetches a partition from this offset on. A partition that is already fetched begins anew there.
    fn start(&self, tp: &TopicPartition, from_offset: i64);

    /// Ends fetching a partition and drops what was queued of it.
    fn stop(&self, tp: &TopicPartition);

    /// The partitions of a topic, or an error where it does not exist or nobody can be asked.
    async fn partitions(&self, topic: &str) -> Result<Vec<i32>>;

    /// Looks up offsets. `None` for a time after the last message.
    async fn list_offsets(
        &self,
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
    ) -> PerPartition<Option<i64>>;

    /// Ends everything: its tasks, its connections and what is queued.
    async fn close(&self);
}
