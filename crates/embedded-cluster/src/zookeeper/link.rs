//! What leader and follower tell one another.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::acl::Identity;
use super::transaction::Origin;
use super::{ConnectionId, Millis};
use divvy_zookeeper::wire::Request;

/// From a follower to its leader.
#[derive(Clone, Debug)]
pub(super) enum ToLeader {
    /// A client's request that the leader decides.
    Forward {
        origin: Origin,
        session: i64,
        /// Who asks.
        identities: Arc<[Identity]>,
        request: Request,
    },
    /// A client asks for a new session.
    CreateSession {
        connection: ConnectionId,
        session: i64,
        timeout: Millis,
    },
    /// A client wants to go on with a session.
    Revalidate {
        connection: ConnectionId,
        session: i64,
        timeout: Millis,
    },
    /// The answer to a ping: the sessions that were touched since the last.
    Touched(BTreeMap<i64, Millis>),
}

/// From the leader to a follower.
#[derive(Clone, Debug)]
pub(super) enum ToFollower {
    /// So many transactions are committed.
    Committed(u64),
    /// The answer to a sync, behind everything that was committed before.
    Synced {
        origin: Origin,
        path: String,
    },
    /// Whether the client may go on with its session.
    Revalidated {
        connection: ConnectionId,
        valid: bool,
    },
    Ping,
}

/// The two ways between a follower and its leader. What is on the way stays on it while one of them is cut off, as in the buffers
/// of a TCP connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    pub(super) delay: Millis,
    to_leader: VecDeque<(Millis, ToLeader)>,
    to_follower: VecDeque<(Millis, ToFollower)>,
}

impl Link {
    pub(super) fn send_up(&mut self, now: Millis, message: ToLeader) {
        let due = due(&self.to_leader, now + self.delay);
        self.to_leader.push_back((due, message));
    }

    pub(super) fn send_down(&mut self, now: Millis, message: ToFollower) {
        let due = due(&self.to_follower, now + self.delay);
        self.to_follower.push_back((due, message));
    }

    pub(super) fn take_up(&mut self, now: Millis) -> Option<ToLeader> {
        take(&mut self.to_leader, now)
    }

    pub(super) fn take_down(&mut self, now: Millis) -> Option<ToFollower> {
        take(&mut self.to_follower, now)
    }

    /// When the next message arrives.
    pub(super) fn next_due(&self) -> Option<Millis> {
        let up = self.to_leader.front().map(|(due, _)| *due);
        let down = self.to_follower.front().map(|(due, _)| *due);
        up.into_iter().chain(down).min()
    }

    /// The connection is gone, with what was on it.
    pub(super) fn reset(&mut self) {
        self.to_leader.clear();
        self.to_follower.clear();
    }
}

/// Nothing overtakes what was sent before it, also where the delay has become shorter.
fn due<T>(queue: &VecDeque<(Millis, T)>, due: Millis) -> Millis {
    queue.back().map_or(due, |(last, _)| due.max(*last))
}

fn take<T>(queue: &mut VecDeque<(Millis, T)>, now: Millis) -> Option<T> {
    let due = queue.front().is_some_and(|(due, _)| *due <= now);
    let (_, message) = if due { queue.pop_front() } else { None }?;
    Some(message)
}
