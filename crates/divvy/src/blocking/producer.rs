use std::time::Duration;

use super::client::Client;
use super::error::Result;
use super::runtime::Runtime;
use crate::{ProducerConfig, ProducerRecord, RecordMetadata, TopicPartition};

/// Sends records to a cluster, in batches, as [`divvy::Producer`](crate::Producer). Cheap to clone and to share among threads;
/// clones are one producer.
#[derive(Clone, Debug)]
pub struct Producer {
    inner: crate::Producer,
    runtime: Runtime,
}

impl Producer {
    /// Makes a producer for the client's cluster. Sends nothing yet.
    pub fn new(client: &Client, config: ProducerConfig) -> Result<Self> {
        Ok(Self {
            inner: crate::Producer::new(client.as_async(), config)?,
            runtime: client.runtime().clone(),
        })
    }

    /// The configuration.
    pub fn config(&self) -> &ProducerConfig {
        self.inner.config()
    }

    /// Queues a record, and gives its delivery, which may be dropped by who does not care. Waits while the buffer is full. Errors as
    /// for [`divvy::Producer::send`](crate::Producer::send).
    pub fn send(&self, record: ProducerRecord) -> Result<Delivery> {
        let inner = self.runtime.run(self.inner.send(record))?;
        Ok(self.delivery(inner))
    }

    /// Sends a record and waits until it is stored: simple, and slow, because nothing else of this thread goes into its batch.
    /// PyKafka: `get_sync_producer`, then `produce`.
    pub fn send_and_wait(&self, record: ProducerRecord) -> Result<RecordMetadata> {
        self.runtime.run(async {
            let delivery = self.inner.send(record).await?;
            delivery.await
        })
    }

    /// Queues many records, in their order, and gives the deliveries of all of them: a record that is not queued has that error as
    /// its outcome there.
    pub fn send_all(
        &self,
        records: impl IntoIterator<Item = ProducerRecord>,
    ) -> Result<Deliveries> {
        Ok(Deliveries {
            inner: self.runtime.wait(self.inner.send_all(records))?,
            runtime: self.runtime.clone(),
        })
    }

    /// Queues a record, or fails at once where [`Producer::send`] would wait.
    pub fn try_send(&self, record: ProducerRecord) -> Result<Delivery> {
        let inner = self.inner.try_send(record)?;
        Ok(self.delivery(inner))
    }

    fn delivery(&self, inner: crate::Delivery) -> Delivery {
        Delivery {
            inner,
            runtime: self.runtime.clone(),
        }
    }

    /// The partitions of a topic in ascending order. Kafka: `partitionsFor`.
    pub fn partitions_for(&self, topic: &str) -> Result<Vec<i32>> {
        self.runtime.run(self.inner.partitions_for(topic))
    }

    /// Waits until everything that is queued is delivered or has failed.
    ///
    /// # Errors
    ///
    /// [`Undelivered`](crate::ProducerError::Undelivered) if any of it has failed.
    pub fn flush(&self) -> Result<()> {
        self.runtime.run(self.inner.flush())
    }

    /// Takes no more records, delivers what is queued for as long as `within`, and ends. Errors as for
    /// [`divvy::Producer::close`](crate::Producer::close).
    pub fn close(&self, within: Duration) -> Result<()> {
        self.runtime.run(self.inner.close(within))
    }
}

/// The delivery of one record. Dropping it changes nothing about the delivery.
#[derive(Debug)]
#[must_use = "it says whether the record was stored"]
pub struct Delivery {
    inner: crate::Delivery,
    runtime: Runtime,
}

impl Delivery {
    /// The partition that the record was given to.
    pub fn partition(&self) -> &TopicPartition {
        self.inner.partition()
    }

    /// Waits until the record is stored, or has failed for good.
    pub fn wait(self) -> Result<RecordMetadata> {
        self.runtime.run(self.inner)
    }
}

/// The deliveries of the records that [`Producer::send_all`] was given, in their order. Dropping it changes nothing about the
/// deliveries.
#[derive(Debug)]
#[must_use = "it says which records were not stored"]
pub struct Deliveries {
    inner: crate::Deliveries,
    runtime: Runtime,
}

impl Deliveries {
    /// How many records there were.
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// Waits until every record is stored or has failed for good, and gives what became of each, in their order.
    pub fn each(self) -> Result<Vec<Result<RecordMetadata, crate::ProducerError>>> {
        self.runtime.wait(self.inner.each())
    }

    /// Waits until every record is stored or has failed for good. Errors as for [`divvy::Deliveries::all`](crate::Deliveries::all).
    pub fn all(self) -> Result<()> {
        self.runtime.run(self.inner.all())
    }
}
