//! A topic in memory, consumers of it, and doubles of what is around them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use divvy_client::{
    Backend, Chunk, CommittedOffset, FetchError, Generation, MemoryBackend, OffsetSpec,
    PerPartition, Prefetch, TopicPartition,
};
use divvy_protocol::compression::Compression;
use divvy_protocol::records::RecordsBuilder;
use divvy_simple_consumer::{
    AckMode, Assignment, Batch, Engine, Event, MemoryOffsets, OffsetStore, SimpleConsumer,
    SimpleConsumerConfig, Start,
};
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio::time::timeout;

pub(crate) const TOPIC: &str = "t";
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, partition)
}

/// What something gives that must not take long. Time stands still for these tests unless everybody waits.
pub(crate) async fn soon<F: Future>(what: F) -> F::Output {
    timeout(600 * SECOND, what).await.expect("it hangs")
}

/// A topic, the group's offsets, and how they are consumed. The group's offsets are committed on request and on closing.
pub(crate) struct Setup {
    pub(crate) backend: MemoryBackend,
    pub(crate) store: Arc<FaultyOffsets>,
    pub(crate) config: SimpleConsumerConfig,
}

impl Setup {
    pub(crate) fn new(partitions: i32) -> Self {
        Self::with_budget(partitions, 1 << 20)
    }

    /// A queue of so many bytes.
    pub(crate) fn with_budget(partitions: i32, budget: usize) -> Self {
        let backend = MemoryBackend::new(budget);
        backend.create_topic(TOPIC, partitions);
        let mut config = SimpleConsumerConfig::new([TOPIC]);
        config.consumer.auto_commit_interval = Some(3600 * SECOND);
        Self {
            backend,
            store: Arc::default(),
            config,
        }
    }

    pub(crate) fn explicit(partitions: i32) -> Self {
        let mut setup = Self::new(partitions);
        setup.config.consumer.ack_mode = AckMode::Explicit;
        setup
    }

    /// Appends messages whose values are `<partition>:<offset>`.
    pub(crate) fn fill(&self, partition: i32, count: usize) {
        self.fill_padded(partition, count, 0);
    }

    /// Appends messages that are at least so many bytes long.
    pub(crate) fn fill_padded(&self, partition: i32, count: usize, size: usize) {
        for _ in 0..count {
            let key = vec![b'k'; size];
            let value = format!("{partition}:{}", self.end(partition));
            self.backend
                .append(&tp(partition), None, Some(&key), Some(value.as_bytes()))
                .unwrap();
        }
    }

    fn end(&self, partition: i32) -> i64 {
        let wanted = BTreeMap::from([(tp(partition), OffsetSpec::Latest)]);
        let found = futures_util::FutureExt::now_or_never(self.backend.list_offsets(&wanted));
        let end = found.unwrap().remove(&tp(partition)).unwrap().unwrap();
        end.unwrap()
    }

    /// Stores an offset of the group.
    pub(crate) async fn commit(&self, partition: i32, offset: i64) {
        let stored = (Assignment::unfenced(tp(partition)), offset);
        self.store.inner.commit(&[stored]).await.unwrap();
    }

    pub(crate) fn stored(&self, partition: i32) -> Option<i64> {
        self.store.inner.stored().get(&tp(partition)).copied()
    }

    /// A consumer that is not started.
    pub(crate) fn consumer(&self) -> SimpleConsumer {
        let store: Arc<dyn OffsetStore> = Arc::clone(&self.store) as _;
        over(
            Arc::new(self.backend.clone()),
            Some(store),
            self.config.clone(),
        )
    }

    pub(crate) async fn started(&self) -> SimpleConsumer {
        let mut consumer = self.consumer();
        soon(consumer.start()).await.unwrap();
        consumer
    }
}

/// A started consumer and the engine that it shares with its coordination.
pub(crate) async fn shared(setup: &Setup) -> (Arc<Engine>, SimpleConsumer) {
    let engine = Engine::new(
        setup.config.consumer.clone(),
        "tester".to_owned(),
        Arc::new(setup.backend.clone()),
        Some(Arc::clone(&setup.store) as _),
        Handle::current(),
    );
    let config = setup.config.clone();
    let mut consumer = SimpleConsumer::with_engine(Arc::clone(&engine), config);
    consumer.start().await.unwrap();
    (engine, consumer)
}

/// A start at this offset, with nothing stored.
pub(crate) fn at(offset: i64) -> Start {
    Start {
        offset,
        committed: None,
    }
}

/// A consumer of any backend.
pub(crate) fn over(
    backend: Arc<dyn Backend>,
    store: Option<Arc<dyn OffsetStore>>,
    config: SimpleConsumerConfig,
) -> SimpleConsumer {
    let engine = Engine::new(
        config.consumer.clone(),
        "tester".to_owned(),
        backend,
        store,
        Handle::current(),
    );
    SimpleConsumer::with_engine(engine, config)
}

/// Lets time pass, and everybody do what is due then.
pub(crate) async fn pass(time: Duration) {
    tokio::time::advance(time).await;
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// The next message: its partition and offset.
pub(crate) async fn next(consumer: &mut SimpleConsumer) -> (i32, i64) {
    let message = soon(consumer.recv()).await.unwrap();
    (message.partition().partition, message.offset())
}

/// That nothing comes for a while.
pub(crate) async fn assert_nothing(consumer: &mut SimpleConsumer) {
    let message = consumer.recv_timeout(10 * SECOND).await.unwrap();
    assert!(message.is_none(), "{:?}", message.map(|m| m.offset()));
}

/// The offsets of so many more records of a batch.
pub(crate) fn yielded(batch: &mut Batch<'_>, count: usize) -> Vec<i64> {
    let records = batch.records().take(count);
    records.map(|record| record.offset).collect()
}

/// Every event that was reported, in order.
pub(crate) fn all(events: &mut broadcast::Receiver<Event>) -> Vec<Event> {
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}

/// A record set of these values, from this offset on. With a codec it is one compressed entry.
pub(crate) fn record_set(first_offset: i64, values: &[&[u8]], compression: Compression) -> Bytes {
    let mut builder = RecordsBuilder::new(2, compression).unwrap();
    for value in values {
        builder.try_append(None, None, Some(value), &[]).unwrap();
    }
    let mut bytes = builder.finish().unwrap().to_vec();
    bytes[..8].copy_from_slice(&first_offset.to_be_bytes());
    bytes.into()
}

/// A store that fails when it is told to.
#[derive(Debug, Default)]
pub(crate) struct FaultyOffsets {
    pub(crate) inner: MemoryOffsets,
    /// Nothing can be asked or stored.
    pub(crate) down: AtomicBool,
    /// These partitions cannot be asked for or stored; the others can.
    pub(crate) broken: Mutex<BTreeSet<TopicPartition>>,
    /// How many offsets were to be stored.
    pub(crate) writes: AtomicUsize,
}

fn unavailable() -> divvy_client::Error {
    divvy_client::Error::NoBroker {
        tried: "the store".to_owned(),
    }
}

impl FaultyOffsets {
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }

    pub(crate) fn set_broken(&self, partitions: impl IntoIterator<Item = i32>) {
        *self.broken.lock().unwrap() = partitions.into_iter().map(tp).collect();
    }

    pub(crate) fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    fn check(&self) -> divvy_client::Result<()> {
        let down = self.down.load(Ordering::Relaxed);
        if down { Err(unavailable()) } else { Ok(()) }
    }

    fn is_broken(&self, tp: &TopicPartition) -> bool {
        self.broken.lock().unwrap().contains(tp)
    }

    fn spoil<T>(&self, results: PerPartition<T>) -> PerPartition<T> {
        let spoilt = results.into_iter().map(|(tp, result)| {
            let broken = self.is_broken(&tp);
            (tp, if broken { Err(unavailable()) } else { result })
        });
        spoilt.collect()
    }
}

#[async_trait]
impl OffsetStore for FaultyOffsets {
    async fn fetch(
        &self,
        tps: &[TopicPartition],
    ) -> divvy_client::Result<PerPartition<Option<CommittedOffset>>> {
        self.check()?;
        Ok(self.spoil(self.inner.fetch(tps).await?))
    }

    async fn commit(
        &self,
        offsets: &[(Assignment, i64)],
    ) -> divvy_client::Result<PerPartition<()>> {
        self.check()?;
        self.writes.fetch_add(offsets.len(), Ordering::Relaxed);
        let (broken, whole): (Vec<_>, Vec<_>) = offsets
            .iter()
            .cloned()
            .partition(|(assignment, _)| self.is_broken(&assignment.tp));
        let mut results = self.inner.commit(&whole).await?;
        let failed = broken.into_iter().map(|(a, _)| (a.tp, Err(unavailable())));
        results.extend(failed);
        Ok(results)
    }
}

/// A backend that queues what a test tells it to.
#[derive(Debug)]
pub(crate) struct Scripted {
    prefetch: Arc<Prefetch>,
    partitions: Vec<i32>,
    /// Each start, in order.
    starts: Mutex<Vec<(TopicPartition, i64, Generation)>>,
    /// What offsets are answered, in order; the last goes on.
    offsets: Mutex<Vec<Result<i64, divvy_client::Error>>>,
}

impl Scripted {
    pub(crate) fn new(partitions: i32) -> Arc<Self> {
        Arc::new(Self {
            prefetch: Prefetch::new(64 << 20),
            partitions: (0..partitions).collect(),
            starts: Mutex::default(),
            offsets: Mutex::new(vec![Ok(0)]),
        })
    }

    /// A started consumer of it, without a group.
    pub(crate) async fn consumer(self: &Arc<Self>) -> SimpleConsumer {
        self.consumer_with(SimpleConsumerConfig::new([TOPIC])).await
    }

    pub(crate) async fn consumer_with(
        self: &Arc<Self>,
        config: SimpleConsumerConfig,
    ) -> SimpleConsumer {
        let mut consumer = over(Arc::clone(self) as _, None, config);
        soon(consumer.start()).await.unwrap();
        consumer
    }

    pub(crate) fn answer_offsets(&self, answers: Vec<Result<i64, divvy_client::Error>>) {
        *self.offsets.lock().unwrap() = answers;
    }

    /// Where a partition was started, each time.
    pub(crate) fn starts(&self, partition: i32) -> Vec<i64> {
        let starts = self.starts.lock().unwrap();
        let of_partition = starts.iter().filter(|(at, ..)| *at == tp(partition));
        of_partition.map(|(_, offset, _)| *offset).collect()
    }

    /// Queues something for the latest start of a partition.
    pub(crate) fn push(&self, partition: i32, item: Result<Chunk, FetchError>) {
        let starts = self.starts.lock().unwrap();
        let latest = starts.iter().rev().find(|(at, ..)| *at == tp(partition));
        let (tp, _, generation) = latest.unwrap();
        assert!(self.prefetch.push(tp, *generation, item));
    }

    /// Queues values as one entry.
    pub(crate) fn push_values(
        &self,
        partition: i32,
        first_offset: i64,
        values: &[&[u8]],
        compression: Compression,
    ) {
        let entries = record_set(first_offset, values, compression);
        let next_offset = first_offset + i64::try_from(values.len()).unwrap();
        let mut chunk = Chunk::new(tp(partition), first_offset, next_offset, 1000, entries);
        chunk.compressed = compression != Compression::None;
        self.push(partition, Ok(chunk));
    }
}

#[async_trait]
impl Backend for Scripted {
    fn prefetch(&self) -> &Arc<Prefetch> {
        &self.prefetch
    }

    fn start(&self, tp: &TopicPartition, from_offset: i64) {
        let generation = self.prefetch.open(tp);
        let mut starts = self.starts.lock().unwrap();
        starts.push((tp.clone(), from_offset, generation));
    }

    fn stop(&self, tp: &TopicPartition) {
        self.prefetch.close(tp);
    }

    async fn partitions(&self, _topic: &str) -> divvy_client::Result<Vec<i32>> {
        Ok(self.partitions.clone())
    }

    async fn list_offsets(
        &self,
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
    ) -> PerPartition<Option<i64>> {
        let mut answers = self.offsets.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        };
        let all = wanted.keys();
        all.map(|tp| (tp.clone(), answer.clone().map(Some)))
            .collect()
    }

    async fn close(&self) {}
}
