//! What the leader does, how its followers keep up with it, and how one is elected.

use std::sync::Arc;

use divvy_zookeeper::wire::{ErrorCode, Op, Request};

use super::ensemble::Ensemble;
use super::link::{ToFollower, ToLeader};
use super::prepare::{self, Asker};
use super::server::Role;
use super::sessions::Standing;
use super::transaction::{Change, Origin, Transaction};
use super::{ConnectionId, Millis};

/// Time.
impl Ensemble {
    /// Carries out everything that was due until now, in its order.
    pub(super) fn advance(&mut self, now: Millis) {
        while let Some(due) = self.poll_timeout().filter(|due| *due <= now) {
            self.now = self.now.max(due);
            self.strike();
        }
        self.now = self.now.max(now);
    }

    /// Does what is due at this moment.
    fn strike(&mut self) {
        if self.election_at.is_some_and(|at| at <= self.now) {
            self.elect();
        }
        self.part();
        if self.leader.is_some() && self.servers.len() > 1 && self.next_ping <= self.now {
            self.next_ping = self.now + (self.config.tick / 2).max(1);
            for server in self.followers() {
                self.tell_follower(server, ToFollower::Ping);
            }
        }
        self.settle();
        self.expire();
    }

    /// Ends what was without its counterpart for too long.
    fn part(&mut self) {
        let limit = self.config.tick * self.config.sync_limit;
        let now = self.now;
        let over = |since: Option<Millis>| since.is_some_and(|since| since + limit <= now);
        if over(self.alone_since) {
            return self.depose();
        }
        for server in 0..self.servers.len() {
            let alone = &self.servers[server];
            if alone.role == Role::Following && over(alone.cut_since) {
                self.look(server);
            }
        }
    }

    /// Whether messages arrive between this server and the leader.
    pub(super) fn reaches_leader(&self, server: usize) -> bool {
        let is_cut = |server: usize| self.servers[server].cut_since.is_some();
        !is_cut(server) && !self.leader.is_some_and(is_cut)
    }

    /// The leader's clock, by which sessions expire.
    pub(super) fn wall(&self) -> Millis {
        self.now.saturating_add_signed(self.clock_offset)
    }

    /// Delivers what is due between the servers.
    pub(super) fn settle(&mut self) {
        loop {
            let mut any = false;
            while let Some(connection) = self.ready.pop_front() {
                any = true;
                self.serve_waiting(connection);
            }
            for server in 0..self.servers.len() {
                if !self.reaches_leader(server) {
                    continue;
                }
                while let Some(message) = self.servers[server].link.take_up(self.now) {
                    any = true;
                    self.lead(server, message);
                }
                while let Some(message) = self.servers[server].link.take_down(self.now) {
                    any = true;
                    self.follow(server, message);
                }
            }
            if !any {
                return;
            }
        }
    }

    fn expire(&mut self) {
        // Who cannot commit cannot end a session either.
        if self.leader.is_none() || self.alone_since.is_some() {
            return;
        }
        for session in self.sessions.take_expired(self.wall()) {
            self.commit(session, Change::CloseSession, None);
        }
    }
}

/// Leading.
impl Ensemble {
    /// A message from a follower, or from the leader's own clients.
    pub(super) fn lead(&mut self, server: usize, message: ToLeader) {
        let Some(leader) = self.leader else {
            return;
        };
        if self.alone_since.is_some() && !matches!(message, ToLeader::Touched(_)) {
            return self.held.push_back((server, message));
        }
        match message {
            ToLeader::Forward {
                origin,
                session,
                identities,
                request,
            } => {
                let identities = &identities;
                let asker = Asker {
                    session,
                    identities,
                };
                self.decide(leader, origin, asker, request);
            }
            ToLeader::CreateSession {
                connection,
                session,
                timeout,
            } => {
                self.sessions.add(self.wall(), session, timeout);
                self.sessions.set_owner(session, server);
                let origin = Origin {
                    server,
                    connection,
                    xid: 0,
                };
                self.commit(session, Change::CreateSession, Some(origin));
            }
            ToLeader::Revalidate {
                connection,
                session,
                timeout,
            } => self.revalidate(server, connection, session, timeout),
            ToLeader::Touched(sessions) => {
                for (session, timeout) in sessions {
                    self.sessions.touch(self.wall(), session, timeout);
                }
            }
        }
    }

    fn revalidate(
        &mut self,
        server: usize,
        connection: ConnectionId,
        session: i64,
        timeout: Millis,
    ) {
        let valid = self.sessions.touch(self.wall(), session, timeout);
        if valid {
            self.sessions.set_owner(session, server);
        }
        self.tell_follower(server, ToFollower::Revalidated { connection, valid });
    }

    fn decide(&mut self, leader: usize, origin: Origin, asker: Asker<'_>, request: Request) {
        let session = asker.session;
        let standing = self.sessions.check(session, origin.server);
        if let Request::Sync { path } = request {
            // It changes nothing, and so belongs to nobody.
            return self.tell_follower(origin.server, ToFollower::Synced { origin, path });
        }
        let tree = &self.servers[leader].tree;
        let change = match (standing, request) {
            (Standing::Moved, _) => Change::Failed(ErrorCode::SessionMoved),
            (Standing::Expired, _) => Change::Failed(ErrorCode::SessionExpired),
            (_, Request::Create(create)) => prepare::single(tree, asker, &Op::Create(create)),
            (_, Request::Delete(delete)) => prepare::single(tree, asker, &Op::Delete(delete)),
            (_, Request::SetData(set)) => prepare::single(tree, asker, &Op::SetData(set)),
            (_, Request::SetAcl(set)) => prepare::set_acl(tree, asker, &set),
            (_, Request::Multi(ops)) => prepare::multi(tree, asker, &ops),
            (_, Request::CloseSession) => {
                self.sessions.set_closing(session);
                Change::CloseSession
            }
            // Its body cannot be read.
            _ => Change::Failed(ErrorCode::MarshallingError),
        };
        self.commit(session, change, Some(origin));
    }

    /// Gives a change its place, applies it here, and tells the followers.
    fn commit(&mut self, session: i64, change: Change, origin: Option<Origin>) {
        let Some(leader) = self.leader else {
            return;
        };
        self.zxid += 1;
        let time_ms = self
            .config
            .wall_clock_ms
            .saturating_add_unsigned(self.wall());
        let transaction = Transaction {
            zxid: self.zxid,
            time_ms,
            session,
            change,
            origin,
        };
        self.note(&transaction);
        if matches!(transaction.change, Change::CloseSession) {
            self.sessions.remove(session);
        }
        self.log.push_back(Arc::new(transaction));
        let committed = self.log_end();
        for server in self.followers() {
            self.tell_follower(server, ToFollower::Committed(committed));
        }
        self.apply(leader, committed);
    }

    fn followers(&self) -> Vec<usize> {
        let servers = self.servers.iter().enumerate();
        let following = servers.filter(|(_, server)| server.role == Role::Following);
        following.map(|(id, _)| id).collect()
    }

    fn log_end(&self) -> u64 {
        self.log_start + self.log.len() as u64
    }
}

/// Following.
impl Ensemble {
    /// A message from the leader, or what the leader does for its own clients.
    pub(super) fn follow(&mut self, server: usize, message: ToFollower) {
        match message {
            ToFollower::Committed(committed) => self.apply(server, committed),
            ToFollower::Synced { origin, path } => self.synced(origin, path),
            ToFollower::Revalidated { connection, valid } => self.admit(connection, valid),
            ToFollower::Ping => {
                let touched = std::mem::take(&mut self.servers[server].touched);
                self.tell_leader(server, ToLeader::Touched(touched));
            }
        }
    }

    /// Applies the log up to there, and answers whom it can.
    fn apply(&mut self, server: usize, committed: u64) {
        while let Some(next) = self.next_to_apply(server, committed) {
            let (outcome, events) = self.servers[server].apply(&next);
            for event in &events {
                self.fire(server, event);
            }
            if let Some(origin) = next.origin
                && origin.server == server
            {
                self.answer(origin, outcome);
            }
            if matches!(next.change, Change::CloseSession) {
                for connection in self.connections_of(server, next.session) {
                    self.close(connection);
                }
            }
        }
        self.trim();
    }

    fn next_to_apply(&self, server: usize, committed: u64) -> Option<Arc<Transaction>> {
        let applied = self.servers[server].applied;
        if applied >= committed {
            return None;
        }
        let index = usize::try_from(applied - self.log_start).ok()?;
        self.log.get(index).cloned()
    }

    /// Drops what every server has applied.
    fn trim(&mut self) {
        let applied = self.servers.iter().map(|server| server.applied).min();
        while applied.is_some_and(|applied| applied > self.log_start)
            && self.log.pop_front().is_some()
        {
            self.log_start += 1;
        }
    }
}

/// Elections.
impl Ensemble {
    /// A server has lost its leader, or its followers: it closes every connection and looks for a leader.
    fn look(&mut self, server: usize) {
        let connections = self.connections.iter();
        let own = connections.filter(|(_, connection)| connection.server == server);
        for id in own.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.close(id);
        }
        let server = &mut self.servers[server];
        server.link.reset();
        server.touched.clear();
        if server.role != Role::Down {
            server.role = Role::Looking;
        }
    }

    /// There is no leader any more.
    fn depose(&mut self) {
        self.leader = None;
        self.alone_since = None;
        self.held.clear();
        for server in 0..self.servers.len() {
            self.look(server);
        }
        self.call_election();
    }

    fn call_election(&mut self) {
        if self.leader.is_none() && self.election_at.is_none() {
            // A standalone server needs nobody's vote.
            let takes = if self.servers.len() == 1 {
                0
            } else {
                self.config.election
            };
            self.election_at = Some(self.now + takes);
        }
    }

    /// The server that has the most leads, if a majority can vote; otherwise the votes are counted again when that may have changed.
    fn elect(&mut self) {
        self.election_at = None;
        let voters: Vec<usize> = (0..self.servers.len())
            .filter(|id| self.can_vote(*id))
            .collect();
        let Some(&leader) = voters
            .iter()
            .max_by_key(|id| (self.servers[**id].applied, **id))
        else {
            return;
        };
        if voters.len() <= self.servers.len() / 2 {
            return;
        }
        self.leader = Some(leader);
        if self.servers.len() > 1 {
            self.zxid = ((self.zxid >> 32) + 1) << 32;
        }
        let end = self.log_end();
        self.next_ping = self.now;
        self.sessions.restart(self.wall());
        for id in voters {
            self.servers[id].role = if id == leader {
                Role::Leading
            } else {
                Role::Following
            };
            self.apply(id, end);
        }
        self.count_followers();
    }

    fn can_vote(&self, server: usize) -> bool {
        let server = &self.servers[server];
        server.role != Role::Down && server.cut_since.is_none()
    }

    /// Notes whether the leader has a majority, and takes up what had to wait for one.
    fn count_followers(&mut self) {
        let Some(leader) = self.leader else {
            return;
        };
        let reached = self
            .followers()
            .into_iter()
            .filter(|id| self.servers[*id].cut_since.is_none());
        let cut = self.servers[leader].cut_since.is_some();
        let votes = if cut { 1 } else { 1 + reached.count() };
        if votes <= self.servers.len() / 2 {
            self.alone_since.get_or_insert(self.now);
        } else {
            self.alone_since = None;
            for (server, message) in std::mem::take(&mut self.held) {
                self.lead(server, message);
            }
        }
    }

    /// A server that looks for a leader finds one, and catches up with it.
    fn join(&mut self, server: usize) {
        let finds_one = self.leader.is_some() && self.servers[server].role == Role::Looking;
        if finds_one && self.can_vote(server) {
            self.servers[server].role = Role::Following;
            self.apply(server, self.log_end());
        }
        self.count_followers();
        self.call_election();
    }
}

/// What can befall the servers.
impl Ensemble {
    /// Kills a server. Its connections are closed; what it has applied is on its disk.
    pub fn stop(&mut self, now: Millis, server: usize) {
        self.advance(now);
        let Some(stopped) = self.servers.get_mut(server) else {
            return;
        };
        stopped.role = Role::Down;
        if self.leader == Some(server) {
            self.depose();
        } else {
            self.look(server);
            self.count_followers();
        }
    }

    /// Starts a server that was killed.
    pub fn start(&mut self, now: Millis, server: usize) {
        self.advance(now);
        let Some(started) = self.servers.get_mut(server) else {
            return;
        };
        if started.role == Role::Down {
            started.role = Role::Looking;
            self.join(server);
            self.advance(now);
        }
    }

    /// Cuts a server off from the others, in both directions. A leader is cut off from all of them.
    pub fn cut(&mut self, now: Millis, server: usize) {
        self.advance(now);
        if let Some(cut) = self.servers.get_mut(server) {
            cut.cut_since.get_or_insert(now);
            self.count_followers();
        }
    }

    /// Ends what [`cut`](Self::cut) began.
    pub fn heal(&mut self, now: Millis, server: usize) {
        self.advance(now);
        if let Some(healed) = self.servers.get_mut(server) {
            healed.cut_since = None;
            self.join(server);
            self.settle();
        }
    }

    /// How long a message between a follower and its leader takes, each way.
    pub fn set_lag(&mut self, now: Millis, server: usize, delay: Millis) {
        self.advance(now);
        if let Some(server) = self.servers.get_mut(server) {
            server.link.delay = delay;
        }
    }

    /// Steps the wall clock of the leader, by which sessions expire.
    pub fn step_clock(&mut self, now: Millis, by: i64) {
        self.advance(now);
        self.clock_offset += by;
        self.expire();
    }

    /// Ends a session, as if its time were over.
    pub fn expire_session(&mut self, now: Millis, session: i64) {
        self.advance(now);
        if self.leader.is_some() && self.alone_since.is_none() && self.sessions.knows(session) {
            self.sessions.set_closing(session);
            self.commit(session, Change::CloseSession, None);
            self.settle();
        }
    }
}
