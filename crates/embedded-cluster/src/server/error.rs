use std::io;
use std::net::SocketAddr;

/// What a server could not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on: something else does, or it is not this machine's.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Whether trying again can help: another program may give the address up.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Listen { source, .. } => source.kind() == io::ErrorKind::AddrInUse,
        }
    }
}

/// What the servers give back.
pub type Result<T, E = Error> = std::result::Result<T, E>;
