use std::collections::BTreeMap;
use std::fmt;

use divvy_protocol::TopicPartition;

use super::action::Token;
use crate::view::View;

/// Numbers the sessions of one [`Membership`](super::Membership), from 1. A session that could not be opened has a number too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What can happen to a [`Membership`](super::Membership).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The member is to leave: everything is stopped, committed and released, then the session is closed. Saying so again changes
    /// nothing.
    Close,
    /// The member is to leave for a while: everything is stopped, committed and released, then its registration is withdrawn, so that
    /// the others share its partitions out. The session stays.
    StandDown,
    /// The end of that: the member joins again.
    StandUp,
    /// Something happened in a session. Ignored unless it is the present one.
    Session(Incarnation, SessionEvent),
}

/// What can happen in a session: answers to actions, and watches.
///
/// Every action that has an answer gets exactly one, success or failure, within a deadline that the driver keeps; a partition for
/// which an answer is missing stands still. The end of the session is the answer to all that is outstanding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// Answers [`OpenSession`](super::Action::OpenSession): the session is there.
    SessionOpened,
    /// Answers [`OpenSession`](super::Action::OpenSession): it is not, and will not come.
    SessionFailed {
        /// The reason.
        error: String,
    },
    /// The session is over: expired, refused, or closed by someone else. Its ephemeral nodes are gone or will be.
    SessionExpired,
    /// The delivery lease has run out: the servers may end the session before they are heard of again. Said as soon as it is known;
    /// whoever hands out must not have waited for it.
    LeaseEnded,
    /// The lease runs again, because the leader has acknowledged a request: the session lives, and its ephemeral nodes are there
    /// unless somebody deleted them.
    LeaseRenewed,
    /// Answers [`CloseSession`](super::Action::CloseSession), whether or not the server heard of it.
    SessionClosed,

    /// Answers [`Register`](super::Action::Register): the node is there and of this session.
    Registered,
    /// Answers [`Register`](super::Action::Register).
    RegisterFailed {
        /// The reason.
        error: String,
    },
    /// Answers [`Unregister`](super::Action::Unregister): the node is gone, or removing it was given up and the end of the session
    /// will see to it.
    Unregistered,

    /// A watch of the view fired: members came or went, a topic's partitions changed, or the set of topics did.
    Changed,
    /// Answers [`ReadView`](super::Action::ReadView).
    ViewRead(View),
    /// Answers [`ReadView`](super::Action::ReadView).
    ViewFailed {
        /// The reason.
        error: String,
    },

    /// Answers [`ReadOwners`](super::Action::ReadOwners).
    OwnersRead(Owners),
    /// Answers [`ReadOwners`](super::Action::ReadOwners): nobody could be asked.
    OwnersFailed,

    /// Answers [`Claim`](super::Action::Claim): the owner node is this session's, and watched.
    Claimed {
        /// The partition.
        tp: TopicPartition,
        /// The fencing token.
        token: Token,
    },
    /// Answers [`Claim`](super::Action::Claim): someone else holds the owner node, which is watched now. If it went before it could
    /// be watched, the driver claims once more instead of answering.
    ClaimRefused {
        /// The partition.
        tp: TopicPartition,
        /// The text of the owner node.
        owner: String,
    },
    /// Answers [`Claim`](super::Action::Claim): whether the owner node is there is unknown.
    ClaimFailed {
        /// The partition.
        tp: TopicPartition,
        /// The reason.
        error: String,
    },

    /// Answers [`Position`](super::Action::Position): the driver knows where to start, and that is stored.
    Positioned {
        /// The partition.
        tp: TopicPartition,
    },
    /// Answers [`Position`](super::Action::Position).
    PositionFailed {
        /// The partition.
        tp: TopicPartition,
        /// The reason.
        error: String,
    },

    /// Answers [`Stop`](super::Action::Stop): nothing of the partition will be handed out any more, and what was handed out is
    /// finished or was given up.
    Stopped {
        /// The partition.
        tp: TopicPartition,
    },
    /// Answers [`Commit`](super::Action::Commit): what was finished is committed; also if there was nothing to commit.
    Committed {
        /// The partition.
        tp: TopicPartition,
    },
    /// Answers [`Commit`](super::Action::Commit): it is not possible under this claim any more.
    CommitFenced {
        /// The partition.
        tp: TopicPartition,
        /// What was found.
        error: String,
    },
    /// Answers [`Commit`](super::Action::Commit).
    CommitFailed {
        /// The partition.
        tp: TopicPartition,
        /// The reason.
        error: String,
    },

    /// Answers [`Release`](super::Action::Release): no owner node of this session is left, whether it had to be deleted or not.
    Released {
        /// The partition.
        tp: TopicPartition,
    },
    /// Answers [`Release`](super::Action::Release): whether the owner node is there is unknown.
    ReleaseFailed {
        /// The partition.
        tp: TopicPartition,
        /// The reason.
        error: String,
    },

    /// The watch on an owner node fired, be it this member's own node or the one that it waits for.
    OwnerNodeChanged {
        /// The partition.
        tp: TopicPartition,
    },
    /// Answers [`CheckOwner`](super::Action::CheckOwner). The node is watched again if it is ours.
    OwnerChecked {
        /// The partition.
        tp: TopicPartition,
        /// The token that was asked about.
        token: Token,
        /// What was found.
        ownership: Ownership,
    },
    /// Somebody else wrote where only the owner does, or deleted that node: nothing can be committed under this claim any more,
    /// whatever has become of the owner node.
    Fenced {
        /// The partition.
        tp: TopicPartition,
        /// The claim's token.
        token: Token,
    },
    /// Answers [`CheckOwner`](super::Action::CheckOwner).
    OwnerCheckFailed {
        /// The partition.
        tp: TopicPartition,
        /// The token that was asked about.
        token: Token,
        /// The reason.
        error: String,
    },
}

/// Who owns what in a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// The text of each owner node of the topics of a [`View`].
    pub owners: BTreeMap<TopicPartition, String>,
    /// The `pzxid` of `ids` before that was read.
    pub ids_zxid: i64,
}

/// What has become of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// The owner node has the token and is of this session.
    Ours,
    /// There is no owner node.
    Gone,
    /// There is another owner node.
    Foreign {
        /// Its text.
        owner: String,
    },
}
