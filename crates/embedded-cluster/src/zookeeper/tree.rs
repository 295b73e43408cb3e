//! The data tree, and what committed transactions do to it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use divvy_zookeeper::wire::{Acl, ErrorCode, EventKind, Stat, permission};

use super::transaction::{Change, Outcome, Transaction};

/// Nodes that nobody can delete.
const SPECIAL: [&str; 3] = ["/", "/zookeeper", "/zookeeper/quota"];

/// Whether a node is there for good.
pub(super) fn is_special(path: &str) -> bool {
    SPECIAL.contains(&path)
}

/// The path of a node's parent: `/` for those on top, and for the root itself.
pub(super) fn parent_of(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(slash) => &path[..slash],
    }
}

/// ZooKeeper has the root under two names.
fn key(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// What watches are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeEvent {
    pub(super) path: String,
    pub(super) kind: EventKind,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// Null is something else than empty.
    pub(super) data: Option<Bytes>,
    pub(super) acl: Vec<Acl>,
    pub(super) czxid: i64,
    pub(super) mzxid: i64,
    pub(super) pzxid: i64,
    pub(super) ctime: i64,
    pub(super) mtime: i64,
    pub(super) version: i32,
    /// The version of the list of who may do what.
    pub(super) acl_version: i32,
    /// How many children were ever created, which numbers sequential ones. What clients see as `cversion` counts deletions too.
    pub(super) creations: i32,
    pub(super) ephemeral_owner: i64,
    /// The names of the children.
    pub(super) children: BTreeSet<String>,
}

impl Node {
    pub(super) fn child_count(&self) -> i32 {
        i32::try_from(self.children.len()).unwrap_or(i32::MAX)
    }

    pub(super) fn stat(&self) -> Stat {
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            cversion: self
                .creations
                .wrapping_mul(2)
                .wrapping_sub(self.child_count()),
            aversion: self.acl_version,
            ephemeral_owner: self.ephemeral_owner,
            data_length: self
                .data
                .as_ref()
                .map_or(0, |data| i32::try_from(data.len()).unwrap_or(i32::MAX)),
            num_children: self.child_count(),
            pzxid: self.pzxid,
        }
    }
}

/// What one server holds: every node, as of the last transaction that it applied.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: BTreeMap<String, Node>,
    ephemerals: BTreeMap<i64, BTreeSet<String>>,
    last_zxid: i64,
}

impl Tree {
    pub(super) fn new() -> Self {
        let empty = Node {
            data: Some(Bytes::new()),
            acl: vec![Acl::anyone(permission::ALL)],
            ..Node::default()
        };
        let parent = |child: &str| Node {
            children: BTreeSet::from([child.to_owned()]),
            ..empty.clone()
        };
        let nodes = [
            ("/", parent("zookeeper")),
            ("/zookeeper", parent("quota")),
            ("/zookeeper/quota", empty.clone()),
        ];
        Self {
            nodes: nodes.map(|(path, node)| (path.to_owned(), node)).into(),
            ephemerals: BTreeMap::new(),
            last_zxid: 0,
        }
    }

    /// The transaction that was applied last.
    pub(super) fn last_zxid(&self) -> i64 {
        self.last_zxid
    }

    pub(super) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(key(path))
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// How many bytes the paths and the data of all nodes have.
    pub(super) fn size(&self) -> usize {
        let data = |node: &Node| node.data.as_ref().map_or(0, Bytes::len);
        let sizes = self
            .nodes
            .iter()
            .map(|(path, node)| path.len() + data(node));
        sizes.sum()
    }

    /// The paths of a session's ephemeral nodes.
    pub(super) fn ephemerals(&self, session: i64) -> impl Iterator<Item = &String> {
        self.ephemerals.get(&session).into_iter().flatten()
    }

    /// Does what was decided, adds to `events` what watches want to know, and gives what the client is told.
    pub(super) fn apply(
        &mut self,
        transaction: &Transaction,
        events: &mut Vec<NodeEvent>,
    ) -> Outcome {
        self.last_zxid = transaction.zxid;
        self.change(transaction, &transaction.change, events)
    }

    fn change(
        &mut self,
        transaction: &Transaction,
        change: &Change,
        events: &mut Vec<NodeEvent>,
    ) -> Outcome {
        match change {
            Change::Create { .. } => self.create(transaction, change, events),
            Change::Delete { path } => {
                self.delete(transaction, path, events);
                Outcome::Deleted
            }
            Change::SetData {
                path,
                data,
                version,
            } => self.set_data(transaction, path, data, *version, events),
            Change::SetAcl { path, acl, version } => match self.nodes.get_mut(key(path)) {
                Some(node) => {
                    node.acl.clone_from(acl);
                    node.acl_version = *version;
                    Outcome::AclSet(node.stat())
                }
                None => Outcome::Failed(ErrorCode::NoNode),
            },
            Change::Check => Outcome::Checked,
            Change::Multi(changes) => {
                let changes = changes.iter();
                Outcome::Multi(
                    changes
                        .map(|change| self.change(transaction, change, events))
                        .collect(),
                )
            }
            Change::Failed(error) => Outcome::Failed(*error),
            Change::Undone => Outcome::Undone,
            Change::CreateSession => Outcome::SessionCreated,
            Change::CloseSession => {
                for path in self
                    .ephemerals
                    .remove(&transaction.session)
                    .unwrap_or_default()
                {
                    self.delete(transaction, &path, events);
                }
                Outcome::SessionClosed
            }
        }
    }

    fn create(
        &mut self,
        transaction: &Transaction,
        change: &Change,
        events: &mut Vec<NodeEvent>,
    ) -> Outcome {
        let Change::Create {
            path,
            data,
            acl,
            is_ephemeral,
            creations,
        } = change
        else {
            return Outcome::Failed(ErrorCode::SystemError);
        };
        let Some(parent) = self.nodes.get_mut(parent_of(path)) else {
            return Outcome::Failed(ErrorCode::NoNode);
        };
        parent.children.insert(name_of(path).to_owned());
        parent.creations = *creations;
        parent.pzxid = transaction.zxid;
        let owner = if *is_ephemeral {
            transaction.session
        } else {
            0
        };
        if *is_ephemeral {
            let owned = self.ephemerals.entry(owner).or_default();
            owned.insert(path.clone());
        }
        let node = Node {
            data: data.clone(),
            acl: acl.clone(),
            czxid: transaction.zxid,
            mzxid: transaction.zxid,
            pzxid: transaction.zxid,
            ctime: transaction.time_ms,
            mtime: transaction.time_ms,
            ephemeral_owner: owner,
            ..Node::default()
        };
        self.nodes.insert(path.clone(), node);
        push(events, path, EventKind::Created);
        push(events, parent_of(path), EventKind::ChildrenChanged);
        Outcome::Created(path.clone())
    }

    fn delete(&mut self, transaction: &Transaction, path: &str, events: &mut Vec<NodeEvent>) {
        let Some(node) = self.nodes.remove(path) else {
            return;
        };
        if let Some(owned) = self.ephemerals.get_mut(&node.ephemeral_owner) {
            owned.remove(path);
        }
        if let Some(parent) = self.nodes.get_mut(parent_of(path)) {
            parent.children.remove(name_of(path));
            parent.pzxid = transaction.zxid;
        }
        push(events, path, EventKind::Deleted);
        push(events, parent_of(path), EventKind::ChildrenChanged);
    }

    fn set_data(
        &mut self,
        transaction: &Transaction,
        path: &str,
        data: &Option<Bytes>,
        version: i32,
        events: &mut Vec<NodeEvent>,
    ) -> Outcome {
        let Some(node) = self.nodes.get_mut(key(path)) else {
            return Outcome::Failed(ErrorCode::NoNode);
        };
        node.data.clone_from(data);
        node.version = version;
        node.mzxid = transaction.zxid;
        node.mtime = transaction.time_ms;
        push(events, path, EventKind::DataChanged);
        Outcome::Set(node.stat())
    }
}

fn push(events: &mut Vec<NodeEvent>, path: &str, kind: EventKind) {
    events.push(NodeEvent {
        path: path.to_owned(),
        kind,
    });
}
