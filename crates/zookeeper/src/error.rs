use std::sync::Arc;
use std::time::Duration;

/// What can go wrong with ZooKeeper. Each error names the servers or the node concerned.
///
/// What a write normally meets (a node that exists already, another version, no node) is no error but an outcome of the
/// operation, such as [`Set`](crate::Set).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration field has a value that cannot be used.
    #[error("ZooKeeper configuration: {field}: {why}")]
    Config {
        /// The field of [`Config`](crate::Config).
        field: &'static str,
        /// What is wrong with its value.
        why: String,
    },
    /// A topic or group name that Kafka does not allow.
    #[error("{kind} name `{name}`: {why}")]
    Name {
        /// `topic` or `group`.
        kind: &'static str,
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The thread on which sessions run could not be started.
    #[error("cannot start the ZooKeeper thread: {0}")]
    Thread(Arc<std::io::Error>),
    /// No server took a session within [`Config::connect_timeout`](crate::Config::connect_timeout).
    #[error(
        "no ZooKeeper server at {servers} took a session within {after:?} ({why}); is ZooKeeper running there?"
    )]
    CannotConnect {
        /// The servers that were tried, comma-separated.
        servers: String,
        /// How long it was tried.
        after: Duration,
        /// What each server did.
        why: String,
    },
    /// The chroot of the connect string does not exist.
    #[error(
        "ZooKeeper at {servers} has no node {chroot}; is the chroot of the connect string right, and has Kafka ever run with it?"
    )]
    NoChroot {
        /// The servers, comma-separated.
        servers: String,
        /// The chroot.
        chroot: String,
    },
    /// The servers refused the credentials.
    #[error(
        "ZooKeeper at {servers} refused the credentials; check the configured digest authentication"
    )]
    AuthFailed {
        /// The servers, comma-separated.
        servers: String,
    },
    /// The node's ACL (for creating and deleting: that of its parent) does not allow the operation.
    #[error(
        "not allowed to {operation} {path} in ZooKeeper; its ACL (or its parent's) wants other credentials than are configured"
    )]
    NoAuth {
        /// What was tried.
        operation: &'static str,
        /// The node.
        path: String,
    },
    /// The servers do not accept the ACL that new nodes are to have.
    #[error("ZooKeeper refuses the ACL for {path}; `Acl::Creator` needs accepted credentials")]
    InvalidAcl {
        /// The node that was to be created.
        path: String,
    },
    /// The path is not one that ZooKeeper allows.
    #[error("`{path}` is no valid ZooKeeper path: {why}")]
    InvalidPath {
        /// The path.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A parent of the node is ephemeral or keeps vanishing, so that the node cannot be created.
    #[error("cannot create {path} in ZooKeeper: its parent is ephemeral or keeps vanishing")]
    NoParent {
        /// The node that was to be created.
        path: String,
    },
    /// The connection was lost while a write was under way, which may or may not have been carried out.
    #[error(
        "lost the connection to ZooKeeper during {operation} {path}; whether it was done is unknown"
    )]
    ConnectionLoss {
        /// What was tried.
        operation: &'static str,
        /// The node.
        path: String,
    },
    /// No answer came in time. A write may still be carried out, within the same session and before anything that is asked of
    /// that session later.
    #[error("ZooKeeper did not answer {operation} {path} within {after:?}")]
    Timeout {
        /// What was tried.
        operation: &'static str,
        /// The node.
        path: String,
        /// How long was waited.
        after: Duration,
    },
    /// The session has expired: its ephemeral nodes and watches are gone.
    #[error("ZooKeeper session 0x{session:x} has expired")]
    SessionExpired {
        /// Its id.
        session: i64,
    },
    /// The session has been closed from this side.
    #[error("ZooKeeper session 0x{session:x} is closed")]
    SessionClosed {
        /// Its id.
        session: i64,
    },
    /// A node does not contain what it should.
    #[error("ZooKeeper node {path} cannot be read: {why}")]
    Malformed {
        /// The node.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A transaction or a document is larger than ZooKeeper takes.
    #[error("{path}: {why}")]
    TooLarge {
        /// The node, or the first node of the transaction.
        path: String,
        /// Which limit is exceeded.
        why: String,
    },
    /// A server answered with something that this operation cannot yield.
    #[error("ZooKeeper answered {operation} {path} with: {why}")]
    Unexpected {
        /// What was tried.
        operation: &'static str,
        /// The node.
        path: String,
        /// The answer.
        why: String,
    },
}

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the same may succeed later without anybody acting.
    ///
    /// [`Error::SessionExpired`] counts: another attempt, through [`ZooKeeper::session`](crate::ZooKeeper::session), finds a
    /// new session. A write with an unknown outcome must look at the node first.
    pub fn is_retriable(&self) -> bool {
        matches!(
            self,
            Self::CannotConnect { .. }
                | Self::ConnectionLoss { .. }
                | Self::Timeout { .. }
                | Self::SessionExpired { .. }
                | Self::NoParent { .. }
                | Self::Unexpected { .. }
        )
    }

    /// Whether the session that gave this error is over, so that a new one is needed.
    pub fn is_session_over(&self) -> bool {
        matches!(
            self,
            Self::SessionExpired { .. } | Self::SessionClosed { .. }
        )
    }

    pub(crate) fn config(field: &'static str, why: impl Into<String>) -> Self {
        Self::Config {
            field,
            why: why.into(),
        }
    }
}
