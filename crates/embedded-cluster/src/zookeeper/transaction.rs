//! What the leader decided, in the order in which every server applies it.

use bytes::Bytes;
use divvy_zookeeper::wire::{Acl, ErrorCode, Stat};

use super::ConnectionId;

/// One entry of the log. Everything that a server needs in order to apply it is in it.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) zxid: i64,
    /// The leader's wall clock.
    pub(super) time_ms: i64,
    pub(super) session: i64,
    pub(super) change: Change,
    /// Whom to answer once it is applied.
    pub(super) origin: Option<Origin>,
}

/// The request that a transaction came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) server: usize,
    pub(super) connection: ConnectionId,
    pub(super) xid: i32,
}

/// What a transaction changes.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Create {
        path: String,
        data: Option<Bytes>,
        acl: Vec<Acl>,
        is_ephemeral: bool,
        /// How many children the parent has had, with this one.
        creations: i32,
    },
    Delete {
        path: String,
    },
    SetData {
        path: String,
        data: Option<Bytes>,
        /// The version from now on.
        version: i32,
    },
    SetAcl {
        path: String,
        acl: Vec<Acl>,
        /// The version of the list from now on.
        version: i32,
    },
    /// A version was as it should be. Only within a multi.
    Check,
    Multi(Vec<Change>),
    /// The request was refused, which takes a transaction all the same.
    Failed(ErrorCode),
    /// A step of a multi that was in order, had not a later one failed.
    Undone,
    CreateSession,
    CloseSession,
}

/// What came of a transaction, for whoever asked for it.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Created(String),
    Deleted,
    Set(Stat),
    AclSet(Stat),
    Checked,
    Multi(Vec<Outcome>),
    Failed(ErrorCode),
    Undone,
    SessionCreated,
    SessionClosed,
}
