/// Bytes that are no message of ZooKeeper's protocol.
///
/// The peer is another program, another version, or broken. Nothing that follows on the connection can be trusted, so it must be
/// closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A frame's length is negative or above the limit.
    #[error("a frame claims a length of {length}, which is not between 0 and {limit}")]
    FrameLength {
        /// What it claims.
        length: i32,
        /// The codec's limit.
        limit: usize,
    },
    /// The bytes end too early.
    #[error("{what} takes {needed} bytes, but only {left} are left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// How many bytes it takes.
        needed: usize,
        /// How many there are.
        left: usize,
    },
    /// A length is negative where that has no meaning.
    #[error("the length of {what} is {length}")]
    NegativeLength {
        /// What was being read.
        what: &'static str,
        /// The length.
        length: i32,
    },
    /// A vector claims more elements than there are bytes.
    #[error("{what} claims {count} elements, but only {left} bytes are left")]
    ImpossibleCount {
        /// What was being read.
        what: &'static str,
        /// How many elements it claims.
        count: usize,
        /// How many bytes there are.
        left: usize,
    },
    /// A string is not UTF-8.
    #[error("{what} is not UTF-8")]
    InvalidUtf8 {
        /// What was being read.
        what: &'static str,
    },
    /// A number stands for nothing that the protocol has.
    #[error("{value} is no {what}")]
    Unknown {
        /// What was being read.
        what: &'static str,
        /// The number.
        value: i32,
    },
    /// A server answered another request than the one that is to be answered next.
    #[error("an answer to request {xid} came where {expected:?} was to be answered")]
    UnexpectedXid {
        /// The answer's number.
        xid: i32,
        /// The number of the request whose turn it was; none where nothing was asked.
        expected: Option<i32>,
    },
}

impl DecodeError {
    /// Whether reading the same bytes again could succeed: never.
    pub fn is_retriable(&self) -> bool {
        false
    }
}

/// A message that is too long to be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message takes {length} bytes, more than {limit}")]
pub struct EncodeError {
    /// How long its frame would be, in bytes.
    pub length: usize,
    /// The codec's limit.
    pub limit: usize,
}

impl EncodeError {
    /// Whether writing the same message again could succeed: never.
    pub fn is_retriable(&self) -> bool {
        false
    }
}
