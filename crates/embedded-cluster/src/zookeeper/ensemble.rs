use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use divvy_zookeeper::wire::{Acl, ClientFrame, EventKind, ServerFrame, Stat};

use super::link::ToLeader;
use super::requests::{Connection, Phase};
use super::server::{Role, Server};
use super::sessions::Sessions;
use super::transaction::{Change, Transaction};
use super::{ConnectionId, Millis};

/// What an ensemble is like. Times are in milliseconds.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many servers. One is a standalone server. Default: 1.
    pub servers: usize,
    /// ZooKeeper: `tickTime`. Sessions last from 2 to 20 ticks. Default: 500.
    pub tick: Millis,
    /// How many ticks a follower serves its clients without hearing from its leader, and a leader without a majority. ZooKeeper:
    /// `syncLimit`. Default: 5.
    pub sync_limit: u64,
    /// How long electing a leader takes. Default: 300.
    pub election: Millis,
    /// The servers' wall clock at the origin of the times that the ensemble is told. Default: some day of 2015.
    pub wall_clock_ms: i64,
    /// What the passwords of sessions are made from. A server that others can reach needs a random one. Default: 0.
    pub secret: u64,
    /// Whether what happens to nodes is noted for [`Ensemble::take_written`]. Default: `false`.
    pub journal: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            servers: 1,
            tick: 500,
            sync_limit: 5,
            election: 300,
            wall_clock_ms: 1_433_000_000_000,
            secret: 0,
            journal: false,
        }
    }
}

/// What a server does to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// It sends a frame.
    Frame(ConnectionId, ServerFrame),
    /// It closes the connection, after everything that it sent before.
    Closed(ConnectionId),
}

/// A node as the leader has it.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// Its data; null is something else than empty.
    pub data: Option<&'a Bytes>,
    /// Who may do what with it.
    pub acl: &'a [Acl],
    /// Its stat.
    pub stat: Stat,
}

/// Something that happened to a node, in the order of transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The transaction.
    pub zxid: i64,
    /// The session that caused it; that of the owner, where an ephemeral node goes with its session.
    pub session: i64,
    /// The node.
    pub path: String,
    /// What happened to it: `Created`, `Deleted` or `DataChanged`.
    pub kind: EventKind,
    /// Its data from now on.
    pub data: Option<Bytes>,
}

/// The servers of one ZooKeeper ensemble.
///
/// Tell it everything that happens, in the order of time; take what it answers with [`poll_output`](Self::poll_output), and call
/// [`handle_timeout`](Self::handle_timeout) at the time that [`poll_timeout`](Self::poll_timeout) gives. A time before the last
/// one is taken for the last one.
#[derive(Debug)]
pub struct Ensemble {
    pub(super) config: Config,
    pub(super) now: Millis,
    /// What the leader's wall clock is ahead of the time that the ensemble is told.
    pub(super) clock_offset: i64,
    pub(super) leader: Option<usize>,
    /// When there will be a leader again.
    pub(super) election_at: Option<Millis>,
    /// Since when the leader has no majority.
    pub(super) alone_since: Option<Millis>,
    /// What the leader was asked meanwhile, and through which server.
    pub(super) held: VecDeque<(usize, ToLeader)>,
    pub(super) next_ping: Millis,
    /// The transactions that not every server has applied, and how many there were before those.
    pub(super) log: VecDeque<Arc<Transaction>>,
    pub(super) log_start: u64,
    pub(super) zxid: i64,
    pub(super) sessions: Sessions,
    pub(super) last_session: i64,
    pub(super) servers: Vec<Server>,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    last_connection: u64,
    /// Connections whose waiting requests are to be served.
    pub(super) ready: VecDeque<ConnectionId>,
    pub(super) outputs: VecDeque<Output>,
    written: Vec<Written>,
}

impl Ensemble {
    /// Servers that are up, with an empty tree and the first of them as leader.
    pub fn new(config: Config) -> Self {
        let servers = config.servers.max(1);
        let role = |id| match id {
            0 => Role::Leading,
            _ => Role::Following,
        };
        let tick = config.tick.max(1);
        Self {
            now: 0,
            clock_offset: 0,
            leader: Some(0),
            election_at: None,
            alone_since: None,
            held: VecDeque::new(),
            next_ping: 0,
            log: VecDeque::new(),
            log_start: 0,
            zxid: 0,
            sessions: Sessions::new(tick),
            last_session: 0,
            servers: (0..servers).map(|id| Server::new(role(id))).collect(),
            connections: BTreeMap::new(),
            last_connection: 0,
            ready: VecDeque::new(),
            outputs: VecDeque::new(),
            written: Vec::new(),
            config: Config {
                servers,
                tick,
                ..config
            },
        }
    }

    /// Opens a connection to a server. `None` where nobody serves there.
    pub fn connect(&mut self, server: usize) -> Option<ConnectionId> {
        if !self.serves(server) {
            return None;
        }
        self.last_connection += 1;
        let id = ConnectionId(self.last_connection);
        self.connections.insert(id, Connection::new(server));
        Some(id)
    }

    /// Whether a server takes connections: it is up, and follows a leader or is it.
    pub fn serves(&self, server: usize) -> bool {
        self.servers
            .get(server)
            .is_some_and(|server| matches!(server.role, Role::Leading | Role::Following))
    }

    /// A frame has arrived at the server.
    pub fn receive(&mut self, now: Millis, connection: ConnectionId, frame: ClientFrame) {
        self.advance(now);
        match frame {
            ClientFrame::Connect(request) => self.greet(connection, &request),
            ClientFrame::Request { xid, request } => self.accept(connection, xid, request),
        }
        self.settle();
    }

    /// A connection is gone, as far as the server can see.
    pub fn disconnect(&mut self, now: Millis, connection: ConnectionId) {
        self.advance(now);
        self.forget(connection);
    }

    /// What a server does next to a connection.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When time alone will change something; `None` where it never does.
    pub fn poll_timeout(&self) -> Option<Millis> {
        let limit = self.config.tick * self.config.sync_limit;
        let servers = self.servers.iter().enumerate().flat_map(|(id, server)| {
            let follows = server.role == Role::Following;
            let cut = server.cut_since.filter(|_| follows);
            let due = server.link.next_due().filter(|_| self.reaches_leader(id));
            due.into_iter().chain(cut.map(|since| since + limit))
        });
        let pings = self.leader.filter(|_| self.servers.len() > 1);
        let expires = self.leader.is_some() && self.alone_since.is_none();
        let expiry = self.sessions.next_expiry().filter(|_| expires);
        servers
            .chain(self.election_at)
            .chain(self.alone_since.map(|since| since + limit))
            .chain(pings.map(|_| self.next_ping))
            .chain(expiry.map(|at| at.saturating_add_signed(-self.clock_offset)))
            .min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Millis) {
        self.advance(now);
        self.settle();
    }

    /// The node at a path, as the leader has it, or as it was when the last leader went.
    pub fn node(&self, path: &str) -> Option<Node<'_>> {
        let node = self.newest().tree.get(path)?;
        Some(Node {
            data: node.data.as_ref(),
            acl: &node.acl,
            stat: node.stat(),
        })
    }

    /// The names of a node's children, in their order; nothing where there is no such node.
    pub fn children(&self, path: &str) -> impl Iterator<Item = &str> {
        let node = self.newest().tree.get(path);
        node.into_iter()
            .flat_map(|node| node.children.iter().map(String::as_str))
    }

    /// The last transaction.
    pub fn last_zxid(&self) -> i64 {
        self.zxid
    }

    /// The server that leads.
    pub fn leader(&self) -> Option<usize> {
        self.leader
    }

    /// The session that a connection speaks for.
    pub fn session_of(&self, connection: ConnectionId) -> Option<i64> {
        let connection = self.connections.get(&connection)?;
        (connection.phase == Phase::Open).then_some(connection.session)
    }

    /// What has happened to nodes since the last call, if [`Config::journal`] asks for it.
    pub fn take_written(&mut self) -> Vec<Written> {
        std::mem::take(&mut self.written)
    }

    fn newest(&self) -> &Server {
        // There is at least one server.
        let newest = |server: &&Server| server.applied;
        self.servers
            .iter()
            .max_by_key(newest)
            .unwrap_or(&self.servers[0])
    }

    /// Notes what a committed transaction does, for those who look on.
    pub(super) fn note(&mut self, transaction: &Transaction) {
        if self.config.journal {
            self.note_change(transaction, &transaction.change);
        }
    }

    fn note_change(&mut self, transaction: &Transaction, change: &Change) {
        let mut note = |path: &str, kind, data: Option<&Bytes>| {
            self.written.push(Written {
                zxid: transaction.zxid,
                session: transaction.session,
                path: path.to_owned(),
                kind,
                data: data.cloned(),
            });
        };
        match change {
            Change::Create { path, data, .. } => note(path, EventKind::Created, data.as_ref()),
            Change::Delete { path } => note(path, EventKind::Deleted, None),
            Change::SetData { path, data, .. } => note(path, EventKind::DataChanged, data.as_ref()),
            Change::CloseSession => {
                let leader = self.leader.and_then(|leader| self.servers.get(leader));
                let gone = leader.map(|leader| leader.tree.ephemerals(transaction.session));
                for path in gone.into_iter().flatten() {
                    note(path, EventKind::Deleted, None);
                }
            }
            Change::Multi(changes) => {
                for change in changes {
                    self.note_change(transaction, change);
                }
            }
            Change::SetAcl { .. }
            | Change::Check
            | Change::Failed(_)
            | Change::Undone
            | Change::CreateSession => {}
        }
    }
}
