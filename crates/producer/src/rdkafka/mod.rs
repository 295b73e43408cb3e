//! librdkafka as the way to the brokers.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use divvy_client::{Client, TopicPartition};
use divvy_protocol::records::BuildError;
use divvy_protocol::{ApiKey, message_magic};
use divvy_rdkafka_backend::bare::{Record, Records};
use divvy_rdkafka_backend::{DeliveryFailure, RdkafkaProducer, RdkafkaProducerConfig};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::accumulator::{Batch, Work};
use crate::config::{Acks, ProducerConfig};
use crate::error::{Error, Result};
use crate::outcome::Appended;
use crate::sender::Shared;
use crate::sync::lock;

/// The first format that has headers.
const FIRST_WITH_HEADERS: i8 = 2;

/// What came of a batch: of so many records each, in their order.
type Parts = Vec<(u32, Result<Appended>)>;

/// Carries batches.
#[derive(Debug)]
pub(crate) struct Rdkafka {
    carrier: RdkafkaProducer<Batch>,
    /// Without acks: a partition of each broker that something was sent to.
    sent_to: Mutex<BTreeMap<i32, TopicPartition>>,
}

impl Records for Batch {
    fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.entries().map(|entry| Record {
            key: entry.key,
            value: entry.value,
            timestamp: entry.timestamp,
            headers: entry
                .headers
                .into_iter()
                .map(|header| (header.key, header.value))
                .collect(),
        })
    }
}

impl Rdkafka {
    pub(crate) fn new(client: &Client, config: &ProducerConfig) -> Result<Self> {
        let config = RdkafkaProducerConfig {
            acks: config.acks.code(),
            compression: config.compression,
            max_request_size: config.max_request_size,
            max_in_flight: config.max_in_flight,
            request_timeout: config.request_timeout,
            retry_backoff: config.retry_backoff,
            retry_backoff_max: config.retry_backoff_max,
            properties: config.rdkafka_properties.clone(),
        };
        Ok(Self {
            carrier: RdkafkaProducer::new(client, config)?,
            sent_to: Mutex::default(),
        })
    }

    /// Sends batches, and settles each as soon as it is known what came of it.
    pub(crate) async fn send(&self, shared: &Shared, work: Work) {
        let broker = work.broker;
        let carried = work.batches.into_iter();
        let mut carried: FuturesUnordered<_> = carried
            .map(|batch| self.carry(shared, broker, batch))
            .collect();
        while let Some(carried) = carried.next().await {
            // Nothing came of what was given up.
            let Some((batch, parts)) = carried else {
                continue;
            };
            if parts.iter().any(|(_, result)| result.is_err()) {
                shared.say_stale();
            }
            shared
                .accumulator()
                .settle_parts(batch, parts, Instant::now());
            shared.wake();
        }
        shared
            .accumulator()
            .request_ended(broker, work.connection, None);
    }

    /// Waits until the brokers have read what was sent to them without acks.
    pub(crate) async fn reach_brokers(&self, within: Duration) {
        let partitions = lock(&self.sent_to).values().cloned().collect();
        for (tp, why) in self.carrier.reach(partitions, within).await {
            tracing::warn!(%tp, %why, "records that were sent without acks may be lost");
        }
    }

    /// Ends librdkafka.
    pub(crate) async fn close(&self) {
        self.carrier.close().await;
    }

    /// `None` if the producer is closed meanwhile.
    async fn carry(&self, shared: &Shared, broker: i32, batch: Batch) -> Option<(Batch, Parts)> {
        if let Err(error) = refuse_headers(&shared.client, broker, &batch).await {
            let all = batch.len();
            return Some((batch, vec![(all, Err(error))]));
        }
        let acks = shared.config.acks;
        if acks == Acks::None {
            lock(&self.sent_to).insert(broker, batch.tp.clone());
        }
        let tp = batch.tp.clone();
        let delivered = self.carrier.deliver(&tp, batch).await?;
        let parts = delivered.runs.into_iter().map(|run| {
            let appended = run.result.map(|stored| Appended {
                // Without acks no broker has said it.
                base_offset: stored.base_offset.filter(|_| acks != Acks::None),
                log_append_time: stored.log_append_time,
            });
            let appended = appended.map_err(|failure| read(&shared.client, failure));
            (run.records, appended)
        });
        Some((delivered.records, parts.collect()))
    }
}

/// Refuses headers that the leader has no place for: librdkafka would leave them out.
async fn refuse_headers(client: &Client, broker: i32, batch: &Batch) -> Result<()> {
    let has_headers = |entry: crate::accumulator::Entry<'_>| !entry.headers.is_empty();
    if !batch.entries().next().is_some_and(has_headers) {
        return Ok(());
    }
    let leader = client.broker(broker)?;
    let produce = leader.versions().await?.choose(ApiKey::Produce);
    let magic = produce.map_or(0, message_magic);
    if magic >= FIRST_WITH_HEADERS {
        return Ok(());
    }
    Err(Error::Build {
        tp: batch.tp.clone(),
        broker: leader.address().to_string(),
        source: BuildError::Headers { magic },
    })
}

/// The error that the same thing is without librdkafka, where there is one.
fn read(client: &Client, failure: DeliveryFailure) -> Error {
    let passes = failure.is_retriable();
    match failure {
        DeliveryFailure::Refused {
            tp, broker, code, ..
        } => {
            let address = client
                .broker(broker)
                .map(|known| known.address().to_string());
            Error::Client(divvy_client::Error::Broker {
                broker: address.unwrap_or_else(|_| format!("broker {broker}")),
                request: ApiKey::Produce.name(),
                subject: tp.to_string(),
                code,
            })
        }
        DeliveryFailure::Lost { tp, why } | DeliveryFailure::Unsendable { tp, why } => {
            Error::Library { tp, why, passes }
        }
        other => Error::Client(divvy_client::Error::config(
            "use_rdkafka",
            other.to_string(),
        )),
    }
}
