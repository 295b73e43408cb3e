//! Removing what a dead group has left in ZooKeeper.

use divvy_simple_consumer::Result;
use divvy_zookeeper::{Delete, Session, paths};

use super::reset::refuse_live;
use super::{GroupAdmin, check_group, refused};

/// What was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed {
    /// How many nodes.
    pub nodes: usize,
}

/// A node as it was when it was listed.
struct Leaf {
    path: String,
    version: i32,
}

impl GroupAdmin {
    /// Deletes everything that a group without members has in ZooKeeper, its offsets there included. Offsets in Kafka stay: brokers
    /// of 0.8.2 and 0.9 cannot be asked to delete them, and forget them after their own time.
    ///
    /// A member that joins meanwhile ends it: nothing is deleted that was written after it was listed.
    ///
    /// # Errors
    /// [`Error::Group`](divvy_simple_consumer::Error::Group) where there is no such group, it is live, or somebody joins or writes
    /// meanwhile; ZooKeeper's.
    pub async fn remove(&self, group: &str) -> Result<Removed> {
        check_group(group)?;
        let session = self.session().await?;
        refuse_live(&session, group).await?;
        let root = format!("{}/{group}", paths::CONSUMERS);
        let nodes = tree(&session, &root).await?;
        if nodes.is_empty() {
            return Err(refused(group, "it has no node in ZooKeeper"));
        }
        // The registrations' parent first: it cannot be deleted any more once somebody has joined.
        let ids = paths::group_ids(group);
        let (first, others): (Vec<Leaf>, Vec<Leaf>) =
            nodes.into_iter().partition(|node| node.path == ids);
        let mut removed = Removed { nodes: 0 };
        // Children come behind their parents in the list.
        for node in first.iter().chain(others.iter().rev()) {
            let deleted = session.delete(&node.path, Some(node.version)).await;
            match deleted.map_err(divvy_client::Error::from)? {
                Delete::Done => removed.nodes += 1,
                Delete::NoNode => {}
                Delete::BadVersion | Delete::NotEmpty => {
                    let why = format!(
                        "{} was written meanwhile, so that somebody still uses the group; {} of its nodes are deleted",
                        node.path, removed.nodes
                    );
                    return Err(refused(group, why));
                }
            }
        }
        Ok(removed)
    }
}

/// A node and everything below it, parents before their children.
async fn tree(session: &Session, root: &str) -> Result<Vec<Leaf>> {
    let mut found: Vec<Leaf> = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let children = session.children(&path).await;
        let Some(children) = children.map_err(divvy_client::Error::from)? else {
            continue;
        };
        let names = children.names.iter();
        waiting.extend(names.map(|name| format!("{path}/{name}")));
        found.push(Leaf {
            path,
            version: children.stat.version,
        });
    }
    Ok(found)
}
