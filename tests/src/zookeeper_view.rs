//! What ZooKeeper knows of groups, for tests to look at.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use divvy_zookeeper::{Config, Create, CreatePersistent, Error, Session, ZooKeeper, paths};
use tokio::runtime::{self, Runtime};

use crate::{Cluster, wait_some};

/// How long a read is tried again while the servers elect a leader.
const PATIENCE: Duration = Duration::from_secs(20);

/// A look into the ZooKeeper of a cluster, with a session of its own.
///
/// Every read is preceded by a `sync`, so that it shows all that was written before, whichever server answers.
/// Reads that fail because a server is gone are tried again on another.
#[derive(Debug)]
pub struct ZooKeeperView {
    runtime: Runtime,
    zookeeper: ZooKeeper,
}

/// The node of a partition's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// What the owner wrote: `<consumer id>-<thread>`.
    pub text: String,
    /// The transaction that created the node. Another one means that the partition was released in between.
    pub czxid: i64,
    /// The session that the node lives by.
    pub session: i64,
}

impl Cluster {
    /// A look into the cluster's ZooKeeper, below its chroot.
    ///
    /// # Errors
    ///
    /// When there is no thread for it.
    pub fn zookeeper_view(&self) -> Result<ZooKeeperView> {
        ZooKeeperView::new(self.zookeeper_connect())
    }
}

impl ZooKeeperView {
    /// A look into any ZooKeeper; `connect` is written as `zookeeper.connect` is.
    ///
    /// # Errors
    ///
    /// When `connect` makes no sense, or there is no thread.
    pub fn new(connect: impl Into<String>) -> Result<ZooKeeperView> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let zookeeper = ZooKeeper::new(Config::new(connect))?;
        Ok(ZooKeeperView { runtime, zookeeper })
    }

    /// Who owns which partition. Nodes whose name is no partition number are not Kafka's, and left out.
    ///
    /// # Errors
    ///
    /// When ZooKeeper cannot be asked.
    pub fn owners(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, Owner>> {
        let parent = paths::topic_owners(group, topic);
        let nodes = self
            .read_children(&parent)?
            .into_iter()
            .filter_map(|(name, text, stat)| {
                let owner = Owner {
                    text,
                    czxid: stat.czxid,
                    session: stat.ephemeral_owner,
                };
                Some((name.parse().ok()?, owner))
            });
        Ok(nodes.collect())
    }

    /// The members of a group: what each wrote into its registration, by its consumer id.
    ///
    /// # Errors
    ///
    /// When ZooKeeper cannot be asked.
    pub fn ids(&self, group: &str) -> Result<BTreeMap<String, String>> {
        let nodes = self.read_children(&paths::group_ids(group))?;
        Ok(nodes
            .into_iter()
            .map(|(name, text, _)| (name, text))
            .collect())
    }

    /// The offsets that a group has committed to ZooKeeper, by partition.
    ///
    /// # Errors
    ///
    /// When ZooKeeper cannot be asked, or holds something else.
    pub fn offsets(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, i64>> {
        let parent = paths::topic_offsets(group, topic);
        let nodes = self.read_children(&parent)?.into_iter();
        nodes
            .map(|(name, text, _)| {
                let offset = text
                    .parse()
                    .with_context(|| format!("{parent}/{name} holds {text:?}"))?;
                Ok((name.parse()?, offset))
            })
            .collect()
    }

    /// The text of a node; none if there is no such node.
    ///
    /// # Errors
    ///
    /// When ZooKeeper cannot be asked.
    pub fn text(&self, path: &str) -> Result<Option<String>> {
        self.run(async |session| {
            session.sync(path).await?;
            Ok(session
                .get(path)
                .await?
                .map(|node| String::from_utf8_lossy(&node.data).into_owned()))
        })
    }

    /// The names of a node's children; none if there is no such node.
    ///
    /// # Errors
    ///
    /// When ZooKeeper cannot be asked.
    pub fn children(&self, path: &str) -> Result<Vec<String>> {
        self.run(async |session| {
            session.sync(path).await?;
            Ok(session
                .children(path)
                .await?
                .map(|children| children.names)
                .unwrap_or_default())
        })
    }

    /// Writes a node, and creates it and its parents where they are missing.
    ///
    /// # Errors
    ///
    /// When ZooKeeper refuses.
    pub fn put(&self, path: &str, text: &str) -> Result<()> {
        self.run(async |session| {
            if session.create_persistent(path, text.as_bytes()).await? == CreatePersistent::Exists {
                session.set(path, text.as_bytes(), None).await?;
            }
            Ok(())
        })
    }

    /// Creates a node that lives as long as this view, as a foreign member of a group would; false if it exists.
    ///
    /// # Errors
    ///
    /// When ZooKeeper refuses.
    pub fn put_ephemeral(&self, path: &str, text: &str) -> Result<bool> {
        self.run(async |session| {
            Ok(matches!(
                session.create_ephemeral(path, text.as_bytes()).await?,
                Create::Created(_)
            ))
        })
    }

    /// Deletes a node, whatever its version. One that is not there is none the worse.
    ///
    /// # Errors
    ///
    /// When ZooKeeper refuses.
    pub fn delete(&self, path: &str) -> Result<()> {
        self.run(async |session| session.delete(path, None).await.map(drop))
    }

    fn read_children(&self, parent: &str) -> Result<Vec<(String, String, divvy_zookeeper::Stat)>> {
        self.run(async |session| {
            session.sync(parent).await?;
            let mut nodes = Vec::new();
            for name in session
                .children(parent)
                .await?
                .map(|children| children.names)
                .unwrap_or_default()
            {
                // One that went away in between is not there.
                if let Some(node) = session.get(&format!("{parent}/{name}")).await? {
                    nodes.push((
                        name,
                        String::from_utf8_lossy(&node.data).into_owned(),
                        node.stat,
                    ));
                }
            }
            Ok(nodes)
        })
    }

    fn run<T>(&self, operation: impl AsyncFn(&Session) -> Result<T, Error>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        let attempt = async || operation(&self.zookeeper.session().await?).await;
        wait_some(PATIENCE, "an answer of ZooKeeper", || {
            match self.runtime.block_on(attempt()) {
                Err(error)
                    if (error.is_retriable() || error.is_session_over())
                        && Instant::now() < deadline =>
                {
                    None
                }
                outcome => Some(outcome),
            }
        })?
        .map_err(Into::into)
    }
}
