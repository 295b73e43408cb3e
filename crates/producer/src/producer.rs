use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use divvy_client::Client;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::accumulator::{KEPT_OVERHEAD, Refused, Slot, outcome_of};
use crate::config::ProducerConfig;
use crate::deliveries::Deliveries;
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::record::{BATCH_OVERHEAD, Fields, ProducerRecord};
use crate::sender::{Shared, refresh_what_is_stale, send_what_is_ready};
use crate::sync::lock;
use crate::topics::Topic;

/// How many records [`Producer::send_all`] queues at a time.
const AT_A_TIME: usize = 64;

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
    /// What [`ProducerConfig::validate`] says, and with [`ProducerConfig::use_rdkafka`] that this build has no librdkafka, or that
    /// it cannot be set up so.
    pub fn new(client: &Client, config: ProducerConfig) -> Result<Self> {
        config.validate()?;
        let shared = Arc::new(Shared::new(client.clone(), config)?);
        let mut tasks = JoinSet::new();
        tasks.spawn_on(send_what_is_ready(Arc::clone(&shared)), client.runtime());
        tasks.spawn_on(refresh_what_is_stale(Arc::clone(&shared)), client.runtime());
        let inner = Inner {
            shared,
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
    /// The record was not queued: its topic or partition does not exist ([`divvy_client::Error::UnknownTopic`], see
    /// [`ProducerConfig::allow_auto_create_topics`], or [`divvy_client::Error::UnknownPartition`], within [`Error::Client`]), [`Error::RecordTooLarge`],
    /// [`Error::InvalidRecord`], [`Error::Partitioner`], [`Error::Closed`], or why the cluster could not be asked.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery> {
        let slot = self.find(&record).await?;
        let fields = self.check(&record, now_ms())?;
        self.append(slot, &fields).await
    }

    /// Queues many records, in their order, and gives the deliveries of all of them: one future for all, which costs next to
    /// nothing for each record. A record that is not queued, for whatever [`Producer::send`] would have said, has that error as
    /// its outcome there; the others are queued all the same.
    ///
    /// Waits while the [buffer](ProducerConfig::buffer_memory) is full. When cancelled, some of the records are queued and the
    /// rest is not.
    pub async fn send_all(&self, records: impl IntoIterator<Item = ProducerRecord>) -> Deliveries {
        let mut records = records.into_iter();
        let mut deliveries = Deliveries::default();
        let (mut some, mut places) = (Vec::new(), Vec::new());
        loop {
            some.extend(records.by_ref().take(AT_A_TIME));
            if some.is_empty() {
                return deliveries;
            }
            self.find_all(&some, &mut places).await;
            let mut placed = some.iter().zip(places.drain(..)).peekable();
            while placed.peek().is_some() {
                self.queue_all(&mut placed, &mut deliveries).await;
            }
            drop(placed);
            some.clear();
        }
    }

    /// Queues a record, or fails at once where [`Producer::send`] would wait.
    ///
    /// # Errors
    ///
    /// As [`Producer::send`]; besides [`Error::BufferFull`], and [`Error::NotLookedUp`] for a topic for which neither `send` nor
    /// [`Producer::partitions_for`] was called before.
    pub fn try_send(&self, record: ProducerRecord) -> Result<Delivery> {
        let slot = self.place(&record)?;
        let fields = self.check(&record, now_ms())?;
        self.append_now(slot, &fields)
            .map_err(|refused| match refused {
                Refused::Closed => Error::Closed,
                Refused::NoRoom => Error::BufferFull {
                    needed: fields.kept_size(),
                    buffer_memory: self.config().buffer_memory,
                },
            })
    }

    /// The partitions of a topic in ascending order, looked up where they are not known yet. Kafka: `partitionsFor`.
    ///
    /// # Errors
    ///
    /// [`divvy_client::Error::UnknownTopic`] within [`Error::Client`], or why the cluster could not be asked.
    pub async fn partitions_for(&self, topic: &str) -> Result<Vec<i32>> {
        let topic = self.look_up(&Arc::from(topic)).await?;
        Ok(topic.partitions().to_vec())
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
        shared.stop_waiting();
        let began = Instant::now();
        let mut outcome = std::pin::pin!(outcome_of(pending));
        if let Ok(outcome) = timeout(within, &mut outcome).await {
            let left = within.saturating_sub(began.elapsed());
            if timeout(left, shared.reach_brokers()).await.is_err() {
                tracing::warn!("records that were sent without acks may be lost");
            }
            self.end();
            let left = within.saturating_sub(began.elapsed());
            self.end_rdkafka(left).await;
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

    /// Waits so long for the end of librdkafka's threads, which comes by itself after that.
    async fn end_rdkafka(&self, within: Duration) {
        if let Some(rdkafka) = &self.inner.shared.rdkafka
            && timeout(within, rdkafka.close()).await.is_err()
        {
            tracing::debug!("librdkafka takes its time to end");
        }
    }

    async fn look_up(&self, name: &Arc<str>) -> Result<Arc<Topic>> {
        let shared = &self.inner.shared;
        if let Some(topic) = shared.topics.get(name) {
            return Ok(topic);
        }
        match shared.config.allow_auto_create_topics {
            true => {
                let within = shared.config.request_timeout;
                shared.client.create_topic_by_asking(name, within).await?;
            }
            false => shared.client.use_topics([name]).await?,
        }
        let metadata = shared.client.metadata();
        shared
            .topics
            .add(name, &metadata, &mut shared.accumulator());
        let unknown = || divvy_client::Error::UnknownTopic {
            topic: name.to_string(),
        };
        Ok(shared.topics.get(name).ok_or_else(unknown)?)
    }

    /// Where a record goes, as far as that is known.
    fn place(&self, record: &ProducerRecord) -> Result<Slot> {
        let topic = self.inner.shared.topics.get(&record.topic);
        let topic = topic.ok_or_else(|| Error::NotLookedUp {
            topic: record.topic.to_string(),
        })?;
        self.place_in(&topic, record)
    }

    fn place_in(&self, topic: &Topic, record: &ProducerRecord) -> Result<Slot> {
        let partitioner = &*self.inner.shared.config.partitioner;
        topic.place(record.partition, record.key.as_deref(), partitioner)
    }

    /// Where a record goes.
    async fn find(&self, record: &ProducerRecord) -> Result<Slot> {
        match self.place(record) {
            Err(Error::NotLookedUp { .. }) => {
                self.look_up(&record.topic).await?;
            }
            // It may have been added a moment ago.
            Err(Error::Client(divvy_client::Error::UnknownPartition { .. })) => {
                self.inner.shared.client.refresh().await?;
                self.inner.shared.update_topics();
            }
            placed => return placed,
        }
        self.place(record)
    }

    /// Refuses what could never be delivered.
    #[inline]
    fn check<'a>(&self, record: &'a ProducerRecord, now_ms: i64) -> Result<Fields<'a>> {
        let fields = Fields::new(record, now_ms);
        if fields.timestamp < 0 {
            let why = format!("its timestamp {} lies before 1970", fields.timestamp);
            let topic = record.topic.to_string();
            return Err(Error::InvalidRecord { topic, why });
        }
        let config = self.config();
        let too_large = |size, max, limit| Error::RecordTooLarge {
            topic: record.topic.to_string(),
            size,
            max,
            limit,
        };
        let size = fields.wire_size().saturating_add(BATCH_OVERHEAD);
        if size > config.max_request_size {
            return Err(too_large(size, config.max_request_size, "max_request_size"));
        }
        let size = fields.kept_size().saturating_add(KEPT_OVERHEAD);
        if size > config.buffer_memory {
            return Err(too_large(size, config.buffer_memory, "buffer_memory"));
        }
        Ok(fields)
    }

    /// Queues a record if there is room for it, and nobody waits for room.
    #[inline]
    fn append_now(&self, slot: Slot, fields: &Fields<'_>) -> Result<Delivery, Refused> {
        let shared = &self.inner.shared;
        if shared.is_waited_for() {
            return Err(Refused::NoRoom);
        }
        shared.append(slot, fields)
    }

    async fn append(&self, slot: Slot, fields: &Fields<'_>) -> Result<Delivery> {
        match self.append_now(slot, fields) {
            Err(Refused::NoRoom) => self.inner.shared.append_in_turn(slot, fields).await,
            appended => Ok(appended?),
        }
    }

    /// Where each of many records goes.
    async fn find_all(&self, records: &[ProducerRecord], places: &mut Vec<Placed>) {
        // Many records in a row have one topic, as a rule.
        let mut last: Option<Arc<Topic>> = None;
        for record in records {
            let topic = last.as_ref().filter(|topic| topic.name == record.topic);
            let placed = match topic.map(|topic| self.place_in(topic, record)) {
                Some(Ok(slot)) => Ok(slot),
                _ => {
                    let placed = self.find(record).await;
                    last = self.inner.shared.topics.get(&record.topic);
                    placed
                }
            };
            places.push(placed.map_err(Box::new));
        }
    }

    /// Queues records for as long as there is room, and then one when there is.
    async fn queue_all<'a>(
        &self,
        placed: &mut impl Iterator<Item = (&'a ProducerRecord, Placed)>,
        deliveries: &mut Deliveries,
    ) {
        let shared = &self.inner.shared;
        let Some((slot, fields)) = self.queue_now(placed, deliveries) else {
            return;
        };
        match shared.append_in_turn(slot, &fields).await {
            Ok(delivery) => deliveries.add(slot, &delivery),
            Err(error) => deliveries.refused(error),
        }
    }

    /// Queues records for as long as there is room; gives the first that there is none for.
    fn queue_now<'a>(
        &self,
        placed: &mut impl Iterator<Item = (&'a ProducerRecord, Placed)>,
        deliveries: &mut Deliveries,
    ) -> Option<(Slot, Fields<'a>)> {
        let shared = &self.inner.shared;
        let now = now_ms();
        let mut is_news = false;
        let mut without_room = None;
        {
            let mut accumulator = shared.accumulator();
            for (record, placed) in placed {
                let checked = placed
                    .map_err(|error| *error)
                    .and_then(|slot| Ok((slot, self.check(record, now)?)));
                let (slot, fields) = match checked {
                    Ok(checked) => checked,
                    Err(error) => {
                        deliveries.refused(error);
                        continue;
                    }
                };
                if shared.is_waited_for() {
                    without_room = Some((slot, fields));
                    break;
                }
                match accumulator.append(slot, &fields, Instant::now) {
                    Ok(queued) => {
                        is_news |= queued.is_news;
                        deliveries.queued(slot, &queued, fields.timestamp);
                    }
                    Err(Refused::Closed) => deliveries.refused(Error::Closed),
                    Err(Refused::NoRoom) => {
                        without_room = Some((slot, fields));
                        break;
                    }
                }
            }
        }
        if is_news {
            shared.wake();
        }
        without_room
    }
}

/// Where a record goes, or why nowhere.
type Placed = Result<Slot, Box<Error>>;

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // A clock before 1970 is no reason to stop.
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
