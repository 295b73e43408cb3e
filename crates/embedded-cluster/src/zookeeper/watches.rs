//! The watches that a server keeps for its connections.

use std::collections::{BTreeMap, BTreeSet};

use divvy_zookeeper::wire::EventKind;

use super::ConnectionId;
use super::tree::NodeEvent;

type Watchers = BTreeMap<String, BTreeSet<ConnectionId>>;

/// One-shot watches: for each path who wants to hear of its data and existence, and who of its children.
#[derive(Clone, Debug, Default)]
pub(super) struct Watches {
    data: Watchers,
    children: Watchers,
}

impl Watches {
    pub(super) fn watch_data(&mut self, path: &str, connection: ConnectionId) {
        watch(&mut self.data, path, connection);
    }

    pub(super) fn watch_children(&mut self, path: &str, connection: ConnectionId) {
        watch(&mut self.children, path, connection);
    }

    /// Takes out the watches that an event ends. Somebody who watches both the data and the children of a node hears of its
    /// deletion once.
    pub(super) fn take(&mut self, event: &NodeEvent) -> BTreeSet<ConnectionId> {
        let take = |watchers: &mut Watchers| watchers.remove(&event.path).unwrap_or_default();
        match event.kind {
            EventKind::ChildrenChanged => take(&mut self.children),
            EventKind::Deleted => {
                let mut watchers = take(&mut self.data);
                watchers.extend(take(&mut self.children));
                watchers
            }
            _ => take(&mut self.data),
        }
    }

    /// How many connections watch, how many nodes are watched, and how many watches there are.
    pub(super) fn count(&self) -> (usize, usize, usize) {
        let both = || self.data.iter().chain(&self.children);
        let watchers: BTreeSet<_> = both().flat_map(|(_, watchers)| watchers).collect();
        let watched: BTreeSet<_> = both().map(|(path, _)| path).collect();
        let watches = both().map(|(_, watchers)| watchers.len()).sum();
        (watchers.len(), watched.len(), watches)
    }

    /// Forgets a connection.
    pub(super) fn remove(&mut self, connection: ConnectionId) {
        for watchers in [&mut self.data, &mut self.children] {
            watchers.retain(|_, connections| {
                connections.remove(&connection);
                !connections.is_empty()
            });
        }
    }
}

fn watch(watchers: &mut Watchers, path: &str, connection: ConnectionId) {
    match watchers.get_mut(path) {
        Some(connections) => {
            connections.insert(connection);
        }
        None => {
            watchers.insert(path.to_owned(), BTreeSet::from([connection]));
        }
    }
}
