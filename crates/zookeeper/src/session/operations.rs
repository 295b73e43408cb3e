use std::sync::Arc;

use zookeeper_client::{
    Acl as ClientAcl, Acls, Client, CreateMode, CreateOptions, Error as ClientError,
    MultiWriteError, MultiWriteResult, Permission,
};

use super::Session;
use super::call::{OnLoss, Operation, Refusal};
use super::outcome::{Children, Create, CreatePersistent, Delete, Node, Set, SetData, SetMany};
use crate::config::Acl;
use crate::error::{Error, Result};
use crate::paths;
use crate::stat::Stat;

/// How many writes [`Session::set_many`] takes at once.
pub const MAX_SET_MANY: usize = 500;

/// Servers close a connection on which a request of 1 MiB or more comes in (`jute.maxbuffer`); the rest is for paths.
const MAX_DATA: usize = 1000 * 1024;

/// How often an operation creates the parents of its node again that somebody deleted meanwhile.
const PARENT_ATTEMPTS: usize = 3;

static CREATOR: [ClientAcl; 2] = [
    ClientAcl::new_const(Permission::ALL, "auth", ""),
    ClientAcl::new_const(Permission::READ, "world", "anyone"),
];

impl Session {
    /// Reads a node; `None` where there is none.
    pub async fn get(&self, path: &str) -> Result<Option<Node>> {
        self.get_at(&self.operation("get", path)?).await
    }

    /// Lists a node's children; `None` where there is no such node.
    pub async fn children(&self, path: &str) -> Result<Option<Children>> {
        self.children_at(&self.operation("list", path)?).await
    }

    /// A node's stat; `None` where there is none.
    pub async fn exists(&self, path: &str) -> Result<Option<Stat>> {
        self.exists_at(&self.operation("look at", path)?).await
    }

    /// Makes the connected server catch up with the leader, so that later reads of this session see everything that was written
    /// before. The answer comes from the leader, which no read shows.
    pub async fn sync(&self, path: &str) -> Result<()> {
        let operation = self.operation("sync", path)?;
        self.call(&operation, OnLoss::Fail, |client| async move {
            client.sync(path).await
        })
        .await?
        .map_err(|refusal| operation.refused(refusal))
    }

    /// Creates an ephemeral node and, where they are missing, its parents (persistent and empty).
    ///
    /// Repeated when the connection is lost, because the node itself tells whether it was created: one that is there already,
    /// belongs to this session and has the same data counts as created.
    ///
    /// # Errors
    /// Besides those of every operation [`Error::NoParent`], [`Error::InvalidAcl`], [`Error::TooLarge`].
    pub async fn create_ephemeral(&self, path: &str, data: &[u8]) -> Result<Create> {
        let operation = self.operation("create", path)?;
        check_size(path, data.len())?;
        let mut parents = 0;
        loop {
            match self
                .create_at(&operation, CreateMode::Ephemeral, data, OnLoss::Repeat)
                .await?
            {
                Ok(()) | Err(Refusal::NodeExists) => match self.get_at(&operation).await? {
                    Some(node) if node.stat.ephemeral_owner == self.id() && node.data == data => {
                        return Ok(Create::Created(node.stat));
                    }
                    Some(node) => return Ok(Create::Exists(node)),
                    // Deleted between the two requests: by its owner, or ours by somebody.
                    None => {}
                },
                Err(Refusal::NoNode) if parents < PARENT_ATTEMPTS => {
                    parents += 1;
                    self.create_parents(&operation).await?;
                }
                Err(refusal) => return Err(no_parent(&operation, refusal)),
            }
        }
    }

    /// Creates a persistent node and, where they are missing, its parents (persistent and empty).
    ///
    /// # Errors
    /// Besides those of every operation [`Error::ConnectionLoss`], [`Error::NoParent`], [`Error::InvalidAcl`],
    /// [`Error::TooLarge`].
    pub async fn create_persistent(&self, path: &str, data: &[u8]) -> Result<CreatePersistent> {
        let operation = self.operation("create", path)?;
        check_size(path, data.len())?;
        let mut parents = 0;
        loop {
            match self
                .create_at(&operation, CreateMode::Persistent, data, OnLoss::Fail)
                .await?
            {
                Ok(()) => return Ok(CreatePersistent::Created),
                Err(Refusal::NodeExists) => return Ok(CreatePersistent::Exists),
                Err(Refusal::NoNode) if parents < PARENT_ATTEMPTS => {
                    parents += 1;
                    self.create_parents(&operation).await?;
                }
                Err(refusal) => return Err(no_parent(&operation, refusal)),
            }
        }
    }

    /// Sets a node's data; with a version only if the node has that version.
    ///
    /// # Errors
    /// Besides those of every operation [`Error::ConnectionLoss`], [`Error::TooLarge`].
    pub async fn set(&self, path: &str, data: &[u8], version: Option<i32>) -> Result<Set> {
        let operation = self.operation("set", path)?;
        check_size(path, data.len())?;
        let answer = self
            .call(&operation, OnLoss::Fail, |client| async move {
                client.set_data(path, data, version).await
            })
            .await?;
        match answer {
            Ok(stat) => Ok(Set::Done(stat.into())),
            Err(Refusal::BadVersion) => Ok(Set::BadVersion),
            Err(Refusal::NoNode) => Ok(Set::NoNode),
            Err(refusal) => Err(operation.refused(refusal)),
        }
    }

    /// Sets the data of several nodes in one transaction: all or nothing. An empty list is done at once.
    ///
    /// # Errors
    /// Besides those of every operation [`Error::ConnectionLoss`], and [`Error::TooLarge`] for more than [`MAX_SET_MANY`]
    /// writes or more data than a server takes.
    pub async fn set_many(&self, writes: &[SetData]) -> Result<SetMany> {
        let Some(first) = writes.first() else {
            return Ok(SetMany::Done(Vec::new()));
        };
        if writes.len() > MAX_SET_MANY {
            return Err(Error::TooLarge {
                path: first.path.clone(),
                why: format!(
                    "{} writes in one transaction, more than {MAX_SET_MANY}",
                    writes.len()
                ),
            });
        }
        let size = writes
            .iter()
            .map(|write| write.path.len() + write.data.len())
            .sum();
        check_size(&first.path, size)?;
        let operation = self.operation("set", &first.path)?;
        let answer = self
            .call(&operation, OnLoss::Fail, |client| multi(client, writes))
            .await?;
        match answer {
            Ok(Ok(results)) => stats(&operation, results, writes.len()),
            Ok(Err((index, ClientError::BadVersion))) => Ok(SetMany::BadVersion { index }),
            Ok(Err((index, ClientError::NoNode))) => Ok(SetMany::NoNode { index }),
            Ok(Err((index, error))) => {
                let path = writes
                    .get(index)
                    .map_or(operation.path, |write| &write.path);
                Err(operation.at(path).error(error))
            }
            Err(refusal) => Err(operation.refused(refusal)),
        }
    }

    /// Deletes a node; with a version only if the node has that version.
    ///
    /// Never repeated by itself: by the time of a repetition the node may be somebody else's.
    ///
    /// # Errors
    /// Besides those of every operation [`Error::ConnectionLoss`].
    pub async fn delete(&self, path: &str, version: Option<i32>) -> Result<Delete> {
        let operation = self.operation("delete", path)?;
        let answer = self
            .call(&operation, OnLoss::Fail, |client| async move {
                client.delete(path, version).await
            })
            .await?;
        match answer {
            Ok(()) => Ok(Delete::Done),
            Err(Refusal::BadVersion) => Ok(Delete::BadVersion),
            Err(Refusal::NoNode) => Ok(Delete::NoNode),
            Err(Refusal::NotEmpty) => Ok(Delete::NotEmpty),
            Err(refusal) => Err(operation.refused(refusal)),
        }
    }

    pub(super) async fn get_at(&self, operation: &Operation<'_>) -> Result<Option<Node>> {
        let answer = self
            .call(operation, OnLoss::Repeat, |client| async move {
                client.get_data(operation.path).await
            })
            .await?;
        let found = found(operation, answer)?;
        Ok(found.map(|(data, stat)| Node {
            data,
            stat: stat.into(),
        }))
    }

    pub(super) async fn children_at(&self, operation: &Operation<'_>) -> Result<Option<Children>> {
        let answer = self
            .call(operation, OnLoss::Repeat, |client| async move {
                client.get_children(operation.path).await
            })
            .await?;
        let found = found(operation, answer)?;
        Ok(found.map(|(names, stat)| Children::new(names, stat)))
    }

    pub(super) async fn exists_at(&self, operation: &Operation<'_>) -> Result<Option<Stat>> {
        let answer = self
            .call(operation, OnLoss::Repeat, |client| async move {
                client.check_stat(operation.path).await
            })
            .await?;
        Ok(found(operation, answer)?.flatten().map(Stat::from))
    }

    async fn create_at(
        &self,
        operation: &Operation<'_>,
        mode: CreateMode,
        data: &[u8],
        on_loss: OnLoss,
    ) -> Result<Result<(), Refusal>> {
        let options = &self.create_options(mode);
        self.call(operation, on_loss, |client| async move {
            client
                .create(operation.path, data, options)
                .await
                .map(|_| ())
        })
        .await
    }

    /// Creates the parents of a node, nearest first, and climbs only as far as they are missing: an ACL may forbid to create
    /// anything higher up, even what is there.
    async fn create_parents(&self, operation: &Operation<'_>) -> Result<()> {
        let parents: Vec<&str> =
            std::iter::successors(paths::parent(operation.path), |path| paths::parent(path))
                .collect();
        let mut level = 0;
        while let Some(parent) = parents.get(level) {
            let operation = operation.at(parent);
            let created = self
                .create_at(&operation, CreateMode::Persistent, b"", OnLoss::Repeat)
                .await?;
            match created {
                Ok(()) | Err(Refusal::NodeExists) if level == 0 => return Ok(()),
                Ok(()) | Err(Refusal::NodeExists) => level -= 1,
                Err(Refusal::NoNode) => level += 1,
                Err(refusal) => return Err(no_parent(&operation, refusal)),
            }
        }
        Err(no_parent(operation, Refusal::NoNode))
    }

    fn create_options(&self, mode: CreateMode) -> CreateOptions<'static> {
        mode.with_acls(match self.inner.acl {
            Acl::Open => Acls::anyone_all(),
            Acl::Creator => Acls::new(&CREATOR),
        })
    }
}

impl Children {
    pub(super) fn new(mut names: Vec<String>, stat: zookeeper_client::Stat) -> Self {
        names.sort_unstable();
        Self {
            names,
            stat: stat.into(),
        }
    }
}

/// Makes a missing node a `None`.
pub(super) fn found<T>(operation: &Operation<'_>, answer: Result<T, Refusal>) -> Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Refusal::NoNode) => Ok(None),
        Err(refusal) => Err(operation.refused(refusal)),
    }
}

/// Sends the writes as one transaction; the inner error says which of them was refused.
async fn multi(
    client: Arc<Client>,
    writes: &[SetData],
) -> Result<Result<Vec<MultiWriteResult>, (usize, ClientError)>, ClientError> {
    let mut writer = client.new_multi_writer();
    for (index, write) in writes.iter().enumerate() {
        if let Err(error) = writer.add_set_data(&write.path, &write.data, write.version) {
            return Ok(Err((index, error)));
        }
    }
    match writer.commit().await {
        Ok(results) => Ok(Ok(results)),
        Err(MultiWriteError::OperationFailed { index, source }) => Ok(Err((index, source))),
        Err(MultiWriteError::RequestFailed { source }) => Err(source),
    }
}

fn stats(
    operation: &Operation<'_>,
    results: Vec<MultiWriteResult>,
    expected: usize,
) -> Result<SetMany> {
    let stats: Vec<Stat> = results
        .into_iter()
        .filter_map(|result| match result {
            MultiWriteResult::SetData { stat } => Some(stat.into()),
            _ => None,
        })
        .collect();
    if stats.len() != expected {
        return Err(operation.unexpected(format!("{} results for {expected} writes", stats.len())));
    }
    Ok(SetMany::Done(stats))
}

fn no_parent(operation: &Operation<'_>, refusal: Refusal) -> Error {
    match refusal {
        Refusal::NoNode | Refusal::NoChildrenForEphemerals => Error::NoParent {
            path: operation.path.to_owned(),
        },
        refusal => operation.refused(refusal),
    }
}

fn check_size(path: &str, size: usize) -> Result<()> {
    if size > MAX_DATA {
        return Err(Error::TooLarge {
            path: path.to_owned(),
            why: format!("{size} bytes of data, more than the {MAX_DATA} that a server takes"),
        });
    }
    Ok(())
}
