use super::action::Token;
use super::timer::Time;
use crate::assignor::ConsumerThreadId;

/// Where a partition stands between nobody's and this member's.
///
/// ```text
/// Free → Claiming → Positioning → Owned → Stopping → Committing → Releasing → Free
/// ```
///
/// While the lease has run out an owned partition is `Suspended`; it is `Owned` again when the lease runs and the owner node is still
/// there. Besides, `Claiming` and `Positioning` lead to `Releasing` when the assignment moves on, and every state to `Free` when the claim is
/// refused or gone. A partition is never released without a commit once it was owned, and its position is never read without a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PartitionState {
    /// There is no claim, and none is under way; a refused claim waits here.
    Free,
    /// The owner node is being created.
    Claiming,
    /// The claim stands; where to start is being read.
    Positioning,
    /// The partition is handed out.
    Owned,
    /// The partition would be handed out, but it is not known whether it is still this member's.
    Suspended,
    /// Hand-out ends.
    Stopping,
    /// What was finished is being committed.
    Committing,
    /// The owner node is being deleted.
    Releasing,
}

impl PartitionState {
    /// The arrows of the diagram. There is none from `Owned` to `Releasing` and none from `Free` to `Positioning`.
    pub(super) fn leads_to(self, next: Self) -> bool {
        use PartitionState::*;
        matches!(
            (self, next),
            (Free, Claiming)
                | (Claiming, Positioning | Releasing)
                | (Positioning, Owned | Releasing)
                | (Owned, Stopping)
                | (Stopping, Committing)
                | (Committing, Releasing)
                // What is left of a claim under which nothing can be committed.
                | (Free, Releasing)
                | (_, Free)
        )
    }
}

/// A claim that stands.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) thread: ConsumerThreadId,
    pub(super) token: Token,
}

/// [`PartitionState`] with what belongs to each state.
#[derive(Debug)]
pub(super) enum State {
    Free,
    Claiming { thread: ConsumerThreadId },
    Positioning(Claim),
    Owned(Claim),
    Stopping(Claim),
    Committing { claim: Claim, deadline: Time },
    Releasing { token: Option<Token> },
}

impl State {
    pub(super) fn kind(&self) -> PartitionState {
        match self {
            Self::Free => PartitionState::Free,
            Self::Claiming { .. } => PartitionState::Claiming,
            Self::Positioning(_) => PartitionState::Positioning,
            Self::Owned(_) => PartitionState::Owned,
            Self::Stopping(_) => PartitionState::Stopping,
            Self::Committing { .. } => PartitionState::Committing,
            Self::Releasing { .. } => PartitionState::Releasing,
        }
    }
}

/// An action of a partition that is yet to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Claim,
    Position,
    Stop,
    Commit,
    Release,
}
