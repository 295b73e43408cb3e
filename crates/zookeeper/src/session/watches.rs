use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};

use super::State;
use super::changes::{Change, ChangeKind, Changes};
use crate::paths;
use crate::wire::{ErrorCode, EventKind, Request, Response, SetWatches, WatcherEvent};

#[cfg(test)]
mod tests;

/// How many changes a receiver may fall behind before it only learns that it did.
const CHANGES: usize = 1024;

/// How long one request to set watches again may be about, in bytes. Servers take 1 MiB.
const BATCH: usize = 100 * 1024;

/// The watches of a session and those who want to hear of them.
///
/// A server keeps at most one watch of each kind for a node and a connection, so a watch that is set twice is one.
pub(super) struct Watches {
    chroot: Option<String>,
    armed: Mutex<Armed>,
    changes: broadcast::Sender<Change>,
}

/// The nodes with a watch, by their whole paths: what a new connection must be told.
#[derive(Default)]
struct Armed {
    /// Of nodes that exist: told of changes of their data and of their deletion.
    data: BTreeSet<String>,
    /// Of nodes that do not exist: told of their creation.
    exist: BTreeSet<String>,
    /// Of nodes that exist: told of children that come and go, and of their deletion.
    child: BTreeSet<String>,
}

/// Which watch a request sets.
#[derive(Clone, Copy)]
enum Kind {
    Data,
    Existence,
    Children,
}

/// The watch that a request asks for; whether and how it is set is known with the answer.
pub(super) struct Asked {
    path: String,
    kind: Kind,
}

impl Asked {
    pub(super) fn by(request: &Request) -> Option<Self> {
        let (path, kind) = match request {
            Request::GetData { path, watch: true } => (path, Kind::Data),
            Request::Exists { path, watch: true } => (path, Kind::Existence),
            Request::GetChildren { path, watch: true }
            | Request::GetChildren2 { path, watch: true } => (path, Kind::Children),
            _ => return None,
        };
        let path = path.clone();
        Some(Self { path, kind })
    }
}

impl Watches {
    pub(super) fn new(chroot: Option<String>) -> Self {
        Self {
            chroot,
            armed: Mutex::default(),
            changes: broadcast::Sender::new(CHANGES),
        }
    }

    pub(super) fn subscribe(&self, states: watch::Receiver<State>) -> Changes {
        Changes::new(self.changes.subscribe(), states)
    }

    /// Notes what an answer says of the watch that was asked for.
    pub(super) fn arm(&self, asked: Asked, answer: &Result<Response, ErrorCode>) {
        let mut armed = self.lock();
        let nodes = match (asked.kind, answer) {
            (Kind::Data | Kind::Existence, Ok(_)) => &mut armed.data,
            (Kind::Existence, Err(ErrorCode::NoNode)) => &mut armed.exist,
            (Kind::Children, Ok(_)) => &mut armed.child,
            _ => return,
        };
        nodes.insert(asked.path);
    }

    /// Passes on what a server tells. Disarmed first and reported then: in the other order somebody could look and set the watch
    /// again, only to have it forgotten here.
    pub(super) fn fired(&self, event: &WatcherEvent) {
        let path = event.path.as_str();
        let mut armed = self.lock();
        let kind = match event.kind {
            EventKind::None => return,
            EventKind::Created => ChangeKind::Created,
            EventKind::Deleted => ChangeKind::Deleted,
            EventKind::DataChanged => ChangeKind::Data,
            EventKind::ChildrenChanged => ChangeKind::Children,
        };
        if kind != ChangeKind::Children {
            armed.data.remove(path);
            armed.exist.remove(path);
        }
        if matches!(kind, ChangeKind::Children | ChangeKind::Deleted) {
            armed.child.remove(path);
        }
        drop(armed);
        self.report(path, kind);
    }

    /// Reports every watch as lost, once for each node.
    pub(super) fn lose_all(&self) {
        let armed = std::mem::take(&mut *self.lock());
        let Armed {
            mut data,
            exist,
            child,
        } = armed;
        data.extend(exist);
        data.extend(child);
        for path in data {
            self.report(&path, ChangeKind::WatchLost);
        }
    }

    /// The requests that set all watches again on a new connection.
    pub(super) fn set_again(&self, last_zxid: i64) -> Vec<SetWatches> {
        let armed = self.lock();
        let data = armed.data.iter().map(|path| (Kind::Data, path));
        let exist = armed.exist.iter().map(|path| (Kind::Existence, path));
        let child = armed.child.iter().map(|path| (Kind::Children, path));
        let mut batches: Vec<SetWatches> = Vec::new();
        let mut room = 0;
        for (kind, path) in data.chain(exist).chain(child) {
            let size = path.len() + size_of::<i32>();
            if size > room || batches.is_empty() {
                room = BATCH;
                batches.push(SetWatches {
                    last_zxid,
                    ..SetWatches::default()
                });
            }
            room = room.saturating_sub(size);
            if let Some(batch) = batches.last_mut() {
                let paths = match kind {
                    Kind::Data => &mut batch.data,
                    Kind::Existence => &mut batch.exist,
                    Kind::Children => &mut batch.child,
                };
                paths.push(path.clone());
            }
        }
        batches
    }

    fn report(&self, path: &str, kind: ChangeKind) {
        // What lies outside of the chroot was never asked for.
        let Some(path) = paths::below(self.chroot.as_deref(), path) else {
            return;
        };
        // Nobody may be listening.
        let _ = self.changes.send(Change::Node {
            path: path.into(),
            kind,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Armed> {
        // Nothing that could panic is done under the lock.
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
