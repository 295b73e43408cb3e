//! The plan, driven by hand: no broker, no clock.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use divvy_protocol::api::{
    AbortedTransaction, FetchPartitionResponse, FetchResponse, FetchTopicResponse,
};
use divvy_protocol::compression::Compression;
use divvy_protocol::records::RecordsBuilder;
use divvy_protocol::{ErrorCode, TopicPartition};
use tokio::time::Instant;

use super::config::{FetchConfig, IsolationLevel};
use super::plan::{Next, Plan, Planned};
use crate::address::HostPort;
use crate::backend::{Chunk, FetchError, Prefetch};
use crate::backoff::Backoff;
use crate::metadata::{Metadata, PartitionMetadata};

mod limits;
mod order;
mod trouble;
mod turns;

const KIB: usize = 1 << 10;

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// A plan and what surrounds it. Broker 0 leads every partition until a test says otherwise.
struct Fetching {
    plan: Plan,
    prefetch: Arc<Prefetch>,
    metadata: Metadata,
    now: Instant,
}

impl Fetching {
    /// Fetches that many partitions from offset 0 on.
    fn of(partitions: i32, config: FetchConfig) -> Self {
        let prefetch = Prefetch::new(config.max_queued_bytes);
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let mut fetching = Self {
            plan: Plan::new(config, backoff, Arc::clone(&prefetch)),
            prefetch,
            metadata: Metadata::default(),
            now: Instant::now(),
        };
        for partition in 0..partitions {
            fetching.lead(&tp(partition), Some(0));
            fetching.plan.start(&tp(partition), 0);
        }
        fetching
    }

    fn lead(&mut self, tp: &TopicPartition, leader: Option<i32>) {
        let metadata = &mut self.metadata;
        if let Some(leader) = leader {
            let address = HostPort::new("kafka", 9092);
            metadata.brokers.insert(leader, address);
        }
        let known = PartitionMetadata {
            leader,
            ..PartitionMetadata::default()
        };
        let topic = metadata.topics.entry(tp.topic.to_string()).or_default();
        topic.partitions.insert(tp.partition, known);
    }

    /// What a lane that has nothing to do asks a broker for.
    fn next(&mut self, broker: i32) -> Next {
        self.next_of_lane(broker, false)
    }

    fn next_of_lane(&mut self, broker: i32, busy: bool) -> Next {
        let metadata = Arc::new(self.metadata.clone());
        self.plan.next(broker, &metadata, self.now, busy)
    }

    /// The next requests to a broker: all that as many lanes as it takes would make.
    fn all(&mut self, broker: i32) -> Option<Round> {
        let next = || match self.next(broker) {
            Next::Fetch(planned) => Some(planned),
            Next::Wait(_) => None,
        };
        let planned: Vec<Planned> = std::iter::from_fn(next).collect();
        (!planned.is_empty()).then_some(Round(planned))
    }

    /// The next requests to broker 0.
    fn planned(&mut self) -> Round {
        self.all(0).expect("something to fetch")
    }

    /// That nothing can be fetched before demand says so.
    fn assert_idle(&mut self) {
        let next = self.next(0);
        assert!(matches!(next, Next::Wait(None)), "{next:?}");
    }

    /// How long broker 0 is left alone.
    fn pause(&mut self) -> Duration {
        match self.next(0) {
            Next::Wait(Some(at)) => at - self.now,
            next => panic!("{next:?}"),
        }
    }

    /// Answers requests, each with what of this it asked for.
    fn answer(&mut self, round: Round, parts: Vec<FetchPartitionResponse>) -> bool {
        let mut stale = false;
        for planned in round.0 {
            let response = response(parts.clone());
            stale |= self.plan.answered(planned, response, self.now);
        }
        stale
    }

    fn fail(&mut self, round: Round) {
        for planned in round.0 {
            self.plan.failed(planned, self.now);
        }
    }

    /// Asks broker 0 and answers.
    fn round(&mut self, parts: Vec<FetchPartitionResponse>) -> bool {
        let planned = self.planned();
        self.answer(planned, parts)
    }

    fn pop(&self) -> Option<Result<Chunk, FetchError>> {
        self.prefetch.pop(|_| true).map(|(_, item)| item)
    }

    fn chunk(&self) -> Chunk {
        self.pop().expect("something queued").expect("a chunk")
    }

    fn error(&self) -> FetchError {
        let item = self.pop().expect("something queued");
        item.expect_err("an error")
    }
}

/// Requests that are on their way at the same time.
struct Round(Vec<Planned>);

fn response(parts: Vec<FetchPartitionResponse>) -> FetchResponse {
    FetchResponse {
        topics: vec![FetchTopicResponse {
            name: "t".to_owned(),
            partitions: parts,
        }],
        ..FetchResponse::default()
    }
}

fn part(partition: i32, error: ErrorCode, records: Bytes) -> FetchPartitionResponse {
    FetchPartitionResponse {
        partition,
        error,
        high_watermark: if error.is_ok() { 1000 } else { -1 },
        last_stable_offset: -1,
        log_start_offset: -1,
        aborted: Vec::new(),
        preferred_read_replica: -1,
        records,
    }
}

fn records(partition: i32, records: Bytes) -> FetchPartitionResponse {
    part(partition, ErrorCode::NONE, records)
}

fn empty(partition: i32) -> FetchPartitionResponse {
    records(partition, Bytes::new())
}

fn refused(partition: i32, code: ErrorCode) -> FetchPartitionResponse {
    part(partition, code, Bytes::new())
}

/// One message of this offset, whose value has `size` bytes.
fn message(offset: i64, size: usize) -> Bytes {
    let mut builder = RecordsBuilder::new(0, Compression::None).unwrap();
    let value = vec![7; size];
    builder.try_append(None, None, Some(&value), &[]).unwrap();
    let mut bytes = builder.finish().unwrap().to_vec();
    bytes[..8].copy_from_slice(&offset.to_be_bytes());
    bytes.into()
}

/// Small messages of these offsets.
fn log(offsets: impl IntoIterator<Item = i64>) -> Bytes {
    let messages = offsets.into_iter().map(|offset| message(offset, 10));
    messages.collect::<Vec<_>>().concat().into()
}

/// What each partition is asked for, in the order of the requests: its number, the offset and the size.
fn asked(round: &Round) -> Vec<(i32, i64, usize)> {
    let requests = round.0.iter().map(|planned| &planned.request);
    requests
        .flat_map(|request| &request.topics)
        .flat_map(|topic| &topic.partitions)
        .map(|part| {
            let size = usize::try_from(part.max_bytes).unwrap();
            (part.partition, part.fetch_offset, size)
        })
        .collect()
}

fn cut(bytes: &Bytes, at: usize) -> Bytes {
    BytesMut::from(&bytes[..at]).freeze()
}
