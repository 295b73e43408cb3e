use divvy_client::TopicPartition;
use divvy_protocol::ErrorCode;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use super::Why;

/// Why librdkafka has not delivered records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryFailure {
    /// A broker refused them, or librdkafka did by a broker's rule.
    #[error("broker {broker} refuses records for {tp}: {why}")]
    Refused {
        /// The partition.
        tp: TopicPartition,
        /// The broker, by `broker.id`; below 0 where none was asked.
        broker: i32,
        /// The broker's error code.
        code: ErrorCode,
        /// librdkafka's text.
        why: Why,
    },
    /// They did not reach a broker, or its answer did not come.
    #[error("librdkafka has not delivered records for {tp}: {why}")]
    Lost {
        /// The partition.
        tp: TopicPartition,
        /// librdkafka's text.
        why: Why,
    },
    /// librdkafka cannot send them.
    #[error("librdkafka cannot send records for {tp}: {why}")]
    Unsendable {
        /// The partition.
        tp: TopicPartition,
        /// librdkafka's text.
        why: Why,
    },
}

/// Errors of librdkafka's own, and not of a broker, that may pass by themselves.
const PASSING: &[Code] = &[
    Code::RD_KAFKA_RESP_ERR__TRANSPORT,
    Code::RD_KAFKA_RESP_ERR__RESOLVE,
    Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
    Code::RD_KAFKA_RESP_ERR__TIMED_OUT,
    Code::RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE,
    Code::RD_KAFKA_RESP_ERR__MSG_TIMED_OUT,
    Code::RD_KAFKA_RESP_ERR__QUEUE_FULL,
    Code::RD_KAFKA_RESP_ERR__ISR_INSUFF,
    Code::RD_KAFKA_RESP_ERR__NODE_UPDATE,
    Code::RD_KAFKA_RESP_ERR__WAIT_CACHE,
    Code::RD_KAFKA_RESP_ERR__INTR,
    Code::RD_KAFKA_RESP_ERR__RETRY,
    Code::RD_KAFKA_RESP_ERR__BAD_MSG,
    Code::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
    Code::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
    Code::RD_KAFKA_RESP_ERR__PURGE_QUEUE,
    Code::RD_KAFKA_RESP_ERR__PURGE_INFLIGHT,
];

impl DeliveryFailure {
    /// Reads librdkafka's code and text.
    pub(super) fn new(tp: &TopicPartition, broker: i32, code: i32, why: &str) -> Self {
        let (tp, why) = (tp.clone(), Why::from(why));
        match i16::try_from(code) {
            Ok(refused) if code > 0 => Self::Refused {
                tp,
                broker,
                code: ErrorCode::from(refused),
                why,
            },
            _ if PASSING.iter().any(|known| code == *known as i32) => Self::Lost { tp, why },
            _ => Self::Unsendable { tp, why },
        }
    }

    /// Whether the same records may be delivered later.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code.is_retriable(),
            Self::Lost { .. } => true,
            Self::Unsendable { .. } => false,
        }
    }
}
