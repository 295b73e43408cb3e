use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use divvy_protocol::TopicPartition;
use divvy_protocol::compression::Compression;
use divvy_protocol::records::RecordsBuilder;
use tokio::task::JoinHandle;

use super::{Backend, Chunk, FetchError, Generation, Prefetch};
use crate::error::{Error, Result};
use crate::offsets::{OffsetSpec, PerPartition};
use crate::sync::lock;

/// A log in memory, for tests of code that consumes: append messages, and a consumer reads them as if from a broker.
#[derive(Clone)]
pub struct MemoryBackend {
    shared: Arc<Shared>,
}

struct Shared {
    prefetch: Arc<Prefetch>,
    state: Mutex<State>,
    feeder: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    logs: BTreeMap<TopicPartition, Log>,
    readers: BTreeMap<TopicPartition, Reader>,
}

#[derive(Default)]
struct Log {
    first_offset: i64,
    entries: Vec<Entry>,
}

struct Entry {
    offset: i64,
    timestamp: Option<i64>,
    bytes: Bytes,
}

struct Reader {
    generation: Generation,
    next_offset: i64,
    halted: bool,
}

/// The most bytes that are queued as one piece.
const LARGEST_CHUNK: usize = 64 << 10;

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend").finish_non_exhaustive()
    }
}

impl MemoryBackend {
    /// An empty cluster whose queue takes at most `budget` bytes. Must be made on a tokio runtime.
    pub fn new(budget: usize) -> Self {
        let shared = Arc::new(Shared {
            prefetch: Prefetch::new(budget),
            state: Mutex::default(),
            feeder: Mutex::default(),
        });
        let weak = Arc::downgrade(&shared);
        let prefetch = Arc::clone(&shared.prefetch);
        let feeder = tokio::spawn(async move {
            loop {
                let demand = prefetch.demand().notified();
                tokio::pin!(demand);
                demand.as_mut().enable();
                match weak.upgrade() {
                    Some(shared) => shared.feed(),
                    None => return,
                }
                demand.await;
            }
        });
        *lock(&shared.feeder) = Some(feeder);
        Self { shared }
    }

    /// Makes a topic, or adds partitions to one.
    pub fn create_topic(&self, topic: &str, partitions: i32) {
        let mut state = lock(&self.shared.state);
        for partition in 0..partitions {
            state
                .logs
                .entry(TopicPartition::new(topic, partition))
                .or_default();
        }
    }

    /// Appends a message and gives its offset.
    ///
    /// # Errors
    ///
    /// Where the partition does not exist or the message cannot be encoded.
    pub fn append(
        &self,
        tp: &TopicPartition,
        timestamp: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<i64> {
        let mut state = lock(&self.shared.state);
        let log = state
            .logs
            .get_mut(tp)
            .ok_or_else(|| Error::UnknownPartition { tp: tp.clone() })?;
        let offset = log.end();
        let bytes = encode(offset, timestamp, key, value)?;
        log.entries.push(Entry {
            offset,
            timestamp,
            bytes,
        });
        drop(state);
        self.shared.prefetch.demand().notify_waiters();
        Ok(offset)
    }

    /// Leaves out the next `count` offsets, as compaction does.
    pub fn skip(&self, tp: &TopicPartition, count: i64) {
        let mut state = lock(&self.shared.state);
        if let Some(log) = state.logs.get_mut(tp).filter(|_| count > 0) {
            let offset = log.end() + count - 1;
            log.entries.push(Entry {
                offset,
                timestamp: None,
                bytes: Bytes::new(),
            });
        }
        drop(state);
        self.shared.prefetch.demand().notify_waiters();
    }

    /// Drops everything below an offset, as retention does.
    pub fn truncate_before(&self, tp: &TopicPartition, offset: i64) {
        let mut state = lock(&self.shared.state);
        if let Some(log) = state.logs.get_mut(tp) {
            log.entries.retain(|entry| entry.offset >= offset);
            log.first_offset = offset;
        }
        drop(state);
        self.shared.prefetch.demand().notify_waiters();
    }

    /// Flips one bit in the value of a stored message.
    pub fn corrupt(&self, tp: &TopicPartition, offset: i64) {
        let mut state = lock(&self.shared.state);
        let entry = state
            .logs
            .get_mut(tp)
            .and_then(|log| log.entries.iter_mut().find(|entry| entry.offset == offset));
        if let Some(entry) = entry {
            let mut bytes = entry.bytes.to_vec();
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
            entry.bytes = bytes.into();
        }
    }
}

impl Log {
    /// The entries from an offset on, as far as there is room; the first also beyond that, `if_larger`.
    fn chunk(
        &self,
        tp: &TopicPartition,
        from_offset: i64,
        room: usize,
        if_larger: bool,
    ) -> Option<Chunk> {
        let at = self
            .entries
            .partition_point(|entry| entry.offset < from_offset);
        let mut bytes = BytesMut::new();
        let mut next_offset = None;
        for entry in self.entries.iter().skip(at) {
            let fits = bytes.len() + entry.bytes.len() <= room;
            if !fits && (next_offset.is_some() || !if_larger) {
                break;
            }
            bytes.extend_from_slice(&entry.bytes);
            next_offset = Some(entry.offset + 1);
        }
        let end = self.end();
        Some(Chunk::new(
            tp.clone(),
            from_offset,
            next_offset?,
            end,
            bytes.freeze(),
        ))
    }

    fn end(&self) -> i64 {
        self.entries
            .last()
            .map_or(self.first_offset, |entry| entry.offset + 1)
    }
}

/// One message of format 1, whose stored offset is written over the one that a producer would send.
fn encode(
    offset: i64,
    timestamp: Option<i64>,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Result<Bytes> {
    let encoded = |why: String| Error::Encode {
        request: "append",
        why,
    };
    let mut builder =
        RecordsBuilder::new(1, Compression::None).map_err(|error| encoded(error.to_string()))?;
    builder
        .try_append(timestamp, key, value, &[])
        .map_err(|error| encoded(error.to_string()))?;
    let bytes = builder
        .finish()
        .map_err(|error| encoded(error.to_string()))?;
    let mut bytes = bytes.to_vec();
    if let Some(field) = bytes.first_chunk_mut::<8>() {
        *field = offset.to_be_bytes();
    }
    Ok(bytes.into())
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(feeder) = lock(&self.feeder).take() {
            feeder.abort();
        }
    }
}

impl Shared {
    /// Queues what there is room for.
    fn feed(&self) {
        let mut state = lock(&self.state);
        let State { logs, readers } = &mut *state;
        for (tp, reader) in readers.iter_mut().filter(|(_, reader)| !reader.halted) {
            let Some(log) = logs.get(tp) else { continue };
            self.feed_one(tp, reader, log);
        }
    }

    fn feed_one(&self, tp: &TopicPartition, reader: &mut Reader, log: &Log) {
        if reader.next_offset < log.first_offset || reader.next_offset > log.end() {
            reader.halted = true;
            let error = FetchError::OffsetOutOfRange {
                tp: tp.clone(),
                offset: reader.next_offset,
            };
            self.prefetch.push(tp, reader.generation, Err(error));
            return;
        }
        loop {
            let fill = self.prefetch.fill(tp);
            // As a broker's fetch is: half a share at a time, and a message that is larger only into an empty line.
            let room = (fill.share / 2)
                .min(fill.share.saturating_sub(fill.held))
                .min(LARGEST_CHUNK);
            let Some(chunk) = log.chunk(tp, reader.next_offset, room, fill.held == 0) else {
                return;
            };
            reader.next_offset = chunk.next_offset;
            self.prefetch.push(tp, reader.generation, Ok(chunk));
        }
    }
}

#[async_trait]
impl Backend for MemoryBackend {
    fn prefetch(&self) -> &Arc<Prefetch> {
        &self.shared.prefetch
    }

    fn start(&self, tp: &TopicPartition, from_offset: i64) {
        let mut state = lock(&self.shared.state);
        let reader = Reader {
            generation: self.shared.prefetch.open(tp),
            next_offset: from_offset,
            halted: false,
        };
        state.readers.insert(tp.clone(), reader);
        drop(state);
        self.shared.prefetch.demand().notify_waiters();
    }

    fn stop(&self, tp: &TopicPartition) {
        lock(&self.shared.state).readers.remove(tp);
        self.shared.prefetch.close(tp);
    }

    async fn partitions(&self, topic: &str) -> Result<Vec<i32>> {
        let state = lock(&self.shared.state);
        let partitions: Vec<i32> = state
            .logs
            .keys()
            .filter(|tp| *tp.topic == *topic)
            .map(|tp| tp.partition)
            .collect();
        if partitions.is_empty() {
            return Err(Error::UnknownTopic {
                topic: topic.to_owned(),
            });
        }
        Ok(partitions)
    }

    async fn list_offsets(
        &self,
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
    ) -> PerPartition<Option<i64>> {
        let state = lock(&self.shared.state);
        let find = |tp: &TopicPartition, spec: OffsetSpec| {
            let log = state
                .logs
                .get(tp)
                .ok_or_else(|| Error::UnknownPartition { tp: tp.clone() })?;
            Ok(match spec {
                OffsetSpec::Earliest => Some(log.first_offset),
                OffsetSpec::Latest => Some(log.end()),
                OffsetSpec::Time(time) => log
                    .entries
                    .iter()
                    .find(|entry| entry.timestamp.is_some_and(|at| at >= time))
                    .map(|entry| entry.offset),
            })
        };
        wanted
            .iter()
            .map(|(tp, spec)| (tp.clone(), find(tp, *spec)))
            .collect()
    }

    async fn close(&self) {
        let feeder = lock(&self.shared.feeder).take();
        if let Some(feeder) = feeder {
            feeder.abort();
            // Its end is what is waited for; that it was aborted is known.
            let _ = feeder.await;
        }
        let readers = std::mem::take(&mut lock(&self.shared.state).readers);
        for tp in readers.keys() {
            self.shared.prefetch.close(tp);
        }
    }
}
