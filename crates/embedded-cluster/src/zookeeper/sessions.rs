//! The leader's clock of sessions.

use std::collections::{BTreeMap, BTreeSet};

use super::Millis;

/// What the leader knows of a session.
#[derive(Clone, Debug)]
struct Session {
    timeout: Millis,
    /// The bucket in which it expires.
    expires_at: Millis,
    /// It is being closed; nothing touches it any more.
    closing: bool,
    /// The server that speaks for it.
    owner: Option<usize>,
}

/// Expires sessions in buckets of one tick, as a ZooKeeper leader does: a session ends between one timeout and one timeout and a
/// tick after it was last touched.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    tick: Millis,
    sessions: BTreeMap<i64, Session>,
    buckets: BTreeMap<Millis, BTreeSet<i64>>,
}

/// What the leader thinks of a request of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    /// It is over, or about to be.
    Expired,
    /// It speaks through another server now.
    Moved,
}

impl Sessions {
    pub(super) fn new(tick: Millis) -> Self {
        Self {
            tick,
            sessions: BTreeMap::new(),
            buckets: BTreeMap::new(),
        }
    }

    /// What a leader does when it begins: every session gets its whole timeout anew.
    pub(super) fn restart(&mut self, now: Millis) {
        let timeouts = self
            .sessions
            .iter()
            .map(|(id, session)| (*id, session.timeout));
        let timeouts: Vec<_> = timeouts.collect();
        *self = Self::new(self.tick);
        for (id, timeout) in timeouts {
            self.add(now, id, timeout);
        }
    }

    pub(super) fn add(&mut self, now: Millis, id: i64, timeout: Millis) {
        let session = Session {
            timeout,
            expires_at: 0,
            closing: false,
            owner: None,
        };
        self.sessions.entry(id).or_insert(session);
        self.touch(now, id, timeout);
    }

    pub(super) fn remove(&mut self, id: i64) {
        if let Some(session) = self.sessions.remove(&id) {
            self.take_out(id, session.expires_at);
        }
    }

    /// Puts the end of a session off; `false` where there is no such session any more.
    pub(super) fn touch(&mut self, now: Millis, id: i64, timeout: Millis) -> bool {
        let expires_at = ((now + timeout) / self.tick + 1) * self.tick;
        let Some(session) = self
            .sessions
            .get_mut(&id)
            .filter(|session| !session.closing)
        else {
            return false;
        };
        if session.expires_at >= expires_at {
            return true;
        }
        let before = std::mem::replace(&mut session.expires_at, expires_at);
        self.take_out(id, before);
        self.buckets.entry(expires_at).or_default().insert(id);
        true
    }

    /// A request of the session has come through this server.
    pub(super) fn check(&mut self, id: i64, server: usize) -> Standing {
        match self.sessions.get_mut(&id) {
            Some(session) if !session.closing => {
                if *session.owner.get_or_insert(server) == server {
                    Standing::Good
                } else {
                    Standing::Moved
                }
            }
            _ => Standing::Expired,
        }
    }

    /// The session has been taken up by a client of this server.
    pub(super) fn set_owner(&mut self, id: i64, server: usize) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.owner = Some(server);
        }
    }

    pub(super) fn knows(&self, id: i64) -> bool {
        self.sessions.contains_key(&id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = i64> {
        self.sessions.keys().copied()
    }

    pub(super) fn set_closing(&mut self, id: i64) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.closing = true;
        }
    }

    /// The sessions whose time is over, which are closing from now on.
    pub(super) fn take_expired(&mut self, now: Millis) -> Vec<i64> {
        let mut expired = Vec::new();
        while let Some(bucket) = self
            .buckets
            .first_entry()
            .filter(|bucket| *bucket.key() <= now)
        {
            expired.extend(bucket.remove());
        }
        for id in &expired {
            self.set_closing(*id);
        }
        expired
    }

    /// When the next session may expire.
    pub(super) fn next_expiry(&self) -> Option<Millis> {
        self.buckets.keys().next().copied()
    }

    fn take_out(&mut self, id: i64, bucket: Millis) {
        if let Some(ids) = self.buckets.get_mut(&bucket) {
            ids.remove(&id);
            if ids.is_empty() {
                self.buckets.remove(&bucket);
            }
        }
    }
}
