use std::fmt;
use std::time::Duration;

use divvy_protocol::TopicPartition;

use super::event::Incarnation;
use crate::assignor::ConsumerThreadId;
use crate::view::PoisonKind;

/// The fencing token of a claim: the `czxid` of its owner node. Later claims of a partition have larger ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub i64);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the driver has to do, in the order in which the machine says it.
///
/// The driver starts each action and goes on; the answer is an event of the present session. `Start`, `Suspend`,
/// `Resume`, `Lost`, `Nudge` and `Emit` are done when they are taken and have no answer. A partition has at most one of `Claim`, `Position`, `Stop`, `Commit` and `Release` outstanding.
/// Nothing that belongs to a session is ever repeated in another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Open a new session; from here on events carry its number. → `SessionOpened` or `SessionFailed`
    OpenSession {
        /// The number of the session.
        incarnation: Incarnation,
    },
    /// Create this member's node below `ids`, unless this session has it already. → `Registered` or `RegisterFailed`
    Register,
    /// Read the group's nodes, with watches. → `ViewRead` or `ViewFailed`
    ReadView,
    /// Read the owner nodes of the view's topics, without watches. → `OwnersRead` or `OwnersFailed`
    ReadOwners,
    /// Create a node below `ids` that subscribes nothing, and delete it, so that every member looks at the group again.
    Nudge,
    /// Create the owner node, or find that this session created it already, and watch it. → `Claimed`, `ClaimRefused` or `ClaimFailed`
    Claim {
        /// The partition.
        tp: TopicPartition,
        /// The text of the node.
        thread: ConsumerThreadId,
    },
    /// Read where to start, and store it where nothing is stored. → `Positioned` or `PositionFailed`
    Position {
        /// The partition.
        tp: TopicPartition,
        /// The claim's token.
        token: Token,
    },
    /// Fetch the partition and hand it out.
    Start {
        /// The partition.
        tp: TopicPartition,
        /// The claim's token.
        token: Token,
        /// The stream that hands it out.
        thread: ConsumerThreadId,
    },
    /// Stop handing out and wait, bounded, for what is being worked on. → `Stopped`, also if `Lost` comes first
    Stop {
        /// The partition.
        tp: TopicPartition,
    },
    /// Commit what is finished. → `Committed` or `CommitFailed`, also if `Lost` comes first
    Commit {
        /// The partition.
        tp: TopicPartition,
    },
    /// Delete the owner node if it is of this session and has the token. Without a token the outcome of the claim is unknown, and a
    /// node of this session is its. → `Released` or `ReleaseFailed`
    Release {
        /// The partition.
        tp: TopicPartition,
        /// The claim's token, if it is known.
        token: Option<Token>,
    },
    /// Look whose the owner node is, and watch it again. → `OwnerChecked` or `OwnerCheckFailed`
    CheckOwner {
        /// The partition.
        tp: TopicPartition,
        /// The claim's token.
        token: Token,
    },
    /// Hand nothing out and commit nothing until `Resume`, and drop what is buffered; positions and acknowledgements stay.
    Suspend {
        /// The partition.
        tp: TopicPartition,
    },
    /// The claim stands as it stood before `Suspend`: go on.
    Resume {
        /// The partition.
        tp: TopicPartition,
    },
    /// The claim is gone: stop handing out at once, drop what is buffered, commit nothing.
    Lost {
        /// The partition.
        tp: TopicPartition,
    },
    /// Delete this member's node below `ids`. → `Unregistered`
    Unregister,
    /// Close the session, or stop opening one. → `SessionClosed`
    CloseSession,
    /// Tell the application.
    Emit(GroupEvent),
}

/// What the application is told of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupEvent {
    /// These partitions are claimed and positioned. Comes before their `Start`.
    Assigned {
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// These partitions move away. Comes before their `Stop`: the last moment to finish and acknowledge.
    Revoking {
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// These partitions are stopped and committed. Comes before their `Release`, so that from `Assigned` to `Revoked` or `Lost` is
    /// never the time of two members.
    Revoked {
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// These partitions are no longer this member's, and someone else may have them. Comes after the action `Lost`.
    Lost {
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// Nothing of these partitions is handed out, because the lease has run out. Comes after the action `Suspend`.
    Suspended {
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// These partitions were suspended and are this member's still. Comes after the action `Resume`.
    Resumed {
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// The commit before a release failed until its deadline; the next owner delivers again from the commit before.
    ReleasedUncommitted {
        /// The partition.
        tp: TopicPartition,
        /// The last failure.
        error: String,
    },
    /// The assignment has nothing for this member; as a rule there are more threads than partitions. Once per change.
    Idle,
    /// A partition is this member's, but its owner does not release it.
    Waiting {
        /// The partition.
        tp: TopicPartition,
        /// The text of the owner node.
        owner: String,
        /// For how long the claim has been refused.
        waited: Duration,
    },
    /// A partition belongs to another living member, which has not claimed it for longer than it takes.
    Orphan {
        /// The partition.
        tp: TopicPartition,
        /// The member.
        member: String,
        /// For how long it has been seen without an owner.
        orphaned: Duration,
    },
    /// A living member goes on owning partitions that are not its own, as this member computes it.
    Disagreement {
        /// The member.
        member: String,
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// What would explain that.
        why: String,
    },
    /// A member is registered in another dialect, and can own nothing in this group.
    Misplaced {
        /// The path of the node.
        node: String,
    },
    /// Nobody in the group can compute an assignment because of this node. Everything is released until it goes.
    Blocked {
        /// The path of the node.
        node: String,
        /// Its data as text.
        data: String,
        /// What the data tells about who wrote it.
        kind: PoisonKind,
    },
    /// There is no such topic, or no longer; what was held of it is released.
    TopicGone {
        /// The topic.
        topic: String,
    },
    /// Something failed and is tried again for ever.
    Error {
        /// What failed.
        operation: Operation,
        /// The partition, if it concerns a single one.
        tp: Option<TopicPartition>,
        /// The reason.
        error: String,
        /// When it is tried again; without a time, when the group changes.
        retry_in: Option<Duration>,
    },
}

/// What can fail and is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Opening a session.
    OpenSession,
    /// Registering the member.
    Register,
    /// Reading the group's nodes.
    ReadView,
    /// Computing the assignment.
    Assign,
    /// Creating an owner node.
    Claim,
    /// Reading the position of a claimed partition.
    Position,
    /// Committing a partition before its release.
    Commit,
    /// Deleting an owner node.
    Release,
    /// Reading an owner node that changed.
    CheckOwner,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenSession => "open session",
            Self::Register => "register",
            Self::ReadView => "read group",
            Self::Assign => "assign",
            Self::Claim => "claim",
            Self::Position => "position",
            Self::Commit => "commit",
            Self::Release => "release",
            Self::CheckOwner => "check owner",
        })
    }
}
