use std::time::Duration;

use bytes::Bytes;
use divvy_protocol::ErrorCode;
use divvy_protocol::api::{
    FetchPartition, FetchPartitionResponse, FetchRequest, FetchResponse, FetchTopicResponse,
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use tokio::time::Instant;
use tracing::warn;

use super::requests::Broker;
use super::state::{State, now_ms};

/// How many bytes of messages an answer has at most; partitions behind that get none this time.
const MOST_BYTES: usize = 100 << 20;

/// An answer, and what says whether it is to be sent already.
struct Read {
    response: FetchResponse,
    bytes: usize,
    has_failed: bool,
}

impl Broker {
    /// Reads messages. Where there are fewer bytes than asked for, it waits for more as long as asked for.
    pub(super) async fn fetch(&self, request: &FetchRequest) -> FetchResponse {
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let deadline = Instant::now() + wait;
        let least = usize::try_from(request.min_bytes).unwrap_or(0);
        let mut changes = self.shared.changes();
        loop {
            changes.borrow_and_update();
            let read = self.read(request);
            let is_enough = read.bytes >= least || read.has_failed;
            if is_enough || request.topics.is_empty() || Instant::now() >= deadline {
                return read.response;
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    fn read(&self, request: &FetchRequest) -> Read {
        let mut state = self.shared.lock();
        let mut bytes = 0;
        let mut has_failed = false;
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| {
                let room = MOST_BYTES.saturating_sub(bytes);
                let read = self.read_partition(&mut state, &topic.name, asked, room);
                has_failed |= read.is_err();
                let error = read.as_ref().err().copied().unwrap_or(ErrorCode::NONE);
                let (high_watermark, records) = read.unwrap_or((-1, Bytes::new()));
                bytes += records.len();
                FetchPartitionResponse {
                    partition: asked.partition,
                    error,
                    high_watermark,
                    last_stable_offset: -1,
                    log_start_offset: -1,
                    aborted: Vec::new(),
                    preferred_read_replica: -1,
                    records,
                }
            });
            FetchTopicResponse {
                name: topic.name.clone(),
                partitions: partitions.collect(),
            }
        });
        let topics = topics.collect();
        let response = FetchResponse {
            topics,
            ..FetchResponse::default()
        };
        Read {
            response,
            bytes,
            has_failed,
        }
    }

    fn read_partition(
        &self,
        state: &mut State,
        topic: &str,
        asked: &FetchPartition,
        room: usize,
    ) -> Result<(i64, Bytes), ErrorCode> {
        let log = &state.led_by(self.id, topic, asked.partition)?.log;
        let most = usize::try_from(asked.max_bytes).map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)?;
        match log.read(asked.fetch_offset, most.min(room)) {
            Ok(Some(records)) => Ok((log.end(), records)),
            Ok(None) => Err(ErrorCode::OFFSET_OUT_OF_RANGE),
            Err(error) => {
                warn!("{topic}-{} cannot be read: {error}", asked.partition);
                Err(ErrorCode::UNKNOWN_SERVER_ERROR)
            }
        }
    }

    /// Says where logs begin and end, and what was written before a time, to the grain of segments.
    pub(super) fn list_offsets(&self, request: &ListOffsetsRequest) -> ListOffsetsResponse {
        let mut state = self.shared.lock();
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| {
                let offsets = self.list(&mut state, &topic.name, asked);
                ListOffsetsPartitionResponse {
                    partition: asked.partition,
                    error: offsets.as_ref().err().copied().unwrap_or(ErrorCode::NONE),
                    old_style_offsets: Some(offsets.unwrap_or_default()),
                    timestamp: -1,
                    offset: -1,
                }
            });
            ListOffsetsTopicResponse {
                name: topic.name.clone(),
                partitions: partitions.collect(),
            }
        });
        ListOffsetsResponse {
            throttle_ms: 0,
            topics: topics.collect(),
        }
    }

    fn list(
        &self,
        state: &mut State,
        topic: &str,
        asked: &ListOffsetsPartition,
    ) -> Result<Vec<i64>, ErrorCode> {
        let log = &state.led_by(self.id, topic, asked.partition)?.log;
        let most = usize::try_from(asked.max_num_offsets).unwrap_or(0);
        Ok(log.offsets_before(now_ms(), asked.timestamp, most))
    }
}
