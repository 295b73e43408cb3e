//! What can go wrong with a codec.

use thiserror::Error;

use super::Compression;

/// Why bytes could not be packed or unpacked.
///
/// It names no broker, topic or partition, because a codec knows none; the error of the record set
/// around it says where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompressionError {
    /// The attributes name a codec that Kafka has not defined.
    #[error("compression code {code} is not one of Kafka's (0 to 4)")]
    UnknownCode {
        /// The code, 5 to 7.
        code: i16,
    },
    /// A setting names no codec.
    #[error("'{name}' is no compression; choose none, gzip, snappy, lz4 or zstd")]
    UnknownName {
        /// What was given.
        name: String,
    },
    /// The codec exists, but this build leaves it out.
    #[error("{codec} is not part of this build; build it with the feature `{codec}`")]
    NotBuilt {
        /// The codec.
        codec: Compression,
    },
    /// The bytes unfold to more than the caller allows.
    #[error("{codec} data unfolds to more than {limit} bytes")]
    LimitExceeded {
        /// The codec.
        codec: Compression,
        /// The limit that was set, in bytes.
        limit: usize,
    },
    /// The bytes are not in the codec's format.
    #[error("malformed {codec} data: {reason}")]
    Malformed {
        /// The codec.
        codec: Compression,
        /// What is wrong with them.
        reason: String,
    },
    /// The output could not be allocated.
    #[error("no memory for {bytes} bytes of unpacked {codec} data")]
    OutOfMemory {
        /// The codec.
        codec: Compression,
        /// How much was asked for, in bytes.
        bytes: usize,
    },
    /// The codec's library could not pack the input.
    #[error("{codec} could not pack the data: {reason}")]
    Failed {
        /// The codec.
        codec: Compression,
        /// What the library says.
        reason: String,
    },
}

impl CompressionError {
    /// Whether reading the same record set again can help: memory may have been freed, and
    /// malformed bytes may have been damaged on their way.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        matches!(self, Self::OutOfMemory { .. } | Self::Malformed { .. })
    }

    /// Malformed input of `codec`.
    pub(super) fn malformed(codec: Compression, reason: impl ToString) -> Self {
        Self::Malformed {
            codec,
            reason: reason.to_string(),
        }
    }

    /// Input of `codec` that could not be packed.
    pub(super) fn failed(codec: Compression, reason: impl ToString) -> Self {
        Self::Failed {
            codec,
            reason: reason.to_string(),
        }
    }
}
