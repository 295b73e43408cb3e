use crate::versions::ApiKey;

/// Bytes that are not what the protocol says they should be.
///
/// The peer is another program, another version, or broken. Nothing that follows on the connection can be trusted, so it must
/// be closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("{what} at byte {position} takes {needed} bytes, but only {left} are left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// How many bytes it takes.
        needed: usize,
        /// How many there are.
        left: usize,
        /// Where it begins.
        position: usize,
    },
    /// A length is negative where there is none, or less than -1 where that stands for null.
    #[error("the length of {what} at byte {position} is {length}")]
    NegativeLength {
        /// What was being read.
        what: &'static str,
        /// The length.
        length: i32,
        /// Where it begins.
        position: usize,
    },
    /// An array claims more elements than there are bytes.
    #[error("an array at byte {position} claims {count} elements, but only {left} bytes are left")]
    ImpossibleCount {
        /// How many elements it claims.
        count: usize,
        /// How many bytes there are.
        left: usize,
        /// Where it begins.
        position: usize,
    },
    /// A string is not UTF-8.
    #[error("the string at byte {position} is not UTF-8")]
    InvalidUtf8 {
        /// Where it begins.
        position: usize,
    },
    /// More bytes follow where the message should end.
    #[error("{left} bytes are left over behind the end of the message at byte {position}")]
    TrailingBytes {
        /// How many bytes there are too many.
        left: usize,
        /// Where the message ends.
        position: usize,
    },
    /// This crate does not know that version of the message.
    #[error("version {version} of {api} is not supported here")]
    UnsupportedVersion {
        /// Which API.
        api: ApiKey,
        /// Which version.
        version: i16,
    },
}

impl DecodeError {
    /// Whether reading the same bytes again could succeed: never.
    pub fn is_retriable(&self) -> bool {
        false
    }
}

/// A message that the protocol has no way to write down.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Something is longer than its length field can say.
    #[error("{what} at byte {position} has a length of {length}, which is more than {max}")]
    TooLong {
        /// What was being written.
        what: &'static str,
        /// Its length, in bytes or elements.
        length: usize,
        /// What the length field can hold.
        max: usize,
        /// Where it would begin.
        position: usize,
    },
    /// A field is set that this version does not have, and leaving it out would change what the message asks for.
    #[error("version {version} of {api} cannot carry `{field}`")]
    NotInVersion {
        /// Which API.
        api: ApiKey,
        /// Which version.
        version: i16,
        /// Which field.
        field: &'static str,
    },
    /// This crate does not know that version of the message.
    #[error("version {version} of {api} is not supported here")]
    UnsupportedVersion {
        /// Which API.
        api: ApiKey,
        /// Which version.
        version: i16,
    },
}

impl EncodeError {
    /// Whether writing the same message again could succeed: never.
    pub fn is_retriable(&self) -> bool {
        false
    }
}
