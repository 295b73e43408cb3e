//! What an error of librdkafka's means for the partition that it is about.

use divvy_client::FetchError;
use divvy_protocol::ErrorCode;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use super::table::Position;
use crate::bare::Message;

/// How librdkafka begins what it says of a damaged batch of magic 2, whose end it does not say.
const OF_A_BATCH: &str = "MessageSet ";

/// What follows from an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// librdkafka tries again.
    Passing,
    /// The log was read up to here.
    End(i64),
    /// The entry that lies before this offset cannot be read.
    Damaged {
        skip_to: i64,
        /// It may be longer than that.
        is_batch: bool,
        why: String,
    },
    /// The partition stands still.
    Failed(FetchError),
}

/// Errors of librdkafka's own, and not of a broker, that pass by themselves.
const PASSING: &[Code] = &[
    Code::RD_KAFKA_RESP_ERR__TRANSPORT,
    Code::RD_KAFKA_RESP_ERR__RESOLVE,
    Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
    Code::RD_KAFKA_RESP_ERR__TIMED_OUT,
    Code::RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE,
    Code::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
    Code::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
    Code::RD_KAFKA_RESP_ERR__WAIT_CACHE,
    Code::RD_KAFKA_RESP_ERR__INTR,
    Code::RD_KAFKA_RESP_ERR__RETRY,
    Code::RD_KAFKA_RESP_ERR__NODE_UPDATE,
    Code::RD_KAFKA_RESP_ERR__DESTROY,
    Code::RD_KAFKA_RESP_ERR__UNDERFLOW,
];

/// Errors that say that something in the log cannot be read.
const DAMAGE: &[Code] = &[
    Code::RD_KAFKA_RESP_ERR__BAD_MSG,
    Code::RD_KAFKA_RESP_ERR__BAD_COMPRESSION,
    Code::RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED,
];

/// Reads an error of a partition that is fetched. `limit` is the largest message that is accepted.
pub(super) fn trouble(message: Message<'_>, position: &Position, limit: usize) -> Trouble {
    let Some((code, why)) = message.error() else {
        return Trouble::Passing;
    };
    of_code(code, why, message.offset(), position, limit)
}

fn of_code(code: i32, why: String, at: i64, position: &Position, limit: usize) -> Trouble {
    let is = |known: &Code| code == *known as i32;
    let (tp, offset) = (position.tp.clone(), position.next_offset);
    if is(&Code::RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        return Trouble::End(at);
    }
    if is(&Code::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
        || is(&Code::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
    {
        // librdkafka does not tell one start from another here, but it says which offset it means.
        return match at == offset {
            true => Trouble::Failed(FetchError::OffsetOutOfRange { tp, offset }),
            false => Trouble::Passing,
        };
    }
    if DAMAGE.iter().any(is) {
        return Trouble::Damaged {
            skip_to: at.max(offset).saturating_add(1),
            is_batch: why.starts_with(OF_A_BATCH),
            why,
        };
    }
    if is(&Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        return Trouble::Failed(FetchError::MessageTooLarge {
            tp,
            offset,
            size: limit.saturating_add(1),
            limit,
        });
    }
    if PASSING.iter().any(is) {
        return Trouble::Passing;
    }
    match i16::try_from(code).map(ErrorCode::from) {
        // The old brokers' answer to a position between the high watermark and the end of the log.
        Ok(code) if code.is_retriable() || code == ErrorCode::UNKNOWN_SERVER_ERROR => {
            Trouble::Passing
        }
        Ok(refused) if code > 0 => Trouble::Failed(FetchError::Refused {
            tp,
            offset,
            code: refused,
        }),
        _ => Trouble::Failed(FetchError::Library { tp, offset, why }),
    }
}
