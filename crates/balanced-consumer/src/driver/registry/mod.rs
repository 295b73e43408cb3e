//! What the driver reads and writes in ZooKeeper, one operation of the group each, in either dialect.

mod entry;
mod java;
mod pykafka;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use divvy_protocol::TopicPartition;
use divvy_zookeeper::{Create, Result, Session, paths};

pub(crate) use self::entry::{blocking_pykafka_member, java_member_alone};
pub(super) use self::java::JavaRegistry;
pub(super) use self::pykafka::PyKafkaRegistry;
use crate::assignor::ConsumerThreadId;
use crate::machine::{SessionEvent, Token};
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

    /// Creates the owner node, and watches it or the one that is in the way.
    async fn claim(&self, tp: &TopicPartition, thread: &ConsumerThreadId) -> Result<SessionEvent>;

    /// Deletes the owner node where it is this session's and of this claim.
    async fn release(&self, tp: &TopicPartition, token: Option<Token>) -> Result<SessionEvent>;

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

    /// The names of all members' nodes.
    async fn ids_watched(&self) -> Result<Vec<String>> {
        let ids = paths::group_ids(&self.group);
        let ids = self.session.children_watched(&ids).await?;
        Ok(ids.map(|ids| ids.names).unwrap_or_default())
    }
}
