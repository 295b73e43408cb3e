//! What the driver reads and writes in ZooKeeper, one operation of the group each, in either dialect.

mod entry;
mod java;
mod pykafka;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use divvy_protocol::TopicPartition;
use divvy_zookeeper::{Create, Node, Result, Session, paths};

pub(crate) use self::entry::{blocking_pykafka_member, java_member_alone, names_topic};
pub(super) use self::java::JavaRegistry;
pub(crate) use self::java::subscription;
pub(super) use self::pykafka::PyKafkaRegistry;
use crate::assignor::ConsumerThreadId;
use crate::machine::{Owners, SessionEvent, Token};
use crate::view::{OwnRegistration, View};

/// How often an operation that found its node changing under its hands looks again, before it says so.
const ATTEMPTS: usize = 5;

/// How much of a node's data a report shows.
const SHOWN_DATA: usize = 200;

/// The registry of one group in ZooKeeper, as one member uses it within one session.
#[async_trait]
pub(super) trait Registry: Debug + Send + Sync {
    /// The member.
    fn own(&self) -> &Own;

    /// The owner node whose `czxid` is the token of a claim.
    fn owner_path(&self, tp: &TopicPartition) -> String;

    /// What it means to the member that a watched node has changed.
    fn meaning(&self, path: &str) -> Meaning;

    /// Reads the group's nodes and sets watches on them.
    async fn view(&self) -> Result<View>;

    /// Reads who owns what.
    async fn owners(&self) -> Result<Owners>;

    /// Creates the owner node, and watches it or the one that is in the way.
    async fn claim(&self, tp: &TopicPartition, thread: &ConsumerThreadId) -> Result<SessionEvent>;

    /// Deletes the owner node where it is this session's and of this claim. `fence` is the node that every claim of the partition
    /// writes before anything is handed out.
    async fn release(
        &self,
        tp: &TopicPartition,
        token: Option<Token>,
        fence: &str,
    ) -> Result<SessionEvent>;

    /// Looks whose the owner node is, and watches it.
    async fn check_owner(&self, tp: &TopicPartition, token: Token) -> Result<SessionEvent>;
}

/// What a node is to a member that watches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The members, the topics, or something else that the assignment depends on.
    Group,
    /// The owner of a partition.
    Owner(TopicPartition),
    /// Somebody else's.
    Nothing,
}

/// A member and its node below `ids`.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) session: Session,
    pub(super) group: String,
    pub(super) consumer_id: Arc<str>,
    /// The data of the node.
    pub(super) data: Vec<u8>,
    /// The owner nodes as they were last read, by their parent.
    pub(super) owner_nodes: Mutex<BTreeMap<String, OwnerNodes>>,
}

/// The names and texts of the owner nodes below one parent. A node is never written again, so they are as they were for as long
/// as the parent's children are.
#[derive(Clone, Debug)]
pub(super) struct OwnerNodes {
    pzxid: i64,
    nodes: Vec<(String, String)>,
}

impl Own {
    fn path(&self) -> String {
        paths::group_id(&self.group, &self.consumer_id)
    }

    /// Creates the node.
    pub(super) async fn register(&self) -> Result<SessionEvent> {
        let path = self.path();
        for _ in 0..ATTEMPTS {
            match self.session.create_ephemeral(&path, &self.data).await? {
                Create::Created(_) => return Ok(SessionEvent::Registered),
                // The id is this member's alone: it is left from a session that is over, or about to be.
                Create::Exists(node) => {
                    self.session.delete(&path, Some(node.stat.version)).await?;
                }
            }
        }
        Ok(SessionEvent::RegisterFailed {
            error: format!("{path} is created again and again by somebody else"),
        })
    }

    /// Deletes the node.
    pub(super) async fn unregister(&self) -> Result<SessionEvent> {
        self.session.delete(&self.path(), None).await?;
        Ok(SessionEvent::Unregistered)
    }

    /// What has become of the node.
    async fn registration(&self) -> Result<OwnRegistration> {
        let node = self.session.exists(&self.path()).await?;
        Ok(match node {
            None => OwnRegistration::Missing,
            Some(stat) if stat.ephemeral_owner == self.session.id() => OwnRegistration::Ours,
            Some(_) => OwnRegistration::Foreign,
        })
    }

    /// The names of all members' nodes, and the transaction in which the last of them came or went.
    async fn ids_watched(&self) -> Result<(Vec<String>, i64)> {
        let ids = paths::group_ids(&self.group);
        let ids = self.session.children_watched(&ids).await?;
        Ok(ids
            .map(|ids| (ids.names, ids.stat.pzxid))
            .unwrap_or_default())
    }

    /// The transaction in which the last member came or went.
    async fn ids_zxid(&self) -> Result<i64> {
        let ids = self.session.exists(&paths::group_ids(&self.group)).await?;
        Ok(ids.map(|stat| stat.pzxid).unwrap_or_default())
    }

    /// The owner nodes in a directory below `owners`, each with its text.
    async fn owner_nodes(&self, directory: &str) -> Result<Vec<(String, String)>> {
        let parent = paths::topic_owners(&self.group, directory);
        let Some(children) = self.session.children(&parent).await? else {
            return Ok(Vec::new());
        };
        let pzxid = children.stat.pzxid;
        let known = self.lock_owner_nodes().get(&parent).cloned();
        if let Some(known) = known.filter(|known| known.pzxid == pzxid) {
            return Ok(known.nodes);
        }
        let path = |name: &str| format!("{parent}/{name}");
        let nodes = self.session.get_each(children.names, path).await?;
        let text = |node: Node| String::from_utf8_lossy(&node.data).into_owned();
        let nodes: Vec<_> = nodes
            .into_iter()
            .map(|(name, node)| (name, text(node)))
            .collect();
        let known = OwnerNodes {
            pzxid,
            nodes: nodes.clone(),
        };
        self.lock_owner_nodes().insert(parent, known);
        Ok(nodes)
    }

    fn lock_owner_nodes(&self) -> MutexGuard<'_, BTreeMap<String, OwnerNodes>> {
        self.owner_nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates a registration that subscribes nothing, and deletes it. Both dialects bear it.
    pub(super) async fn nudge(&self, document: &str) -> Result<()> {
        let path = format!("{}-nudge", self.path());
        self.session
            .create_ephemeral(&path, document.as_bytes())
            .await?;
        self.session.delete(&path, None).await?;
        Ok(())
    }
}
