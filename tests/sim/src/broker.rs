//! Brokers: the logs, and how a member reads them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use divvy_client::{
    Backend, Chunk, Error, FetchError, Generation, OffsetSpec, PerPartition, Prefetch,
    TopicPartition,
};
use divvy_protocol::compression::Compression;
use divvy_protocol::records::RecordsBuilder;

use crate::world::World;

/// How many messages come in one piece.
const CHUNK: usize = 16;
/// Far more than a run writes.
const BUDGET: usize = 64 << 20;

#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The first offset that is still there.
    pub(crate) start: i64,
    entries: Vec<Bytes>,
}

impl Log {
    pub(crate) fn end(&self) -> i64 {
        self.entries.len() as i64
    }

    fn chunk(&self, tp: &TopicPartition, from: i64) -> Option<Chunk> {
        let from_index = usize::try_from(from).ok()?;
        let until = (from_index + CHUNK).min(self.entries.len());
        let entries = self.entries.get(from_index..until)?;
        let first = entries.first()?;
        let bytes = if entries.len() == 1 {
            first.clone()
        } else {
            let mut bytes = BytesMut::with_capacity(entries.iter().map(Bytes::len).sum());
            entries
                .iter()
                .for_each(|entry| bytes.extend_from_slice(entry));
            bytes.freeze()
        };
        let (next, end) = (until as i64, self.end());
        Some(Chunk::new(tp.clone(), from, next, end, bytes))
    }
}

/// How one member reads.
#[derive(Debug)]
struct Reading {
    prefetch: Arc<Prefetch>,
    readers: BTreeMap<TopicPartition, Reader>,
}

#[derive(Debug)]
struct Reader {
    generation: Generation,
    next: i64,
    halted: bool,
}

/// All logs and all who read them.
#[derive(Debug, Default)]
pub(crate) struct Brokers {
    pub(crate) logs: BTreeMap<TopicPartition, Log>,
    reading: BTreeMap<u64, Reading>,
    last: u64,
    /// Look-ups fail until then.
    pub(crate) mute_until: u64,
}

impl Brokers {
    pub(crate) fn append(&mut self, tp: &TopicPartition) {
        let Some(log) = self.logs.get_mut(tp) else {
            return;
        };
        if let Some(entry) = encode(log.end()) {
            log.entries.push(entry);
        }
        for reading in self.reading.values_mut() {
            reading.feed(tp, log);
        }
    }

    /// Deletes what lies below an offset.
    pub(crate) fn truncate(&mut self, tp: &TopicPartition, start: i64) {
        if let Some(log) = self.logs.get_mut(tp) {
            log.start = log.start.max(start);
            for reading in self.reading.values_mut() {
                reading.feed(tp, log);
            }
        }
    }

    pub(crate) fn forget(&mut self, backend: u64) {
        self.reading.remove(&backend);
    }
}

impl Reading {
    fn feed(&mut self, tp: &TopicPartition, log: &Log) {
        let Some(reader) = self.readers.get_mut(tp).filter(|reader| !reader.halted) else {
            return;
        };
        if reader.next < log.start || reader.next > log.end() {
            reader.halted = true;
            let error = FetchError::OffsetOutOfRange {
                tp: tp.clone(),
                offset: reader.next,
            };
            self.prefetch.push(tp, reader.generation, Err(error));
            return;
        }
        while let Some(chunk) = log.chunk(tp, reader.next) {
            reader.next = chunk.next_offset;
            self.prefetch.push(tp, reader.generation, Ok(chunk));
        }
    }
}

/// One message of format 0, which needs no time. The checksum does not cover the offset, so that one message does for all.
fn encode(offset: i64) -> Option<Bytes> {
    static MESSAGE: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let message = MESSAGE.get_or_init(|| {
        let mut builder = RecordsBuilder::new(0, Compression::None).ok()?;
        builder.try_append(None, None, Some(b"x"), &[]).ok()?;
        Some(builder.finish().ok()?.to_vec())
    });
    let mut bytes = message.clone()?;
    *bytes.first_chunk_mut::<8>()? = offset.to_be_bytes();
    Some(bytes.into())
}

/// A member's way to the brokers, which never fails but in looking up offsets.
#[derive(Debug)]
pub(crate) struct SimBackend {
    world: World,
    pub(crate) id: u64,
    prefetch: Arc<Prefetch>,
}

impl SimBackend {
    pub(crate) fn new(world: &World) -> Self {
        let prefetch = Prefetch::new(BUDGET);
        let mut state = world.lock();
        let brokers = &mut state.brokers;
        brokers.last += 1;
        let id = brokers.last;
        let reading = Reading {
            prefetch: Arc::clone(&prefetch),
            readers: BTreeMap::new(),
        };
        brokers.reading.insert(id, reading);
        drop(state);
        Self {
            world: world.clone(),
            id,
            prefetch,
        }
    }
}

#[async_trait]
impl Backend for SimBackend {
    fn prefetch(&self) -> &Arc<Prefetch> {
        &self.prefetch
    }

    fn start(&self, tp: &TopicPartition, from_offset: i64) {
        let reader = Reader {
            generation: self.prefetch.open(tp),
            next: from_offset,
            halted: false,
        };
        let mut state = self.world.lock();
        let Brokers { logs, reading, .. } = &mut state.brokers;
        if let (Some(reading), Some(log)) = (reading.get_mut(&self.id), logs.get(tp)) {
            reading.readers.insert(tp.clone(), reader);
            reading.feed(tp, log);
        }
    }

    fn stop(&self, tp: &TopicPartition) {
        if let Some(reading) = self.world.lock().brokers.reading.get_mut(&self.id) {
            reading.readers.remove(tp);
        }
        self.prefetch.close(tp);
    }

    async fn partitions(&self, topic: &str) -> divvy_client::Result<Vec<i32>> {
        let state = self.world.lock();
        let logs = state.brokers.logs.keys();
        let partitions: Vec<i32> = logs
            .filter(|tp| *tp.topic == *topic)
            .map(|tp| tp.partition)
            .collect();
        if partitions.is_empty() {
            let topic = topic.to_owned();
            return Err(Error::UnknownTopic { topic });
        }
        Ok(partitions)
    }

    async fn list_offsets(
        &self,
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
    ) -> PerPartition<Option<i64>> {
        let state = self.world.lock();
        let find = |tp: &TopicPartition, spec: &OffsetSpec| {
            if state.now() < state.brokers.mute_until {
                return Err(Error::Timeout {
                    broker: "broker".to_owned(),
                    request: "ListOffsets",
                    after: Duration::from_secs(1),
                });
            }
            let log = state.brokers.logs.get(tp);
            let log = log.ok_or_else(|| Error::UnknownPartition { tp: tp.clone() })?;
            Ok(match spec {
                OffsetSpec::Earliest => Some(log.start),
                _ => Some(log.end()),
            })
        };
        let found = wanted.iter().map(|(tp, spec)| (tp.clone(), find(tp, spec)));
        found.collect()
    }

    async fn close(&self) {
        self.world.lock().brokers.forget(self.id);
    }
}
