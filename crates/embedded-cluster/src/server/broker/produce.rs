use divvy_protocol::ErrorCode;
use divvy_protocol::api::{
    ProducePartition, ProducePartitionResponse, ProduceRequest, ProduceResponse,
    ProduceTopicResponse,
};
use tracing::warn;

use super::Release;
use super::append;
use super::requests::Broker;
use super::state::{State, now_ms};

impl Broker {
    /// Appends messages. All replicas have them at once, so that every level of acknowledgement means the same.
    pub(super) fn produce(&self, request: &ProduceRequest) -> ProduceResponse {
        let is_refused =
            self.shared.settings.release == Release::V0_9 && !(-1..=1).contains(&request.acks);
        let mut state = self.shared.lock();
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                let appended = match is_refused {
                    true => Err(ErrorCode::INVALID_REQUIRED_ACKS),
                    false => self.append(&mut state, &topic.name, partition),
                };
                ProducePartitionResponse {
                    partition: partition.partition,
                    error: appended.err().unwrap_or(ErrorCode::NONE),
                    base_offset: appended.unwrap_or(-1),
                    log_append_time: -1,
                    log_start_offset: -1,
                }
            });
            ProduceTopicResponse {
                name: topic.name.clone(),
                partitions: partitions.collect(),
            }
        });
        let topics = topics.collect();
        drop(state);
        self.shared.notify();
        ProduceResponse {
            topics,
            throttle_ms: 0,
        }
    }

    /// The offset of the first message; -1 where there is none.
    fn append(
        &self,
        state: &mut State,
        topic: &str,
        partition: &ProducePartition,
    ) -> Result<i64, ErrorCode> {
        let log = &mut state.led_by(self.id, topic, partition.partition)?.log;
        let set = partition.records.as_deref().unwrap_or_default();
        let base = log.end();
        match append::number(set, base)? {
            Some(chunk) if chunk.bytes.len() > log.largest_segment() => {
                Err(ErrorCode::RECORD_LIST_TOO_LARGE)
            }
            Some(chunk) => {
                log.append(now_ms(), chunk).map_err(|error| {
                    warn!("{topic}-{} takes no messages: {error}", partition.partition);
                    ErrorCode::UNKNOWN_SERVER_ERROR
                })?;
                Ok(base)
            }
            None => Ok(-1),
        }
    }
}
