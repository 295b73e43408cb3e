use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use super::State;

/// Something that a watch reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A watched node has changed.
    Node {
        /// Its path, relative to the chroot.
        path: Arc<str>,
        /// In which way.
        kind: ChangeKind,
    },
    /// The receiver was too slow for single changes: everything that is watched may have changed.
    Everything,
}

/// In which way a watched node has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was created.
    Created,
    /// It was deleted.
    Deleted,
    /// Its data was set, to the same value perhaps.
    Data,
    /// A child was created or deleted.
    Children,
    /// The watch ended without a change, as it does with its session; the node may have changed unseen.
    WatchLost,
}

impl Change {
    /// Whether this is a reason to look at a node again.
    pub fn concerns(&self, node: &str) -> bool {
        match self {
            Self::Node { path, .. } => **path == *node,
            Self::Everything => true,
        }
    }
}

/// Receives the changes that a session's watches report; made by [`Session::subscribe`](crate::Session::subscribe).
///
/// A change says "look again": read the node with a watched read, which sets the next watch. Every receiver gets the changes of
/// every watch of the session, also of those that others have set. One that falls behind by more than 1,024 changes gets
/// [`Change::Everything`] in place of those that it missed.
#[derive(Debug)]
pub struct Changes {
    changes: broadcast::Receiver<Change>,
    states: watch::Receiver<State>,
}

impl Changes {
    pub(super) fn new(
        changes: broadcast::Receiver<Change>,
        states: watch::Receiver<State>,
    ) -> Self {
        Self { changes, states }
    }

    /// The next change; `None` once the session is over. Dropping the future loses no change.
    pub async fn recv(&mut self) -> Option<Change> {
        tokio::select! {
            biased;
            change = self.changes.recv() => match change {
                Ok(change) => Some(change),
                Err(broadcast::error::RecvError::Lagged(_)) => Some(Change::Everything),
                Err(broadcast::error::RecvError::Closed) => None,
            },
            _ = self.states.wait_for(|state| state.is_final()) => None,
        }
    }
}
