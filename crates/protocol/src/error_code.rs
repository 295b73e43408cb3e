use std::fmt;

use crate::wire::{DecodeError, Reader, Writer};

#[cfg(test)]
mod tests;

/// The outcome that a broker reports for a request, or for one topic or partition of it.
///
/// Codes that this crate does not know are kept as they came; they are fatal for whatever they were reported for.
///
/// ```
/// use divvy_protocol::ErrorCode;
///
/// let code = ErrorCode::from(6);
/// assert_eq!(code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
/// assert_eq!(code.to_string(), "NOT_LEADER_OR_FOLLOWER (6)");
/// assert!(code.is_retriable());
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(i16);

/// What is known of a code.
struct Entry {
    name: &'static str,
    retriable: bool,
    description: &'static str,
}

/// Makes a constant and an [`Entry`] of each line.
macro_rules! error_codes {
    ($($code:literal $name:ident $retriable:ident $description:literal;)*) => {
        impl ErrorCode {
            $(#[doc = $description] pub const $name: Self = Self($code);)*

            /// The codes that this crate knows, in ascending order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            fn entry(self) -> Option<Entry> {
                match self {
                    $(Self::$name => Some(Entry {
                        name: stringify!($name),
                        retriable: error_codes!($retriable),
                        description: $description,
                    }),)*
                    _ => None,
                }
            }
        }
    };
    (retriable) => { true };
    (fatal) => { false };
}

error_codes! {
    -1 UNKNOWN_SERVER_ERROR fatal "The broker failed in a way that it has no code for; to a fetch, brokers before 0.10 answer so for a while after a change of leader.";
    0 NONE fatal "Success.";
    1 OFFSET_OUT_OF_RANGE fatal "The log no longer holds the offset, or does not hold it yet.";
    2 CORRUPT_MESSAGE retriable "A message failed its checksum or is otherwise malformed.";
    3 UNKNOWN_TOPIC_OR_PARTITION retriable "The broker does not know the topic or the partition; to OffsetFetch version 0, it has no offset stored.";
    4 INVALID_FETCH_SIZE fatal "The size that was asked for is negative.";
    5 LEADER_NOT_AVAILABLE retriable "The partition has no leader at the moment: one is being elected, or the topic is being created.";
    6 NOT_LEADER_OR_FOLLOWER retriable "The broker does not, or no longer, serve the partition.";
    7 REQUEST_TIMED_OUT retriable "The request was not finished in its time; it may still take effect.";
    8 BROKER_NOT_AVAILABLE fatal "A broker that is needed is not up.";
    9 REPLICA_NOT_AVAILABLE retriable "A replica is down; beside a leader, in metadata, this is no error.";
    10 MESSAGE_TOO_LARGE fatal "A message is larger than the broker accepts (message.max.bytes, max.message.bytes).";
    11 STALE_CONTROLLER_EPOCH fatal "The request came from a controller that has been replaced.";
    12 OFFSET_METADATA_TOO_LARGE fatal "The metadata beside an offset is longer than the broker accepts (offset.metadata.max.bytes).";
    13 NETWORK_EXCEPTION retriable "The broker was disconnected before it had an answer.";
    14 COORDINATOR_LOAD_IN_PROGRESS retriable "The coordinator is still loading the group.";
    15 COORDINATOR_NOT_AVAILABLE retriable "There is no coordinator for the group yet; __consumer_offsets may be being created.";
    16 NOT_COORDINATOR retriable "The broker is not, or no longer, the group's coordinator.";
    17 INVALID_TOPIC_EXCEPTION fatal "The topic's name is invalid, or the topic is not open to this request.";
    18 RECORD_LIST_TOO_LARGE fatal "A batch is larger than the broker's log segments (segment.bytes).";
    19 NOT_ENOUGH_REPLICAS retriable "Fewer replicas are in sync than min.insync.replicas asks for; nothing was written.";
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND retriable "Written, but to fewer replicas in sync than min.insync.replicas asks for.";
    21 INVALID_REQUIRED_ACKS fatal "Acks must be -1, 0 or 1.";
    22 ILLEGAL_GENERATION fatal "The group has moved on to another generation.";
    23 INCONSISTENT_GROUP_PROTOCOL fatal "The group's members use another protocol.";
    24 INVALID_GROUP_ID fatal "The group's name is invalid.";
    25 UNKNOWN_MEMBER_ID fatal "The group does not know this member; to a commit from outside of the group, it has members.";
    26 INVALID_SESSION_TIMEOUT fatal "The session timeout is outside of the broker's range.";
    27 REBALANCE_IN_PROGRESS fatal "The group is rebalancing.";
    28 INVALID_COMMIT_OFFSET_SIZE fatal "The commit is too large to be stored as one message.";
    29 TOPIC_AUTHORIZATION_FAILED fatal "Not authorized for the topic.";
    30 GROUP_AUTHORIZATION_FAILED fatal "Not authorized for the group.";
    31 CLUSTER_AUTHORIZATION_FAILED fatal "Not authorized for the cluster.";
    32 INVALID_TIMESTAMP fatal "A message's timestamp is outside of the range that the topic accepts.";
    33 UNSUPPORTED_SASL_MECHANISM fatal "The broker does not support the SASL mechanism.";
    34 ILLEGAL_SASL_STATE fatal "The request does not fit the state of the SASL exchange.";
    35 UNSUPPORTED_VERSION fatal "The broker does not support this version of the request.";
    36 TOPIC_ALREADY_EXISTS fatal "A topic of that name exists already.";
    37 INVALID_PARTITIONS fatal "The number of partitions is below 1.";
    38 INVALID_REPLICATION_FACTOR fatal "The replication factor is below 1 or above the number of brokers.";
    39 INVALID_REPLICA_ASSIGNMENT fatal "The assignment of replicas to brokers is invalid.";
    40 INVALID_CONFIG fatal "A setting of the topic is invalid.";
    41 NOT_CONTROLLER retriable "The broker is not, or no longer, the cluster's controller.";
    42 INVALID_REQUEST fatal "The request makes no sense to the broker: a bug, or another version than it speaks.";
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT fatal "The topic's message format is too old for this request.";
    44 POLICY_VIOLATION fatal "The request does not satisfy the broker's policy.";
    45 OUT_OF_ORDER_SEQUENCE_NUMBER fatal "A batch before this one is missing from the producer's sequence.";
    46 DUPLICATE_SEQUENCE_NUMBER fatal "The batch has been written already.";
    47 INVALID_PRODUCER_EPOCH fatal "A newer instance of the producer has taken over.";
    56 KAFKA_STORAGE_ERROR retriable "The broker cannot read or write the partition's disk.";
    58 SASL_AUTHENTICATION_FAILED fatal "The credentials were refused.";
    59 UNKNOWN_PRODUCER_ID fatal "The broker no longer remembers the producer.";
    60 REASSIGNMENT_IN_PROGRESS fatal "The partitions are being reassigned.";
    68 NON_EMPTY_GROUP fatal "The group has members.";
    69 GROUP_ID_NOT_FOUND fatal "There is no such group.";
    70 FETCH_SESSION_ID_NOT_FOUND retriable "The broker has forgotten the fetch session.";
    71 INVALID_FETCH_SESSION_EPOCH retriable "The fetch session is at another epoch.";
    72 LISTENER_NOT_FOUND retriable "The leader has no listener of the name that the request came in through.";
    74 FENCED_LEADER_EPOCH retriable "The request carries an older leader epoch than the broker's.";
    75 UNKNOWN_LEADER_EPOCH retriable "The request carries a newer leader epoch than the broker's.";
    76 UNSUPPORTED_COMPRESSION_TYPE fatal "The version of the request cannot carry the codec that the data is compressed with.";
    78 OFFSET_NOT_AVAILABLE retriable "The leader is new and does not know the high watermark yet.";
    79 MEMBER_ID_REQUIRED fatal "The member must join again with the id that it was given.";
    81 GROUP_MAX_SIZE_REACHED fatal "The group has as many members as the broker allows.";
    82 FENCED_INSTANCE_ID fatal "Another member has joined with the same static id.";
    87 INVALID_RECORD fatal "A record was refused by the broker's validation.";
    88 UNSTABLE_OFFSET_COMMIT retriable "A transaction over these offsets is still open.";
    89 THROTTLING_QUOTA_EXCEEDED retriable "The quota for such requests is used up.";
    100 UNKNOWN_TOPIC_ID retriable "The broker does not know the topic's id.";
    103 INCONSISTENT_TOPIC_ID retriable "The topic's id is not the one in the log.";
}

impl ErrorCode {
    /// The number on the wire.
    pub const fn code(self) -> i16 {
        self.0
    }

    /// Kafka's name for the code, or `UNKNOWN_ERROR_CODE` for a number that this crate does not know.
    pub fn name(self) -> &'static str {
        self.entry()
            .map_or("UNKNOWN_ERROR_CODE", |entry| entry.name)
    }

    /// What the code means, in one sentence.
    pub fn description(self) -> &'static str {
        self.entry().map_or(
            "The broker reported a code that is not known here.",
            |entry| entry.description,
        )
    }

    /// Whether the same request may succeed when it is sent again, after a look at the metadata or the coordinator where the
    /// code calls for one. As in Kafka's Java client; [`ErrorCode::NONE`] is not.
    pub fn is_retriable(self) -> bool {
        self.entry().is_some_and(|entry| entry.retriable)
    }

    /// Whether there was no error.
    pub const fn is_ok(self) -> bool {
        self.0 == Self::NONE.0
    }

    /// Itself as an error, unless there was none.
    pub const fn ok(self) -> Result<(), Self> {
        if self.is_ok() { Ok(()) } else { Err(self) }
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        r.i16().map(Self)
    }

    pub(crate) fn write(self, w: &mut Writer) {
        w.i16(self.0);
    }
}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> Self {
        Self(code)
    }
}

impl From<ErrorCode> for i16 {
    fn from(code: ErrorCode) -> Self {
        code.0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Debug for ErrorCode {
    /// As for display: the bare number helps nobody who reads a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ErrorCode {}
