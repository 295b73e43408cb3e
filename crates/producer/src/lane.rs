use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use divvy_client::{Broker, Client, DedicatedConnection, TopicPartition};
use divvy_protocol::api::{
    MetadataRequest, ProducePartitionResponse, ProduceRequest, ProduceResponse,
};
use divvy_protocol::{ApiKey, message_magic};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::accumulator::Batch;
use crate::config::{Acks, ProducerConfig};
use crate::encode::{by_topic, encode};
use crate::error::{Error, Result};
use crate::outcome::Appended;

/// From this version of Produce on, brokers answer at once and expect the client to pause; before, they held their answer back.
const THROTTLED_BY_CLIENT: i16 = 6;

/// The way to one broker: a connection that only produces, so that nothing else waits behind requests that wait for replicas.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: Option<Open>,
    /// Why connecting failed and until when that is believed, so that requests do not wait for one failure after another.
    failed: Option<(Error, Instant)>,
}

#[derive(Clone, Debug)]
struct Open {
    broker: Arc<Broker>,
    connection: DedicatedConnection,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Every batch of the request, with what came of it.
    pub(crate) results: Vec<(Batch, Result<Appended>)>,
    /// Until when the broker wants no other request.
    pub(crate) throttled_until: Option<Instant>,
    /// What is known of the cluster may have grown old.
    pub(crate) is_stale: bool,
}

impl Lane {
    /// Sends one request and waits for its answer.
    pub(crate) async fn send(
        &self,
        client: &Client,
        config: &ProducerConfig,
        broker: i32,
        batches: Vec<Batch>,
    ) -> Answered {
        let (open, is_stale) = match self.connection(client, config, broker).await {
            Ok(connected) => connected,
            Err(error) => return Answered::all_failed(batches, &error, true),
        };
        let mut answered = open.send(config, batches).await;
        answered.is_stale |= is_stale;
        answered
    }

    /// Waits until the broker has read everything that was sent to it: it answers the requests of a connection in order.
    ///
    /// Brokers of 0.9 forget requests that they have not begun when the connection ends, and without acks nothing else tells
    /// when they have.
    pub(crate) async fn reach_broker(&self, within: Duration) {
        let open = self.state.lock().await.open.clone();
        let Some(Open { broker, connection }) = open.filter(|open| !open.connection.is_closed())
        else {
            return;
        };
        let request = MetadataRequest {
            topics: Some(Vec::new()),
            allow_auto_topic_creation: false,
        };
        if let Err(error) = connection.call(&request, within).await {
            tracing::warn!(broker = %broker.address(), %error, "records that were sent without acks may be lost");
        }
    }

    /// The open connection, or a new one; tells whether one had ended, which is how brokers answer what cannot be answered.
    async fn connection(
        &self,
        client: &Client,
        config: &ProducerConfig,
        id: i32,
    ) -> Result<(Open, bool)> {
        let broker = client.broker(id)?;
        let mut state = self.state.lock().await;
        if let Some(open) = &state.open
            && Arc::ptr_eq(&open.broker, &broker)
            && !open.connection.is_closed()
        {
            return Ok((open.clone(), false));
        }
        let had_one = state.open.take().is_some();
        if let Some((error, until)) = &state.failed
            && *until > Instant::now()
        {
            return Err(error.clone());
        }
        match broker.dedicated_connection().await {
            Ok(connection) => {
                let open = Open { broker, connection };
                state.failed = None;
                state.open = Some(open.clone());
                Ok((open, had_one))
            }
            Err(error) => {
                let error = Error::from(error);
                state.failed = Some((error.clone(), Instant::now() + config.retry_backoff));
                Err(error)
            }
        }
    }
}

impl Open {
    async fn send(&self, config: &ProducerConfig, batches: Vec<Batch>) -> Answered {
        let version = match self.connection.version(ApiKey::Produce) {
            Ok(version) => version,
            Err(error) => return Answered::all_failed(batches, &error.into(), false),
        };
        let encoding = encode(batches, message_magic(version), config.compression);
        let Some(encoded) = encoding.await else {
            return Answered::new(Vec::new());
        };
        let mut answered = Answered::new(Vec::new());
        let mut sent: Vec<(Batch, Bytes)> = Vec::new();
        for (batch, records) in encoded {
            match records {
                Ok(records) => sent.push((batch, records)),
                Err(source) => {
                    let (tp, broker) = (batch.tp.clone(), self.broker.address().to_string());
                    let error = Error::Build { tp, broker, source };
                    answered.results.push((batch, Err(error)));
                }
            }
        }
        if !sent.is_empty() {
            self.exchange(config, version, sent, &mut answered).await;
        }
        answered
    }

    async fn exchange(
        &self,
        config: &ProducerConfig,
        version: i16,
        sent: Vec<(Batch, Bytes)>,
        answered: &mut Answered,
    ) {
        let request = ProduceRequest {
            transactional_id: None,
            acks: config.acks.code(),
            timeout_ms: replicas_timeout_ms(config.request_timeout),
            topics: by_topic(
                sent.iter()
                    .map(|(batch, records)| (&batch.tp, records.clone())),
            ),
        };
        let batches = sent.into_iter().map(|(batch, _)| batch);
        match self.connection.call(&request, config.request_timeout).await {
            Ok(response) => {
                let throttle_ms = response.as_ref().map_or(0, |response| response.throttle_ms);
                if version >= THROTTLED_BY_CLIENT && throttle_ms > 0 {
                    let throttle = Duration::from_millis(throttle_ms.unsigned_abs().into());
                    answered.throttled_until = Some(Instant::now() + throttle);
                }
                let results = self.results(config.acks, response, batches);
                answered.results.extend(results);
            }
            Err(error) => {
                let failed = Answered::all_failed(batches.collect(), &error.into(), true);
                answered.results.extend(failed.results);
            }
        }
        answered.is_stale = answered.results.iter().any(|(_, result)| result.is_err());
    }

    /// Finds each batch's part of the answer.
    fn results(
        &self,
        acks: Acks,
        response: Option<ProduceResponse>,
        batches: impl Iterator<Item = Batch>,
    ) -> Vec<(Batch, Result<Appended>)> {
        let mut parts: BTreeMap<(String, i32), ProducePartitionResponse> = BTreeMap::new();
        for topic in response.into_iter().flat_map(|response| response.topics) {
            for part in topic.partitions {
                parts.insert((topic.name.clone(), part.partition), part);
            }
        }
        let results = batches.map(|batch| {
            let result = match acks {
                Acks::None => Ok(Appended::default()),
                Acks::Leader | Acks::All => {
                    let part = parts.remove(&(batch.tp.topic.to_string(), batch.tp.partition));
                    self.result(&batch.tp, part)
                }
            };
            (batch, result)
        });
        results.collect()
    }

    fn result(
        &self,
        tp: &TopicPartition,
        part: Option<ProducePartitionResponse>,
    ) -> Result<Appended> {
        let broker = self.broker.address().to_string();
        let Some(part) = part else {
            let why = format!("its answer to a Produce request leaves {tp} out");
            return Err(divvy_client::Error::Peer { broker, why }.into());
        };
        if !part.error.is_ok() {
            return Err(Error::Client(divvy_client::Error::Broker {
                broker,
                request: ApiKey::Produce.name(),
                subject: tp.to_string(),
                code: part.error,
            }));
        }
        Ok(Appended {
            base_offset: Some(part.base_offset).filter(|offset| *offset >= 0),
            log_append_time: Some(part.log_append_time).filter(|time| *time >= 0),
        })
    }
}

impl Answered {
    fn new(results: Vec<(Batch, Result<Appended>)>) -> Self {
        Self {
            results,
            throttled_until: None,
            is_stale: false,
        }
    }

    fn all_failed(batches: Vec<Batch>, error: &Error, is_stale: bool) -> Self {
        let failed = batches.into_iter().map(|batch| (batch, Err(error.clone())));
        Self {
            is_stale,
            ..Self::new(failed.collect())
        }
    }
}

/// What the replicas get of the time that a request may take, so that the broker's answer comes before the connection is given up.
fn replicas_timeout_ms(request_timeout: Duration) -> i32 {
    let replicas = request_timeout.mul_f64(0.9).as_millis();
    i32::try_from(replicas).unwrap_or(i32::MAX).max(1)
}
