//! The links between members and ZooKeeper servers: what is on them, when it arrives, and what becomes of it when they fail.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::task::Waker;

use divvy_embedded_cluster::zookeeper::{ConnectionId, Millis};
use divvy_zookeeper::wire::{ClientFrame, Op, Request, ServerFrame};

use crate::fault::Stage;

/// A connection between a member and a server, as the network sees it.
pub(crate) type Wire = u64;

/// From a member to a server.
#[derive(Debug)]
pub(crate) enum Up {
    Connect,
    Frame(ClientFrame),
    Gone,
}

/// From a server to a member.
#[derive(Debug)]
pub(crate) enum Down {
    Accepted,
    Frame(ServerFrame),
    Gone,
}

/// One direction of a member's link.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Way {
    /// Nothing arrives before this time.
    pub(crate) cut_until: Millis,
    /// What is held back meanwhile is lost, with the connection.
    pub(crate) lossy: bool,
}

/// A member's link to all servers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) latency: Millis,
    pub(crate) slow_until: Millis,
    pub(crate) slow_by: Millis,
    pub(crate) up: Way,
    pub(crate) down: Way,
}

impl Link {
    pub(crate) fn new(latency: Millis) -> Self {
        Self {
            latency,
            slow_until: 0,
            slow_by: 0,
            up: Way::default(),
            down: Way::default(),
        }
    }

    /// When what is sent now arrives, if nothing is in its way.
    pub(crate) fn arrival(&self, now: Millis) -> Millis {
        let extra = if self.slow_until > now {
            self.slow_by
        } else {
            0
        };
        now + self.latency + extra
    }
}

/// What the member's end of a connection knows.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) member: usize,
    pub(crate) server: usize,
    /// The connection in the ensemble, once it was accepted there.
    pub(crate) id: Option<ConnectionId>,
    pub(crate) accepted: bool,
    /// The member has let go of it.
    pub(crate) left: bool,
    /// The server has closed it.
    pub(crate) over: bool,
    pub(crate) inbox: VecDeque<ServerFrame>,
    pub(crate) waker: Option<Waker>,
    /// What is on its way in each direction, and when it arrives.
    pub(crate) up: VecDeque<(Millis, Up)>,
    pub(crate) down: VecDeque<(Millis, Down)>,
    /// Requests that were sent and not answered, as far as they matter.
    pub(crate) stages: VecDeque<(i32, Stage)>,
    /// It is about to break: nothing arrives any more.
    pub(crate) broken: bool,
}

impl Connection {
    pub(crate) fn new(member: usize, server: usize) -> Self {
        Self {
            member,
            server,
            id: None,
            accepted: false,
            left: false,
            over: false,
            inbox: VecDeque::new(),
            waker: None,
            up: VecDeque::new(),
            down: VecDeque::new(),
            stages: VecDeque::new(),
            broken: false,
        }
    }

    pub(crate) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Takes what has arrived: a frame, or the end.
    pub(crate) fn take(&mut self) -> Option<io::Result<ServerFrame>> {
        if let Some(frame) = self.inbox.pop_front() {
            if let ServerFrame::Reply { xid, .. } = &frame {
                self.stages.retain(|(of, _)| of != xid);
            }
            return Some(Ok(frame));
        }
        self.over.then(|| Err(io::ErrorKind::UnexpectedEof.into()))
    }
}

/// When something arrives that is sent now: nothing overtakes what was sent before.
pub(crate) fn due<T>(queue: &VecDeque<(Millis, T)>, arrival: Millis) -> Millis {
    queue.back().map_or(arrival, |(last, _)| arrival.max(*last))
}

/// The connections of all members.
#[derive(Debug, Default)]
pub(crate) struct Network {
    last: Wire,
    pub(crate) connections: BTreeMap<Wire, Connection>,
    pub(crate) by_id: BTreeMap<ConnectionId, Wire>,
}

impl Network {
    pub(crate) fn open(&mut self, member: usize, server: usize) -> Wire {
        self.last += 1;
        let connection = Connection::new(member, server);
        self.connections.insert(self.last, connection);
        self.last
    }

    pub(crate) fn is_broken(&self, wire: Wire) -> bool {
        let connection = self.connections.get(&wire);
        connection.is_some_and(|connection| connection.broken)
    }

    /// Has everything arrive now that is on a connection.
    pub(crate) fn hurry(&mut self, wire: Wire, now: Millis) {
        if let Some(connection) = self.connections.get_mut(&wire) {
            let up = connection.up.iter_mut().map(|(due, _)| due);
            let down = connection.down.iter_mut().map(|(due, _)| due);
            up.chain(down).for_each(|due| *due = now.min(*due));
        }
    }

    pub(crate) fn of_member(&self, member: usize) -> Vec<Wire> {
        let connections = self.connections.iter();
        let own = connections.filter(|(_, connection)| connection.member == member);
        own.map(|(wire, _)| *wire).collect()
    }

    /// What a member (or any) has asked for and not been answered.
    pub(crate) fn stages(&self, member: Option<usize>) -> impl Iterator<Item = Stage> {
        self.connections
            .values()
            .filter(move |connection| {
                !connection.left && member.is_none_or(|member| member == connection.member)
            })
            .flat_map(|connection| connection.stages.iter().map(|(_, stage)| *stage))
    }
}

/// What a request means to the group.
pub(crate) fn stage(frame: &ClientFrame) -> Option<(i32, Stage)> {
    let ClientFrame::Request { xid, request } = frame else {
        return None;
    };
    let stage = match request {
        Request::Create(create) if is_owner(&create.path) => Stage::Claim,
        Request::Delete(delete) if is_owner(&delete.path) => Stage::Release,
        Request::SetData(set) if is_offset(&set.path) => Stage::Commit,
        Request::Multi(ops) => ops.iter().find_map(|op| match op {
            Op::Create(create) if is_owner(&create.path) => Some(Stage::Claim),
            Op::Delete(delete) if is_owner(&delete.path) => Some(Stage::Release),
            Op::SetData(set) if is_offset(&set.path) => Some(Stage::Commit),
            _ => None,
        })?,
        _ => return None,
    };
    Some((*xid, stage))
}

fn is_owner(path: &str) -> bool {
    path.contains("/owners/")
}

fn is_offset(path: &str) -> bool {
    path.contains("/offsets/")
}
