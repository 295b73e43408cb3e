use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use divvy_client::{Client, TopicPartition};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::accumulator::Pending;
use crate::config::ProducerConfig;
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::partitioner::Partitions;
use crate::record::{BATCH_OVERHEAD, Entry, ProducerRecord};
use crate::sender::{Shared, refresh_what_is_stale, send_what_is_ready};
use crate::sync::lock;

/// Sends records to a cluster, in batches.
///
/// Cheap to clone and to share among tasks; clones are one producer. Its tasks run on the client's runtime.
///
/// *Order.* Records of one partition that one task sends are stored in the order of its calls to [`Producer::send`], retries or
/// not.
///
/// *Once or more.* A record whose [`Delivery`] succeeded is stored. A retry after an answer that was lost stores it twice, and one
/// that failed may have been stored all the same.
///
/// *The end.* [`Producer::close`] delivers what is queued. Dropping the last clone does not: whatever has no outcome then has
/// failed with [`Error::Closed`].
#[derive(Clone)]
pub struct Producer {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    /// The topics that were looked up.
    topics: Mutex<HashSet<Arc<str>>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.accumulator().abandon();
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("config", &self.inner.shared.config)
            .finish_non_exhaustive()
    }
}

impl Producer {
    /// Makes a producer for the client's cluster. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// What [`ProducerConfig::validate`] says.
    pub fn new(client: &Client, config: ProducerConfig) -> Result<Self> {
        config.validate()?;
        let shared = Arc::new(Shared::new(client.clone(), config));
        let mut tasks = JoinSet::new();
        tasks.spawn_on(send_what_is_ready(Arc::clone(&shared)), client.runtime());
        tasks.spawn_on(refresh_what_is_stale(Arc::clone(&shared)), client.runtime());
        let inner = Inner {
            shared,
            topics: Mutex::default(),
            tasks: Mutex::new(tasks),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The configuration.
    pub fn config(&self) -> &ProducerConfig {
        &self.inner.shared.config
    }

    /// Queues a record, and gives the future of its delivery, which may be dropped by who does not care.
    ///
    /// Waits while the [buffer](ProducerConfig::buffer_memory) is full; those who wait are served in turn. When cancelled, the
    /// record is not queued.
    ///
    /// # Errors
    ///
    /// The record was not queued: its topic or partition does not exist ([`divvy_client::Error::UnknownTopic`], which is never
    /// created by asking, or [`divvy_client::Error::UnknownPartition`], within [`Error::Client`]), [`Error::RecordTooLarge`],
    /// [`Error::InvalidRecord`], [`Error::Partitioner`], [`Error::Closed`], or why the cluster could not be asked.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery> {
        self.look_up(&record.topic).await?;
        let tp = match self.choose_partition(&record) {
            // It may have been added a moment ago.
            Err(Error::Client(divvy_client::Error::UnknownPartition { .. })) => {
                self.inner.shared.client.refresh().await?;
                self.choose_partition(&record)?
            }
            chosen => chosen?,
        };
        let (entry, size) = self.check(record)?;
        let shared = &self.inner.shared;
        let budget = match Arc::clone(&shared.budget).try_acquire_many_owned(size) {
            Ok(budget) => budget,
            Err(_) => {
                let _pressure = shared.wait_for_room();
                let room = Arc::clone(&shared.budget).acquire_many_owned(size);
                room.await.map_err(|_| Error::Closed)?
            }
        };
        self.append(&tp, entry, budget)
    }

    /// Queues a record, or fails at once where [`Producer::send`] would wait.
    ///
    /// # Errors
    ///
    /// As [`Producer::send`]; besides [`Error::BufferFull`], and [`Error::NotLookedUp`] for a topic for which neither `send` nor
    /// [`Producer::partitions_for`] was called before.
    pub fn try_send(&self, record: ProducerRecord) -> Result<Delivery> {
        if !lock(&self.inner.topics).contains(&record.topic) {
            return Err(Error::NotLookedUp {
                topic: record.topic.to_string(),
            });
        }
        let tp = self.choose_partition(&record)?;
        let (entry, size) = self.check(record)?;
        let shared = &self.inner.shared;
        let budget = Arc::clone(&shared.budget).try_acquire_many_owned(size);
        let budget = budget.map_err(|error| match error {
            tokio::sync::TryAcquireError::Closed => Error::Closed,
            tokio::sync::TryAcquireError::NoPermits => Error::BufferFull {
                needed: entry.memory_size(),
                buffer_memory: shared.config.buffer_memory,
            },
        })?;
        self.append(&tp, entry, budget)
    }

    /// The partitions of a topic in ascending order, looked up where they are not known yet. Kafka: `partitionsFor`.
    ///
    /// # Errors
    ///
    /// [`divvy_client::Error::UnknownTopic`] within [`Error::Client`], or why the cluster could not be asked.
    pub async fn partitions_for(&self, topic: &str) -> Result<Vec<i32>> {
        self.look_up(&Arc::from(topic)).await?;
        self.known_partitions(topic)
    }

    /// Sends what is queued without waiting for more, and waits until all of it is delivered or has failed. Records that are sent
    /// meanwhile are not waited for.
    ///
    /// # Errors
    ///
    /// [`Error::Undelivered`] if any of it has failed.
    pub async fn flush(&self) -> Result<()> {
        let pending = self.inner.shared.accumulator().flush();
        self.inner.shared.wake();
        let outcome = outcome_of(pending).await;
        self.inner.shared.reach_brokers().await;
        outcome
    }

    /// Takes no more records, delivers what is queued for as long as `within`, and ends. What is not delivered by then has failed
    /// with [`Error::Closed`]; zero gives up all of it at once. Kafka: `close(timeout)`.
    ///
    /// # Errors
    ///
    /// [`Error::Undelivered`] says of which partitions how many records were not delivered, as far as they had no outcome when
    /// this was called.
    pub async fn close(&self, within: Duration) -> Result<()> {
        let shared = &self.inner.shared;
        let pending = {
            let mut accumulator = shared.accumulator();
            accumulator.close();
            accumulator.flush()
        };
        shared.budget.close();
        shared.wake();
        let began = Instant::now();
        let mut outcome = std::pin::pin!(outcome_of(pending));
        if let Ok(outcome) = timeout(within, &mut outcome).await {
            let left = within.saturating_sub(began.elapsed());
            if timeout(left, shared.reach_brokers()).await.is_err() {
                tracing::warn!("records that were sent without acks may be lost");
            }
            self.end();
            return outcome;
        }
        self.end();
        // Everything has its outcome now.
        outcome.await
    }

    fn end(&self) {
        self.inner.shared.accumulator().abandon();
        lock(&self.inner.tasks).abort_all();
    }

    async fn look_up(&self, topic: &Arc<str>) -> Result<()> {
        if lock(&self.inner.topics).contains(topic) {
            return Ok(());
        }
        self.inner.shared.client.use_topics([topic]).await?;
        lock(&self.inner.topics).insert(Arc::clone(topic));
        Ok(())
    }

    fn known_partitions(&self, topic: &str) -> Result<Vec<i32>> {
        let metadata = self.inner.shared.client.metadata();
        let unknown = || divvy_client::Error::UnknownTopic {
            topic: topic.to_owned(),
        };
        Ok(metadata.partitions(topic).ok_or_else(unknown)?)
    }

    fn choose_partition(&self, record: &ProducerRecord) -> Result<TopicPartition> {
        let partitions = self.known_partitions(&record.topic)?;
        let on = |partition| TopicPartition {
            topic: Arc::clone(&record.topic),
            partition,
        };
        if let Some(partition) = record.partition {
            return match partitions.contains(&partition) {
                true => Ok(on(partition)),
                false => Err(divvy_client::Error::UnknownPartition { tp: on(partition) }.into()),
            };
        }
        if record.key.is_none() && self.config().partitioner.needs_key() {
            return Err(Error::InvalidRecord {
                topic: record.topic.to_string(),
                why: "it has no key, by which the partitioner goes".to_owned(),
            });
        }
        let metadata = self.inner.shared.client.metadata();
        let is_available = |partition: &i32| metadata.leader(&on(*partition)).is_some();
        let available: Vec<i32> = partitions.iter().copied().filter(is_available).collect();
        let tp = on(self.config().partitioner.partition(
            &record.topic,
            record.key.as_deref(),
            Partitions::new(&partitions, &available),
        ));
        match partitions.contains(&tp.partition) {
            true => Ok(tp),
            false => Err(Error::Partitioner { tp }),
        }
    }

    /// Refuses what could never be delivered. Gives what the record takes of the budget.
    fn check(&self, record: ProducerRecord) -> Result<(Entry, u32)> {
        let topic = Arc::clone(&record.topic);
        let entry = Entry::new(record, now_ms());
        if entry.timestamp < 0 {
            let why = format!("its timestamp {} lies before 1970", entry.timestamp);
            let topic = topic.to_string();
            return Err(Error::InvalidRecord { topic, why });
        }
        let config = self.config();
        let too_large = |size, max, limit| Error::RecordTooLarge {
            topic: topic.to_string(),
            size,
            max,
            limit,
        };
        let size = entry.wire_size().saturating_add(BATCH_OVERHEAD);
        if size > config.max_request_size {
            return Err(too_large(size, config.max_request_size, "max_request_size"));
        }
        let size = entry.memory_size();
        match u32::try_from(size) {
            Ok(permits) if size <= config.buffer_memory => Ok((entry, permits)),
            _ => Err(too_large(size, config.buffer_memory, "buffer_memory")),
        }
    }

    fn append(
        &self,
        tp: &TopicPartition,
        entry: Entry,
        budget: OwnedSemaphorePermit,
    ) -> Result<Delivery> {
        let shared = &self.inner.shared;
        let appended = shared
            .accumulator()
            .append(tp, entry, Some(budget), Instant::now());
        let (delivery, is_news) = appended?;
        if is_news {
            shared.wake();
        }
        Ok(delivery)
    }
}

/// Waits until every batch has its outcome.
async fn outcome_of(pending: Vec<Pending>) -> Result<()> {
    let mut failed: BTreeMap<TopicPartition, usize> = BTreeMap::new();
    let mut first = None;
    for batch in pending {
        if let Err(error) = batch.outcome.delivery(0, 0).await {
            *failed.entry(batch.tp).or_default() += batch.records;
            first.get_or_insert(error);
        }
    }
    match first {
        None => Ok(()),
        Some(first) => Err(Error::Undelivered {
            partitions: failed.into_iter().collect(),
            first: Box::new(first),
        }),
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // A clock before 1970 is no reason to stop.
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
