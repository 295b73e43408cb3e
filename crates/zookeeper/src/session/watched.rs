use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, oneshot, watch};
use zookeeper_client::{Error as ClientError, EventType, OneshotWatcher};

use super::call::{OnLoss, Operation};
use super::changes::{Change, ChangeKind, Changes};
use super::operations::found;
use super::outcome::{Children, Node};
use super::{Session, Shared, State};
use crate::error::Result;
use crate::stat::Stat;

/// How many changes a receiver may fall behind before it only learns that it did.
const CHANGES: usize = 1024;

/// The watches of a session and those who want to hear of them.
pub(super) struct Watches {
    armed: Mutex<Armed>,
    changes: broadcast::Sender<Change>,
}

#[derive(Default)]
struct Armed {
    last_id: u64,
    watches: HashMap<Target, u64>,
}

/// A node, and what about it is watched: a server keeps one watch for the existence and the data of a node, and another one for
/// its children.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Target {
    path: Arc<str>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Data,
    Children,
}

/// An armed watch. However it ends, it is disarmed first and reported then: in the other order somebody could look, find it
/// armed, and never hear of what comes later.
struct Watch {
    shared: Arc<Shared>,
    target: Target,
    id: u64,
    change: ChangeKind,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let watches = &self.shared.watches;
        let mut armed = watches.lock();
        if armed.watches.get(&self.target) == Some(&self.id) {
            armed.watches.remove(&self.target);
        }
        drop(armed);
        // Nobody may be listening.
        let _ = watches.changes.send(Change::Node {
            path: self.target.path.clone(),
            kind: self.change,
        });
    }
}

impl Watches {
    pub(super) fn new() -> Self {
        Self {
            armed: Mutex::default(),
            changes: broadcast::Sender::new(CHANGES),
        }
    }

    pub(super) fn subscribe(&self, states: watch::Receiver<State>) -> Changes {
        Changes::new(self.changes.subscribe(), states)
    }

    fn lock(&self) -> MutexGuard<'_, Armed> {
        // Nothing that could panic is done under the lock.
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_armed(&self, target: &Target) -> bool {
        self.lock().watches.contains_key(target)
    }
}

impl Target {
    fn new(path: &str, kind: Kind) -> Self {
        Self {
            path: path.into(),
            kind,
        }
    }
}

impl Watch {
    fn arm(shared: &Arc<Shared>, target: Target) -> Self {
        let mut armed = shared.watches.lock();
        armed.last_id += 1;
        let id = armed.last_id;
        armed.watches.insert(target.clone(), id);
        drop(armed);
        Self {
            shared: shared.clone(),
            target,
            id,
            change: ChangeKind::WatchLost,
        }
    }

    async fn wait(mut self, watcher: OneshotWatcher) {
        self.change = match watcher.changed().await.event_type {
            EventType::NodeCreated => ChangeKind::Created,
            EventType::NodeDeleted => ChangeKind::Deleted,
            EventType::NodeDataChanged => ChangeKind::Data,
            EventType::NodeChildrenChanged => ChangeKind::Children,
            EventType::Session => ChangeKind::WatchLost,
        };
    }
}

/// Watched reads.
///
/// Each leaves a one-shot watch on the node, unless one is armed already, also where the node does not exist (its creation is
/// reported then). The change that ends a watch goes to everybody who has subscribed with [`Session::subscribe`]; subscribe
/// before the first watched read, so that nothing falls in between. Watches survive lost connections.
///
/// Watch either a node's data or its children where the node may be deleted: both together can cost a connection when the node
/// is deleted while the session is not connected.
impl Session {
    /// [`Session::get`] with a watch for the node's creation, deletion and data.
    pub async fn get_watched(&self, path: &str) -> Result<Option<Node>> {
        let operation = self.operation("get and watch", path)?;
        let target = Target::new(path, Kind::Data);
        loop {
            if self.inner.shared.watches.is_armed(&target) {
                return self.get_at(&operation).await;
            }
            let read = self
                .watched_read(&operation, &target, |client, path| async move {
                    let (data, stat, watcher) = client.get_and_watch_data(&path).await?;
                    Ok(((data, stat), watcher))
                })
                .await?;
            if let Some((data, stat)) = read {
                let stat = stat.into();
                return Ok(Some(Node { data, stat }));
            }
            if self.exists_watched_at(&operation).await?.is_none() {
                return Ok(None);
            }
        }
    }

    /// [`Session::children`] with a watch for the node's deletion and its children, or for its creation where it is missing.
    pub async fn children_watched(&self, path: &str) -> Result<Option<Children>> {
        let operation = self.operation("list and watch", path)?;
        let target = Target::new(path, Kind::Children);
        loop {
            if self.inner.shared.watches.is_armed(&target) {
                return self.children_at(&operation).await;
            }
            let read = self
                .watched_read(&operation, &target, |client, path| async move {
                    let (names, stat, watcher) = client.get_and_watch_children(&path).await?;
                    Ok(((names, stat), watcher))
                })
                .await?;
            if let Some((names, stat)) = read {
                return Ok(Some(Children::new(names, stat)));
            }
            if self.exists_watched_at(&operation).await?.is_none() {
                return Ok(None);
            }
        }
    }

    /// [`Session::exists`] with a watch for the node's creation, deletion and data.
    pub async fn exists_watched(&self, path: &str) -> Result<Option<Stat>> {
        let operation = self.operation("look at and watch", path)?;
        self.exists_watched_at(&operation).await
    }

    async fn exists_watched_at(&self, operation: &Operation<'_>) -> Result<Option<Stat>> {
        let target = Target::new(operation.path, Kind::Data);
        if self.inner.shared.watches.is_armed(&target) {
            return self.exists_at(operation).await;
        }
        let read = self
            .watched_read(operation, &target, |client, path| async move {
                client.check_and_watch_stat(&path).await
            })
            .await?;
        Ok(read.flatten().map(Stat::from))
    }

    /// Reads with a watch, in a task on the session's thread that then waits for the watch as long as the session lives: the
    /// crate beneath answers a dropped watcher with a request that a 3.4 server closes the connection for.
    async fn watched_read<T, F, R>(
        &self,
        operation: &Operation<'_>,
        target: &Target,
        read: F,
    ) -> Result<Option<T>>
    where
        F: Fn(Arc<zookeeper_client::Client>, Arc<str>) -> R,
        R: Future<Output = Result<(T, OneshotWatcher), ClientError>> + Send + 'static,
        T: Send + 'static,
    {
        let answer = self
            .call(operation, OnLoss::Repeat, |client| {
                let read = read(client, target.path.clone());
                let (shared, target) = (self.inner.shared.clone(), target.clone());
                let (sender, receiver) = oneshot::channel();
                self.inner.thread.handle().spawn(async move {
                    // Where the receiver is gone its user has given up; the watch is kept all the same.
                    let watcher = match read.await {
                        Ok((value, watcher)) => {
                            let watch = Watch::arm(&shared, target);
                            let _ = sender.send(Ok(value));
                            Some((watch, watcher))
                        }
                        Err(error) => {
                            let _ = sender.send(Err(error));
                            None
                        }
                    };
                    drop(shared);
                    if let Some((watch, watcher)) = watcher {
                        watch.wait(watcher).await;
                    }
                });
                async move { receiver.await.unwrap_or(Err(ClientError::ConnectionLoss)) }
            })
            .await?;
        found(operation, answer)
    }
}
