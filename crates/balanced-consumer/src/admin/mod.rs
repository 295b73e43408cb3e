//! Looking at groups from outside, and mending what is wrong with them: what an operator does.
//!
//! A [`GroupAdmin`] joins no group and sets no watch. What it finds is a [`GroupView`], plain data; what follows from that is
//! computed by functions of the view alone: [`GroupView::lag`], [`diagnose`], [`LagChange`], [`ResetPlan`].
//!
//! It is for groups that are coordinated through ZooKeeper, in either dialect, with offsets in ZooKeeper, in Kafka, or in both. It
//! does *not* look into groups that brokers coordinate, by Kafka's own group protocol: [`broker_groups`] lists them, that is all.
//!
//! ```no_run
//! use divvy_balanced_consumer::admin::GroupAdmin;
//! use divvy_client::{Client, ClientConfig};
//! use divvy_zookeeper::{Config, ZooKeeper};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let zookeeper = ZooKeeper::new(Config::new("127.0.0.1:2181"))?;
//! let client = Client::connect(ClientConfig::zookeeper(zookeeper.clone())).await?;
//! let admin = GroupAdmin::new(zookeeper, Some(client));
//! let view = admin.describe("billing", &[]).await?;
//! for (tp, partition) in &view.partitions {
//!     println!("{tp}: {:?} behind, owned by {:?}", partition.lag(), partition.owner());
//! }
//! # Ok(())
//! # }
//! ```

mod acl;
mod broker_groups;
mod cluster;
mod findings;
mod lag;
mod offsets;
mod read;
mod remove;
mod reset;
#[cfg(test)]
mod tests;
mod view;

use divvy_client::Client;
use divvy_simple_consumer::{Error, Result};
use divvy_zookeeper::{Session, ZooKeeper, paths};

pub use broker_groups::{BrokerGroup, broker_groups};
pub use cluster::ClusterView;
pub use findings::{Finding, Problem, confirmed, diagnose};
pub use lag::{Growth, LagChange, LagReason};
pub use remove::Removed;
pub use reset::{Change, ResetPlan, ResetTo};
pub use view::{Claim, GroupMember, GroupView, MemberKind, PartitionView, StoredOffset};

use self::read::Look;

/// Looks at the groups of one ZooKeeper, and changes their offsets.
///
/// Cheap to clone. Every call reads anew.
#[derive(Clone, Debug)]
pub struct GroupAdmin {
    zookeeper: ZooKeeper,
    /// The brokers, which know of offsets in Kafka and of logs.
    client: Option<Client>,
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupSummary {
    /// Its name.
    pub group: String,
    /// How many members are registered.
    pub members: usize,
}

impl GroupAdmin {
    /// For the groups in this ZooKeeper. Without a `client`, logs and offsets in Kafka are not known.
    pub fn new(zookeeper: ZooKeeper, client: Option<Client>) -> Self {
        Self { zookeeper, client }
    }

    /// Every group that has a node in ZooKeeper, sorted by name. Groups that nobody has removed stay there for ever.
    ///
    /// # Errors
    /// ZooKeeper's.
    pub async fn groups(&self) -> Result<Vec<GroupSummary>> {
        let session = self.session().await?;
        let names = session.children(paths::CONSUMERS).await;
        let names = names.map_err(divvy_client::Error::from)?;
        let mut groups = Vec::new();
        for group in names.map(|names| names.names).unwrap_or_default() {
            let ids = session.exists(&paths::group_ids(&group)).await;
            let ids = ids.map_err(divvy_client::Error::from)?;
            let members = ids.map_or(0, |ids| usize::try_from(ids.num_children).unwrap_or(0));
            groups.push(GroupSummary { group, members });
        }
        Ok(groups)
    }

    /// Looks at a group: its members, and all partitions that it subscribes, owns or has stored offsets of, and those of `topics`.
    /// A group whose offsets are in Kafka alone leaves no trace of its topics in ZooKeeper while it is not running, so that they
    /// have to be named.
    ///
    /// # Errors
    /// ZooKeeper's and the brokers'. What is unknown of a single partition, or may not be read, is said in the view instead.
    pub async fn describe(&self, group: &str, topics: &[String]) -> Result<GroupView> {
        check_group(group)?;
        let session = self.session().await?;
        let mut view = Look::read(&session, group, topics).await?;
        if let Some(client) = &self.client {
            offsets::complete(&session, client, &mut view).await?;
        }
        Ok(view)
    }

    /// Finds out which nodes of a described group its members may not write, and notes them in the view. Nothing is written:
    /// ZooKeeper looks at the ACL before it refuses a version that no node has.
    ///
    /// # Errors
    /// ZooKeeper's.
    pub async fn probe_acl(&self, view: &mut GroupView) -> Result<()> {
        let session = self.session().await?;
        let probed = acl::forbidden(&session, view).await;
        for node in probed? {
            if !view.forbidden.contains(&node) {
                view.forbidden.push(node);
            }
        }
        Ok(())
    }

    /// The session in which everything is read.
    async fn session(&self) -> Result<Session> {
        let session = self.zookeeper.session().await;
        Ok(session.map_err(divvy_client::Error::from)?)
    }
}

fn check_group(group: &str) -> Result<()> {
    let checked = paths::validate_group(group).map_err(divvy_client::Error::from);
    Ok(checked?)
}

fn refused(group: &str, why: impl Into<String>) -> Error {
    Error::Group {
        group: group.to_owned(),
        why: why.into(),
    }
}
