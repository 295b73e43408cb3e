use bytes::Bytes;

use super::Session;
use super::call::{OnLoss, Operation, Refusal};
use super::outcome::{
    Children, Create, CreatePersistent, Delete, DeleteChecked, Node, Set, SetData, SetMany,
};
use crate::config::Acl;
use crate::error::{Error, Result};
use crate::paths;
use crate::stat::Stat;
use crate::wire::{
    self, ANY_VERSION, CreateMode, ErrorCode, Op, OpResult, Request, Response, permission,
};

/// How many writes [`Session::set_many`] takes at once.
pub const MAX_SET_MANY: usize = 500;

/// Servers close a connection on which a request of 1 MiB or more comes in (`jute.maxbuffer`); the rest is for paths.
pub(super) const MAX_DATA: usize = 1000 * 1024;

/// How often an operation creates the parents of its node again that somebody deleted meanwhile.
const PARENT_ATTEMPTS: usize = 3;

impl Session {
    /// Reads a node; `None` where there is none.
    pub async fn get(&self, path: &str) -> Result<Option<Node>> {
        self.read_node(&self.operation("get", path)?, false).await
    }

    /// Lists a node's children; `None` where there is no such node.
    pub async fn children(&self, path: &str) -> Result<Option<Children>> {
        self.read_children(&self.operation("list", path)?, false)
            .await
    }

    /// A node's stat; `None` where there is none.
    pub async fn exists(&self, path: &str) -> Result<Option<Stat>> {
        self.read_stat(&self.operation("look at", path)?, false)
            .await
    }

    /// Makes the connected server catch up with the leader, so that later reads of this session see everything that was written
    /// before. The answer comes from the leader, which no read shows.
    pub async fn sync(&self, path: &str) -> Result<()> {
        let operation = self.operation("sync", path)?;
        let path = self.absolute(path);
        let answer = self.call(&operation, OnLoss::Fail, Request::Sync { path });
        match answer.await? {
            Ok(_) => Ok(()),
            Err(refusal) => Err(operation.refused(refusal)),
        }
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
                Ok(()) | Err(Refusal::NodeExists) => match self.read_node(&operation, false).await?
                {
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
        let request = Request::SetData(self.set_data(path, data, version));
        match self.call(&operation, OnLoss::Fail, request).await? {
            Ok(Response::SetData(stat)) => Ok(Set::Done(stat)),
            Ok(_) => Err(operation.mistaken()),
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
        let ops = writes
            .iter()
            .map(|write| Op::SetData(self.set_data(&write.path, &write.data, write.version)))
            .collect();
        match self.multi(&operation, ops).await? {
            Ok(results) => stats(&operation, results, writes.len()),
            Err((index, ErrorCode::BadVersion)) => Ok(SetMany::BadVersion { index }),
            Err((index, ErrorCode::NoNode)) => Ok(SetMany::NoNode { index }),
            Err((index, code)) => {
                let path = writes
                    .get(index)
                    .map_or(operation.path, |write| &write.path);
                Err(operation.at(path).error(code))
            }
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
        let request = Request::Delete(wire::Delete {
            path: self.absolute(path),
            version: version.unwrap_or(ANY_VERSION),
        });
        match self.call(&operation, OnLoss::Fail, request).await? {
            Ok(_) => Ok(Delete::Done),
            Err(Refusal::BadVersion) => Ok(Delete::BadVersion),
            Err(Refusal::NoNode) => Ok(Delete::NoNode),
            Err(Refusal::NotEmpty) => Ok(Delete::NotEmpty),
            Err(refusal) => Err(operation.refused(refusal)),
        }
    }

    /// Deletes a node in one transaction with the check that another node has a version: both, or nothing is done. `None` is any
    /// version, but there must be a node.
    ///
    /// Never repeated by itself: by the time of a repetition the node may be somebody else's.
    ///
    /// # Errors
    /// Besides those of every operation [`Error::ConnectionLoss`].
    pub async fn delete_checked(
        &self,
        path: &str,
        version: Option<i32>,
        check_path: &str,
        check_version: Option<i32>,
    ) -> Result<DeleteChecked> {
        let operation = self.operation("delete", path)?;
        // For its path.
        self.operation("check", check_path)?;
        let ops = vec![
            Op::Check(wire::Check {
                path: self.absolute(check_path),
                version: check_version.unwrap_or(ANY_VERSION),
            }),
            Op::Delete(wire::Delete {
                path: self.absolute(path),
                version: version.unwrap_or(ANY_VERSION),
            }),
        ];
        match self.multi(&operation, ops).await? {
            Ok(_) => Ok(DeleteChecked::Done),
            Err((0, ErrorCode::BadVersion)) => Ok(DeleteChecked::CheckBadVersion),
            Err((0, ErrorCode::NoNode)) => Ok(DeleteChecked::CheckNoNode),
            Err((0, code)) => Err(operation.at(check_path).error(code)),
            Err((_, ErrorCode::BadVersion)) => Ok(DeleteChecked::BadVersion),
            Err((_, ErrorCode::NoNode)) => Ok(DeleteChecked::NoNode),
            Err((_, ErrorCode::NotEmpty)) => Ok(DeleteChecked::NotEmpty),
            Err((_, code)) => Err(operation.error(code)),
        }
    }

    pub(super) async fn read_node(
        &self,
        operation: &Operation<'_>,
        watch: bool,
    ) -> Result<Option<Node>> {
        let path = self.absolute(operation.path);
        match self
            .read(operation, Request::GetData { path, watch })
            .await?
        {
            Some(Response::GetData { data, stat }) => Ok(Some(Node {
                data: data.map(Vec::from).unwrap_or_default(),
                stat,
            })),
            Some(_) => Err(operation.mistaken()),
            None => Ok(None),
        }
    }

    pub(super) async fn read_children(
        &self,
        operation: &Operation<'_>,
        watch: bool,
    ) -> Result<Option<Children>> {
        let path = self.absolute(operation.path);
        let request = Request::GetChildren2 { path, watch };
        match self.read(operation, request).await? {
            Some(Response::GetChildren2 { mut names, stat }) => {
                names.sort_unstable();
                Ok(Some(Children { names, stat }))
            }
            Some(_) => Err(operation.mistaken()),
            None => Ok(None),
        }
    }

    pub(super) async fn read_stat(
        &self,
        operation: &Operation<'_>,
        watch: bool,
    ) -> Result<Option<Stat>> {
        let path = self.absolute(operation.path);
        match self
            .read(operation, Request::Exists { path, watch })
            .await?
        {
            Some(Response::Exists(stat)) => Ok(Some(stat)),
            Some(_) => Err(operation.mistaken()),
            None => Ok(None),
        }
    }

    /// The answer to a read; none where there is no node.
    async fn read(&self, operation: &Operation<'_>, request: Request) -> Result<Option<Response>> {
        match self.call(operation, OnLoss::Repeat, request).await? {
            Ok(response) => Ok(Some(response)),
            Err(Refusal::NoNode) => Ok(None),
            Err(refusal) => Err(operation.refused(refusal)),
        }
    }

    async fn create_at(
        &self,
        operation: &Operation<'_>,
        mode: CreateMode,
        data: &[u8],
        on_loss: OnLoss,
    ) -> Result<Result<(), Refusal>> {
        let request = Request::Create(wire::Create {
            path: self.absolute(operation.path),
            data: Some(Bytes::copy_from_slice(data)),
            acl: self.acl(),
            mode,
        });
        Ok(self.call(operation, on_loss, request).await?.map(|_| ()))
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

    fn acl(&self) -> Vec<wire::Acl> {
        match self.config().acl {
            Acl::Open => vec![wire::Acl::anyone(permission::ALL)],
            Acl::Creator => vec![
                wire::Acl::creator(permission::ALL),
                wire::Acl::anyone(permission::READ),
            ],
        }
    }

    fn set_data(&self, path: &str, data: &[u8], version: Option<i32>) -> wire::SetData {
        wire::SetData {
            path: self.absolute(path),
            data: Some(Bytes::copy_from_slice(data)),
            version: version.unwrap_or(ANY_VERSION),
        }
    }

    /// Sends a transaction; the inner error says which step was refused, and why.
    async fn multi(
        &self,
        operation: &Operation<'_>,
        ops: Vec<Op>,
    ) -> Result<Result<Vec<OpResult>, (usize, ErrorCode)>> {
        let answer = self.call(operation, OnLoss::Fail, Request::Multi(ops));
        let results = match answer.await? {
            Ok(Response::Multi(results)) => results,
            Ok(_) => return Err(operation.mistaken()),
            Err(refusal) => return Err(operation.refused(refusal)),
        };
        let mut failed = false;
        for (index, result) in results.iter().enumerate() {
            match result {
                OpResult::Error(Some(ErrorCode::RuntimeInconsistency) | None) => failed = true,
                OpResult::Error(Some(code)) => return Ok(Err((index, *code))),
                _ => {}
            }
        }
        match failed {
            true => Err(operation.unexpected("a failure without a reason")),
            false => Ok(Ok(results)),
        }
    }
}

fn stats(operation: &Operation<'_>, results: Vec<OpResult>, expected: usize) -> Result<SetMany> {
    let stats: Vec<Stat> = results
        .into_iter()
        .filter_map(|result| match result {
            OpResult::SetData(stat) => Some(stat),
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
