mod order;
mod outcomes;
mod parts;
mod readiness;

use std::sync::Arc;
use std::time::Duration;

use divvy_client::TopicPartition;
use divvy_protocol::ErrorCode;
use futures_util::FutureExt;
use tokio::time::Instant;

use super::*;
use crate::config::ProducerConfig;
use crate::delivery::Delivery;
use crate::error::Result;
use crate::outcome::Appended;
use crate::record::{BATCH_OVERHEAD, ProducerRecord, RecordMetadata};

const LINGER: Duration = Duration::from_millis(10);
const TIMEOUT: Duration = Duration::from_secs(60);
const BUDGET: usize = 1 << 20;

/// An accumulator with a clock that the test moves.
struct Rig {
    accumulator: Accumulator,
    budget: Arc<Budget>,
    now: Instant,
    /// Whether somebody waits for room.
    pressure: bool,
}

impl Rig {
    fn new(change: impl FnOnce(&mut ProducerConfig)) -> Self {
        let mut config = ProducerConfig {
            linger: LINGER,
            delivery_timeout: TIMEOUT,
            connections_per_broker: 1,
            ..ProducerConfig::default()
        };
        change(&mut config);
        let budget = Budget::new(BUDGET);
        Self {
            accumulator: Accumulator::new(&config, &budget),
            budget,
            now: Instant::now(),
            pressure: false,
        }
    }

    /// One that never waits for more records.
    fn eager(change: impl FnOnce(&mut ProducerConfig)) -> Self {
        Self::new(|config| {
            config.linger = Duration::ZERO;
            change(config);
        })
    }

    fn send(&mut self, partition: i32, value: &str) -> Delivery {
        self.send_record(partition, &record(value))
    }

    fn send_record(&mut self, partition: i32, record: &ProducerRecord) -> Delivery {
        self.try_send(partition, record).unwrap()
    }

    fn try_send(&mut self, partition: i32, record: &ProducerRecord) -> Result<Delivery, Refused> {
        let (slot, fields) = (
            self.accumulator.slot(&tp(partition)),
            Fields::new(record, 1000),
        );
        let queued = self.accumulator.append(slot, &fields, || self.now)?;
        let outcome = Arc::clone(queued.outcome);
        Ok(Delivery::new(outcome, queued.number, fields.timestamp))
    }

    /// What is to be done; partitions are led by broker 1.
    fn drain(&mut self) -> Plan {
        self.accumulator.drain(|_| Some(1), self.pressure, self.now)
    }

    /// The batches of the only request that is to be sent.
    fn drain_one(&mut self) -> Vec<Batch> {
        let mut requests = self.drain().requests;
        let work = requests.pop().expect("a request");
        assert!(requests.is_empty(), "{requests:?}");
        assert_eq!(work.broker, 1);
        work.batches
    }

    /// Ends a request with the same result for all its batches.
    fn settle(&mut self, batches: Vec<Batch>, result: &Result<Appended>) {
        for batch in batches {
            self.accumulator.settle(batch, result.clone(), self.now);
        }
        self.accumulator.request_ended(1, 0, None);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn record(value: &str) -> ProducerRecord {
    ProducerRecord::new("t", value.to_owned())
}

fn wire_size(record: &ProducerRecord) -> usize {
    Fields::new(record, 1000).wire_size()
}

/// What a batch of these values is counted as.
fn size_of_batch(values: &[&str]) -> usize {
    let sizes = values.iter().map(|value| wire_size(&record(value)));
    sizes.sum::<usize>() + BATCH_OVERHEAD
}

fn values(batch: &Batch) -> Vec<String> {
    let values = batch.entries().map(|entry| entry.value.unwrap_or_default());
    values
        .map(|value| String::from_utf8(value.to_vec()).unwrap())
        .collect()
}

fn stored_at(base_offset: i64) -> Result<Appended> {
    Ok(Appended {
        base_offset: Some(base_offset),
        log_append_time: None,
    })
}

fn refused(code: ErrorCode) -> Error {
    Error::Client(divvy_client::Error::Broker {
        broker: "b:9092".to_owned(),
        request: "Produce",
        subject: "t-0".to_owned(),
        code,
    })
}

fn disconnected() -> Error {
    Error::Client(divvy_client::Error::Disconnected {
        broker: "b:9092".to_owned(),
        why: None,
    })
}

fn outcome(delivery: &mut Delivery) -> Option<Result<RecordMetadata>> {
    delivery.now_or_never()
}

fn offset(delivery: &mut Delivery) -> Option<i64> {
    outcome(delivery)
        .expect("an outcome")
        .expect("a success")
        .offset
}
