use std::sync::Arc;

/// What a blocking call fails with: what the async one would have, or that it cannot wait where it was called.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The calling thread belongs to a tokio runtime, which must not be blocked. Nothing was done.
    #[error(
        "a blocking call was made on a thread of a tokio runtime; await divvy's async types there, or call from a thread of its own \
         (std::thread::spawn)"
    )]
    InsideRuntime,
    /// The background thread could not be started.
    #[error("the background thread cannot be started: {0}")]
    Runtime(Arc<std::io::Error>),
    /// From the client: the cluster could not be reached, or refused.
    #[error(transparent)]
    Client(#[from] crate::ClientError),
    /// From a consumer.
    #[error(transparent)]
    Consumer(#[from] crate::Error),
    /// From a producer.
    #[error(transparent)]
    Producer(#[from] crate::ProducerError),
}

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the same call may succeed later without anybody acting.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::InsideRuntime | Self::Runtime(_) => false,
            Self::Client(error) => error.is_retriable(),
            Self::Consumer(error) => error.is_retriable(),
            Self::Producer(error) => error.is_retriable(),
        }
    }

    /// Whether this is the end of a consumer or a producer that was closed.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Self::Consumer(crate::Error::Closed))
    }
}
