//! What a server does for its clients.

use std::collections::VecDeque;
use std::sync::Arc;

use divvy_zookeeper::wire::{
    Auth, ConnectRequest, ConnectResponse, ErrorCode, EventKind, OpCode, OpResult, Request,
    Response, Secret, ServerFrame, SetWatches, WatcherEvent, permission,
};

use super::acl::{self, Identity};
use super::ensemble::{Ensemble, Output};
use super::link::{ToFollower, ToLeader};
use super::sessions::Standing;
use super::transaction::{Origin, Outcome};
use super::tree::{Node, NodeEvent, Tree};
use super::{ConnectionId, Millis};

/// How many identities a connection may have; 3.4.6 knows no limit.
const MOST_IDENTITIES: usize = 64;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The client has not said who it is.
    New,
    /// The leader is asked for a session, or whether there still is one.
    Greeted,
    Open,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) server: usize,
    pub(super) phase: Phase,
    pub(super) session: i64,
    pub(super) timeout: Millis,
    identities: Arc<[Identity]>,
    /// A request is with the leader; those behind it wait.
    busy: bool,
    waiting: VecDeque<(i32, Request)>,
}

impl Connection {
    pub(super) fn new(server: usize) -> Self {
        Self {
            server,
            phase: Phase::New,
            session: 0,
            timeout: 0,
            identities: Arc::new([Identity::of_connection()]),
            busy: false,
            waiting: VecDeque::new(),
        }
    }
}

/// Sessions.
impl Ensemble {
    pub(super) fn greet(&mut self, id: ConnectionId, request: &ConnectRequest) {
        let (shortest, longest) = (2 * self.config.tick, 20 * self.config.tick);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let server = connection.server;
        let seen = self.servers[server].tree.last_zxid();
        if connection.phase != Phase::New || request.last_zxid > seen {
            return self.close(id);
        }
        let wanted = Millis::try_from(request.timeout_ms).unwrap_or(0);
        let timeout = wanted.clamp(shortest, longest);
        connection.timeout = timeout;
        connection.phase = Phase::Greeted;
        let session = request.session_id;
        if session == 0 {
            let session = self.next_session(server);
            self.set_session(id, session);
            let connection = id;
            return self.tell_leader(
                server,
                ToLeader::CreateSession {
                    connection,
                    session,
                    timeout,
                },
            );
        }
        for other in self.connections_of(server, session) {
            self.close(other);
        }
        self.set_session(id, session);
        if *request.password.reveal() != self.password(session) {
            return self.admit(id, false);
        }
        let connection = id;
        self.tell_leader(
            server,
            ToLeader::Revalidate {
                connection,
                session,
                timeout,
            },
        );
    }

    fn set_session(&mut self, id: ConnectionId, session: i64) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.session = session;
        }
    }

    fn next_session(&mut self, server: usize) -> i64 {
        self.last_session += 1;
        let server = i64::try_from(server).unwrap_or(0);
        let counter = (self.config.wall_clock_ms << 16) + self.last_session;
        ((server + 1) << 56) | (counter & 0x00ff_ffff_ffff_ffff)
    }

    /// Whoever knows a session's password may take part in it.
    fn password(&self, session: i64) -> [u8; 16] {
        let mut password = [0; 16];
        let mut state = self.config.secret ^ session.cast_unsigned();
        for half in password.chunks_exact_mut(8) {
            half.copy_from_slice(&mix(&mut state).to_be_bytes());
        }
        password
    }

    pub(super) fn connections_of(&self, server: usize, session: i64) -> Vec<ConnectionId> {
        let connections = self.connections.iter();
        let of_session = connections.filter(|(_, connection)| {
            connection.server == server
                && connection.session == session
                && connection.phase != Phase::New
        });
        of_session.map(|(id, _)| *id).collect()
    }

    /// Tells a client whether it has a session.
    pub(super) fn admit(&mut self, id: ConnectionId, valid: bool) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !valid {
            let response = ConnectResponse {
                password: Secret::new([0; 16]),
                ..ConnectResponse::default()
            };
            self.send(id, ServerFrame::Connect(response));
            return self.close(id);
        }
        connection.phase = Phase::Open;
        let session_id = connection.session;
        let timeout_ms = i32::try_from(connection.timeout).unwrap_or(i32::MAX);
        let response = ConnectResponse {
            timeout_ms,
            session_id,
            password: Secret::new(self.password(session_id)),
            read_only: false,
        };
        self.send(id, ServerFrame::Connect(response));
        self.ready.push_back(id);
    }
}

/// The next number of a sequence that looks like chance (splitmix64).
fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Requests.
impl Ensemble {
    pub(super) fn accept(&mut self, id: ConnectionId, xid: i32, request: Request) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if connection.phase == Phase::New {
            return self.close(id);
        }
        connection.waiting.push_back((xid, request));
        self.ready.push_back(id);
    }

    /// Serves what has arrived on a connection, up to a request that the leader has to decide.
    pub(super) fn serve_waiting(&mut self, id: ConnectionId) {
        while let Some(connection) = self.connections.get_mut(&id)
            && connection.phase == Phase::Open
            && !connection.busy
            && let Some((xid, request)) = connection.waiting.pop_front()
        {
            self.serve(id, xid, request);
        }
    }

    fn serve(&mut self, id: ConnectionId, xid: i32, request: Request) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let (server, session, timeout) =
            (connection.server, connection.session, connection.timeout);
        if self.leader == Some(server) {
            if !self.sessions.touch(self.wall(), session, timeout) {
                return;
            }
            match self.sessions.check(session, server) {
                Standing::Good => {}
                Standing::Expired => {
                    return self.reply(id, xid, Err(ErrorCode::SessionExpired));
                }
                Standing::Moved => return self.close(id),
            }
        } else {
            self.servers[server].touched.insert(session, timeout);
        }
        match &request {
            Request::Create(_)
            | Request::Delete(_)
            | Request::SetData(_)
            | Request::SetAcl(_)
            | Request::Multi(_)
            | Request::Sync { .. }
            | Request::CloseSession
            | Request::Other {
                code:
                    OpCode::Create | OpCode::Delete | OpCode::SetData | OpCode::SetAcl | OpCode::Multi,
                ..
            } => {
                let connection = id;
                let origin = Origin {
                    server,
                    connection,
                    xid,
                };
                self.forward(origin, request);
            }
            Request::SetWatches(watches) => {
                self.set_watches(id, server, watches);
                self.reply(id, xid, Ok(Response::Empty));
            }
            Request::Auth(auth) => self.identify(id, xid, auth),
            Request::Other {
                code: OpCode::Other(_),
                ..
            } => {
                let result = Err(ErrorCode::Unimplemented);
                self.send(
                    id,
                    ServerFrame::Reply {
                        xid,
                        zxid: -1,
                        result,
                    },
                );
                self.close(id);
            }
            _ => {
                let answer = self.read(id, server, &request);
                self.reply(id, xid, answer);
            }
        }
    }

    /// Has the leader decide. What comes behind on the connection waits.
    fn forward(&mut self, origin: Origin, request: Request) {
        let Some(connection) = self.connections.get_mut(&origin.connection) else {
            return;
        };
        connection.busy = true;
        let forward = ToLeader::Forward {
            origin,
            session: connection.session,
            identities: Arc::clone(&connection.identities),
            request,
        };
        self.tell_leader(origin.server, forward);
    }

    /// Takes note of who the client says that it is, or closes the connection where that is not possible.
    fn identify(&mut self, id: ConnectionId, xid: i32, auth: &Auth) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let result = match Identity::of(auth) {
            Some(identity) if connection.identities.contains(&identity) => Ok(Response::Empty),
            Some(identity) if connection.identities.len() < MOST_IDENTITIES => {
                let known = connection.identities.iter().cloned();
                connection.identities = known.chain([identity]).collect();
                Ok(Response::Empty)
            }
            _ => Err(ErrorCode::AuthFailed),
        };
        let (zxid, is_refused) = (0, result.is_err());
        self.send(id, ServerFrame::Reply { xid, zxid, result });
        if is_refused {
            self.close(id);
        }
    }

    fn read(
        &mut self,
        id: ConnectionId,
        server: usize,
        request: &Request,
    ) -> Result<Response, ErrorCode> {
        let connection = self.connections.get(&id);
        let identities = connection.map_or(&[][..], |connection| &connection.identities);
        let server = &mut self.servers[server];
        let find = |path: &str| server.tree.get(path).ok_or(ErrorCode::NoNode);
        let open = |path: &str| {
            let node = find(path)?;
            acl::check(&node.acl, permission::READ, identities).map(|()| node)
        };
        match request {
            Request::Exists { path, watch } => {
                if path.contains('\0') {
                    return Err(ErrorCode::BadArguments);
                }
                if *watch {
                    server.watches.watch_data(path, id);
                }
                Ok(Response::Exists(find(path)?.stat()))
            }
            Request::GetData { path, watch } => {
                let node = open(path)?;
                if *watch {
                    server.watches.watch_data(path, id);
                }
                Ok(Response::GetData {
                    data: node.data.clone(),
                    stat: node.stat(),
                })
            }
            Request::GetChildren { path, watch } => {
                let node = open(path)?;
                if *watch {
                    server.watches.watch_children(path, id);
                }
                let names = node.children.iter().cloned().collect();
                Ok(Response::GetChildren { names })
            }
            Request::GetChildren2 { path, watch } => {
                let node = open(path)?;
                if *watch {
                    server.watches.watch_children(path, id);
                }
                Ok(Response::GetChildren2 {
                    names: node.children.iter().cloned().collect(),
                    stat: node.stat(),
                })
            }
            Request::GetAcl { path } => {
                let node = find(path)?;
                Ok(Response::GetAcl {
                    acl: node.acl.clone(),
                    stat: node.stat(),
                })
            }
            Request::Ping => Ok(Response::Empty),
            // Its body cannot be read.
            _ => Err(ErrorCode::MarshallingError),
        }
    }

    /// Tells at once what has changed since the client last heard of it, and watches the rest.
    fn set_watches(&mut self, id: ConnectionId, server: usize, watches: &SetWatches) {
        let server = &mut self.servers[server];
        let since = watches.last_zxid;
        let mut told = Vec::new();
        let changed = |tree: &Tree, path: &str, kind, zxid: fn(&Node) -> i64| match tree.get(path) {
            None => Some(EventKind::Deleted),
            Some(node) if zxid(node) > since => Some(kind),
            Some(_) => None,
        };
        for path in &watches.data {
            match changed(&server.tree, path, EventKind::DataChanged, |node| {
                node.mzxid
            }) {
                Some(kind) => told.push((path, kind)),
                None => server.watches.watch_data(path, id),
            }
        }
        for path in &watches.exist {
            match server.tree.get(path) {
                Some(_) => told.push((path, EventKind::Created)),
                None => server.watches.watch_data(path, id),
            }
        }
        for path in &watches.child {
            match changed(&server.tree, path, EventKind::ChildrenChanged, |node| {
                node.pzxid
            }) {
                Some(kind) => told.push((path, kind)),
                None => server.watches.watch_children(path, id),
            }
        }
        for (path, kind) in told {
            self.tell(id, path.clone(), kind);
        }
    }
}

/// Answers.
impl Ensemble {
    /// What came of a client's write is told once its server has applied it.
    pub(super) fn answer(&mut self, origin: Origin, outcome: Outcome) {
        match outcome {
            Outcome::SessionCreated => self.admit(origin.connection, true),
            Outcome::SessionClosed => {
                self.finish(origin, Ok(Response::Empty));
                self.close(origin.connection);
            }
            // An error of the connection, and not of the request.
            Outcome::Failed(ErrorCode::SessionMoved) => self.close(origin.connection),
            Outcome::Failed(error) => self.finish(origin, Err(error)),
            Outcome::Created(path) => self.finish(origin, Ok(Response::Create { path })),
            Outcome::Set(stat) => self.finish(origin, Ok(Response::SetData(stat))),
            Outcome::AclSet(stat) => self.finish(origin, Ok(Response::SetAcl(stat))),
            Outcome::Deleted | Outcome::Checked | Outcome::Undone => {
                self.finish(origin, Ok(Response::Empty));
            }
            Outcome::Multi(outcomes) => {
                let results = outcomes.into_iter().map(step_result).collect();
                self.finish(origin, Ok(Response::Multi(results)));
            }
        }
    }

    pub(super) fn synced(&mut self, origin: Origin, path: String) {
        self.finish(origin, Ok(Response::Sync { path }));
    }

    /// Answers the request that the others on its connection have waited for.
    fn finish(&mut self, origin: Origin, result: Result<Response, ErrorCode>) {
        self.reply(origin.connection, origin.xid, result);
        if let Some(connection) = self.connections.get_mut(&origin.connection) {
            connection.busy = false;
            self.ready.push_back(origin.connection);
        }
    }

    fn reply(&mut self, id: ConnectionId, xid: i32, result: Result<Response, ErrorCode>) {
        if let Some(connection) = self.connections.get(&id) {
            let zxid = self.servers[connection.server].tree.last_zxid();
            self.send(id, ServerFrame::Reply { xid, zxid, result });
        }
    }

    /// Tells the watchers at a server what has happened.
    pub(super) fn fire(&mut self, server: usize, event: &NodeEvent) {
        for id in self.servers[server].watches.take(event) {
            self.tell(id, event.path.clone(), event.kind);
        }
    }

    fn tell(&mut self, id: ConnectionId, path: String, kind: EventKind) {
        let state = WatcherEvent::CONNECTED;
        self.send(id, ServerFrame::Event(WatcherEvent { kind, state, path }));
    }

    fn send(&mut self, id: ConnectionId, frame: ServerFrame) {
        if self.connections.contains_key(&id) {
            self.outputs.push_back(Output::Frame(id, frame));
        }
    }

    /// The server closes a connection. The session goes on.
    pub(super) fn close(&mut self, id: ConnectionId) {
        if self.forget(id) {
            self.outputs.push_back(Output::Closed(id));
        }
    }

    pub(super) fn forget(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.remove(&id) else {
            return false;
        };
        self.servers[connection.server].watches.remove(id);
        true
    }

    /// A message from a server to the leader, which may be the same one.
    pub(super) fn tell_leader(&mut self, server: usize, message: ToLeader) {
        if self.leader == Some(server) {
            self.lead(server, message);
        } else {
            self.servers[server].link.send_up(self.now, message);
        }
    }

    pub(super) fn tell_follower(&mut self, server: usize, message: ToFollower) {
        if self.leader == Some(server) {
            self.follow(server, message);
        } else {
            self.servers[server].link.send_down(self.now, message);
        }
    }
}

fn step_result(outcome: Outcome) -> OpResult {
    match outcome {
        Outcome::Created(path) => OpResult::Create { path },
        Outcome::Deleted => OpResult::Delete,
        Outcome::Set(stat) => OpResult::SetData(stat),
        Outcome::Checked => OpResult::Check,
        Outcome::Failed(error) => OpResult::Error(Some(error)),
        _ => OpResult::Error(None),
    }
}
