use std::collections::{BTreeMap, BTreeSet};

use super::Millis;
use super::ensemble::Ensemble;
use super::requests::Phase;

/// What a server holds, for those who look after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// The length of a tick.
    pub tick: Millis,
    /// The last transaction that the server has applied.
    pub zxid: i64,
    /// How many nodes there are.
    pub nodes: usize,
    /// How many bytes the nodes' paths and data have.
    pub data_size: usize,
    /// The sessions, and the ephemeral nodes of each.
    pub sessions: BTreeMap<i64, BTreeSet<String>>,
    /// The session and the timeout of each of the server's connections that has one.
    pub connections: Vec<(i64, Millis)>,
    /// How many connections watch something.
    pub watchers: usize,
    /// How many nodes are watched.
    pub watched: usize,
    /// How many watches there are.
    pub watches: usize,
}

impl Summary {
    /// How many ephemeral nodes there are.
    pub fn ephemerals(&self) -> usize {
        self.sessions.values().map(BTreeSet::len).sum()
    }
}

impl Ensemble {
    /// The sessions that the leader knows, by their ids.
    pub fn sessions(&self) -> impl Iterator<Item = i64> {
        self.sessions.ids()
    }

    /// What a server holds; nothing where there is no such server.
    pub fn summary(&self, server: usize) -> Summary {
        let Some(holder) = self.servers.get(server) else {
            return Summary::default();
        };
        let connections = self.connections.values();
        let open = connections.filter(|one| one.server == server && one.phase == Phase::Open);
        let (watchers, watched, watches) = holder.watches.count();
        let sessions = self.sessions().map(|id| {
            let paths = holder.tree.ephemerals(id).cloned();
            (id, paths.collect())
        });
        Summary {
            tick: self.config.tick,
            zxid: holder.tree.last_zxid(),
            nodes: holder.tree.len(),
            data_size: holder.tree.size(),
            sessions: sessions.collect(),
            connections: open.map(|one| (one.session, one.timeout)).collect(),
            watchers,
            watched,
            watches,
        }
    }
}
