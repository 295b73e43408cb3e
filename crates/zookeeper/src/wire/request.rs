use bytes::Bytes;

use super::acl::{Acl, SetAcl, decode_acl, encode_acl};
use super::code::OpCode;
use super::error::DecodeError;
use super::reader::{Reader, Result};
use super::writer::Writer;
use crate::secret::Secret;

/// The version that stands for any.
pub const ANY_VERSION: i32 = -1;

/// What a client asks for. Paths begin at the root of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Creates a node.
    Create(Create),
    /// Deletes a node.
    Delete(Delete),
    /// Sets a node's data.
    SetData(SetData),
    /// Asks for a node's stat.
    Exists {
        /// The node.
        path: String,
        /// Whether to tell of its creation, deletion or change.
        watch: bool,
    },
    /// Asks for a node's data and stat.
    GetData {
        /// The node.
        path: String,
        /// Whether to tell of its deletion or change; not where there is no such node.
        watch: bool,
    },
    /// Asks for the names of a node's children.
    GetChildren {
        /// The node.
        path: String,
        /// Whether to tell of its deletion, and of children that come and go.
        watch: bool,
    },
    /// Asks for the names of a node's children, and its stat.
    GetChildren2 {
        /// The node.
        path: String,
        /// Whether to tell of its deletion, and of children that come and go.
        watch: bool,
    },
    /// Asks who may do what with a node.
    GetAcl {
        /// The node.
        path: String,
    },
    /// Says who may do what with a node.
    SetAcl(SetAcl),
    /// Makes the server catch up with the leader.
    Sync {
        /// Any path.
        path: String,
    },
    /// Keeps the session alive.
    Ping,
    /// Carries out several writes, or none of them.
    Multi(Vec<Op>),
    /// Adds an identity to the connection.
    Auth(Auth),
    /// Sets watches again that a former connection had.
    SetWatches(SetWatches),
    /// Ends the session; its ephemeral nodes go.
    CloseSession,
    /// Anything else: a request that is not known here, or one whose body cannot be read. A server answers the one with
    /// [`Unimplemented`](super::ErrorCode::Unimplemented) and the other with
    /// [`MarshallingError`](super::ErrorCode::MarshallingError).
    Other {
        /// Which request it says it is.
        code: OpCode,
        /// Its body.
        body: Bytes,
    },
}

/// Creates a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// The node; for a sequential one, what comes before the number.
    pub path: String,
    /// Its data; null is something else than empty.
    pub data: Option<Bytes>,
    /// Who may do what with it.
    pub acl: Vec<Acl>,
    /// What becomes of it.
    pub mode: CreateMode,
}

/// What becomes of a node that is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CreateMode {
    /// It stays.
    Persistent,
    /// It goes with its session.
    Ephemeral,
    /// It stays, and its name ends with a number.
    PersistentSequential,
    /// It goes with its session, and its name ends with a number.
    EphemeralSequential,
}

/// Deletes a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// The node.
    pub path: String,
    /// The version that it must have, or [`ANY_VERSION`].
    pub version: i32,
}

/// Sets a node's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetData {
    /// The node.
    pub path: String,
    /// The data; null is something else than empty.
    pub data: Option<Bytes>,
    /// The version that it must have, or [`ANY_VERSION`].
    pub version: i32,
}

/// In a transaction: a node must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The node.
    pub path: String,
    /// The version that it must have, or [`ANY_VERSION`].
    pub version: i32,
}

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Creates a node.
    Create(Create),
    /// Deletes a node.
    Delete(Delete),
    /// Sets a node's data.
    SetData(SetData),
    /// Changes nothing.
    Check(Check),
}

/// An identity. It goes over the network as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// How it is known: `digest`, ….
    pub scheme: String,
    /// For `digest`: `user:password`.
    pub data: Secret,
}

/// Watches that a former connection had. What was changed since [`SetWatches::last_zxid`] is told at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetWatches {
    /// The newest transaction that the client has seen of.
    pub last_zxid: i64,
    /// Nodes whose data is watched.
    pub data: Vec<String>,
    /// Nodes whose creation is watched.
    pub exist: Vec<String>,
    /// Nodes whose children are watched.
    pub child: Vec<String>,
}

/// A string, a vector or a buffer takes at least its length.
pub(super) const LENGTH: usize = 4;

impl Request {
    /// Which request it is.
    pub fn code(&self) -> OpCode {
        match self {
            Self::Create(_) => OpCode::Create,
            Self::Delete(_) => OpCode::Delete,
            Self::SetData(_) => OpCode::SetData,
            Self::Exists { .. } => OpCode::Exists,
            Self::GetData { .. } => OpCode::GetData,
            Self::GetChildren { .. } => OpCode::GetChildren,
            Self::GetChildren2 { .. } => OpCode::GetChildren2,
            Self::GetAcl { .. } => OpCode::GetAcl,
            Self::SetAcl(_) => OpCode::SetAcl,
            Self::Sync { .. } => OpCode::Sync,
            Self::Ping => OpCode::Ping,
            Self::Multi(_) => OpCode::Multi,
            Self::Auth(_) => OpCode::Auth,
            Self::SetWatches(_) => OpCode::SetWatches,
            Self::CloseSession => OpCode::CloseSession,
            Self::Other { code, .. } => *code,
        }
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Create(create) => create.encode(writer),
            Self::Delete(delete) => delete.encode(writer),
            Self::SetData(set) => set.encode(writer),
            Self::Exists { path, watch }
            | Self::GetData { path, watch }
            | Self::GetChildren { path, watch }
            | Self::GetChildren2 { path, watch } => {
                writer.string(path);
                writer.bool(*watch);
            }
            Self::GetAcl { path } | Self::Sync { path } => writer.string(path),
            Self::SetAcl(set) => set.encode(writer),
            Self::Ping | Self::CloseSession => {}
            Self::Multi(ops) => {
                for op in ops {
                    op.encode(writer);
                }
                MultiHeader::END.encode(writer);
            }
            Self::Auth(auth) => {
                writer.i32(0);
                writer.string(&auth.scheme);
                writer.buffer(Some(auth.data.reveal()));
            }
            Self::SetWatches(watches) => {
                writer.i64(watches.last_zxid);
                for paths in [&watches.data, &watches.exist, &watches.child] {
                    writer.vector(paths, |writer, path| writer.string(path));
                }
            }
            Self::Other { body, .. } => writer.raw(body),
        }
    }

    /// Never fails: what cannot be read is [`Request::Other`], and the server's to answer.
    pub(super) fn decode(code: OpCode, body: Bytes) -> Self {
        match Self::decode_known(code, &mut Reader::new(body.clone())) {
            Ok(request) => request,
            Err(_) => Self::Other { code, body },
        }
    }

    fn decode_known(code: OpCode, reader: &mut Reader) -> Result<Self> {
        Ok(match code {
            OpCode::Create => Self::Create(Create::decode(reader)?),
            OpCode::Delete => Self::Delete(Delete::decode(reader)?),
            OpCode::SetData => Self::SetData(SetData::decode(reader)?),
            OpCode::Exists => {
                let (path, watch) = read(reader)?;
                Self::Exists { path, watch }
            }
            OpCode::GetData => {
                let (path, watch) = read(reader)?;
                Self::GetData { path, watch }
            }
            OpCode::GetChildren => {
                let (path, watch) = read(reader)?;
                Self::GetChildren { path, watch }
            }
            OpCode::GetChildren2 => {
                let (path, watch) = read(reader)?;
                Self::GetChildren2 { path, watch }
            }
            OpCode::GetAcl => Self::GetAcl {
                path: reader.string("a path")?,
            },
            OpCode::SetAcl => Self::SetAcl(SetAcl::decode(reader)?),
            OpCode::Sync => Self::Sync {
                path: reader.string("a path")?,
            },
            OpCode::Ping => Self::Ping,
            OpCode::Multi => Self::Multi(decode_ops(reader)?),
            OpCode::Auth => {
                reader.i32("the type of an identity")?;
                let scheme = reader.string("the scheme of an identity")?;
                let data = Secret::new(reader.buffer("an identity")?.unwrap_or_default());
                Self::Auth(Auth { scheme, data })
            }
            OpCode::SetWatches => Self::SetWatches(SetWatches {
                last_zxid: reader.i64("the last zxid")?,
                data: paths(reader)?,
                exist: paths(reader)?,
                child: paths(reader)?,
            }),
            OpCode::CloseSession => Self::CloseSession,
            OpCode::Check | OpCode::Other(_) => return Err(unknown(code)),
        })
    }
}

fn read(reader: &mut Reader) -> Result<(String, bool)> {
    Ok((reader.string("a path")?, reader.bool("the watch flag")?))
}

fn paths(reader: &mut Reader) -> Result<Vec<String>> {
    reader.vector("watched paths", LENGTH, |reader| reader.string("a path"))
}

fn unknown(code: OpCode) -> DecodeError {
    DecodeError::Unknown {
        what: "request",
        value: code.into(),
    }
}

impl Create {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.string(&self.path);
        writer.buffer(self.data.as_deref());
        encode_acl(&self.acl, writer);
        writer.i32(match self.mode {
            CreateMode::Persistent => 0,
            CreateMode::Ephemeral => 1,
            CreateMode::PersistentSequential => 2,
            CreateMode::EphemeralSequential => 3,
        });
    }

    fn decode(reader: &mut Reader) -> Result<Self> {
        Ok(Self {
            path: reader.string("a path")?,
            data: reader.buffer("data")?,
            acl: decode_acl(reader)?,
            mode: {
                let what = "mode of a node";
                match reader.i32(what)? {
                    0 => CreateMode::Persistent,
                    1 => CreateMode::Ephemeral,
                    2 => CreateMode::PersistentSequential,
                    3 => CreateMode::EphemeralSequential,
                    value => return Err(DecodeError::Unknown { what, value }),
                }
            },
        })
    }
}

impl Delete {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.string(&self.path);
        writer.i32(self.version);
    }

    fn decode(reader: &mut Reader) -> Result<Self> {
        Ok(Self {
            path: reader.string("a path")?,
            version: reader.i32("a version")?,
        })
    }
}

impl SetData {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.string(&self.path);
        writer.buffer(self.data.as_deref());
        writer.i32(self.version);
    }

    fn decode(reader: &mut Reader) -> Result<Self> {
        Ok(Self {
            path: reader.string("a path")?,
            data: reader.buffer("data")?,
            version: reader.i32("a version")?,
        })
    }
}

impl Check {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.string(&self.path);
        writer.i32(self.version);
    }

    fn decode(reader: &mut Reader) -> Result<Self> {
        Ok(Self {
            path: reader.string("a path")?,
            version: reader.i32("a version")?,
        })
    }
}

impl Op {
    /// Which request it is.
    pub fn code(&self) -> OpCode {
        match self {
            Self::Create(_) => OpCode::Create,
            Self::Delete(_) => OpCode::Delete,
            Self::SetData(_) => OpCode::SetData,
            Self::Check(_) => OpCode::Check,
        }
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        MultiHeader::of(self.code(), -1).encode(writer);
        match self {
            Self::Create(create) => create.encode(writer),
            Self::Delete(delete) => delete.encode(writer),
            Self::SetData(set) => set.encode(writer),
            Self::Check(check) => check.encode(writer),
        }
    }
}

fn decode_ops(reader: &mut Reader) -> Result<Vec<Op>> {
    let mut ops = Vec::new();
    loop {
        let header = MultiHeader::decode(reader)?;
        if header.done {
            return Ok(ops);
        }
        ops.push(match OpCode::from(header.code) {
            OpCode::Create => Op::Create(Create::decode(reader)?),
            OpCode::Delete => Op::Delete(Delete::decode(reader)?),
            OpCode::SetData => Op::SetData(SetData::decode(reader)?),
            OpCode::Check => Op::Check(Check::decode(reader)?),
            other => return Err(unknown(other)),
        });
    }
}

/// What stands before each step of a transaction and before each of its results, and at the end.
pub(super) struct MultiHeader {
    pub(super) code: i32,
    pub(super) done: bool,
    error: i32,
}

impl MultiHeader {
    pub(super) const ERROR: i32 = -1;
    pub(super) const END: Self = Self {
        code: -1,
        done: true,
        error: -1,
    };

    pub(super) fn of(code: OpCode, error: i32) -> Self {
        Self {
            code: code.into(),
            done: false,
            error,
        }
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        writer.i32(self.code);
        writer.bool(self.done);
        writer.i32(self.error);
    }

    pub(super) fn decode(reader: &mut Reader) -> Result<Self> {
        let what = "the head of a transaction's step";
        Ok(Self {
            code: reader.i32(what)?,
            done: reader.bool(what)?,
            error: reader.i32(what)?,
        })
    }
}
