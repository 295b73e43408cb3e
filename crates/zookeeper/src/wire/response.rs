use bytes::Bytes;

use super::acl::{Acl, decode_acl, encode_acl};
use super::code::{ErrorCode, OpCode};
use super::error::DecodeError;
use super::reader::{Reader, Result};
use super::request::{LENGTH, MultiHeader};
use super::writer::Writer;
use crate::stat::Stat;

/// What a server answers to a request that it carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// To [`Request::Create`](super::Request::Create).
    Create {
        /// The node that was created, with its number if it is a sequential one.
        path: String,
    },
    /// To [`Request::SetData`](super::Request::SetData): the node's new stat.
    SetData(Stat),
    /// To [`Request::Exists`](super::Request::Exists).
    Exists(Stat),
    /// To [`Request::GetData`](super::Request::GetData).
    GetData {
        /// The data; null is something else than empty.
        data: Option<Bytes>,
        /// The node's stat.
        stat: Stat,
    },
    /// To [`Request::GetChildren`](super::Request::GetChildren).
    GetChildren {
        /// The children's names, in no particular order.
        names: Vec<String>,
    },
    /// To [`Request::GetChildren2`](super::Request::GetChildren2).
    GetChildren2 {
        /// The children's names, in no particular order.
        names: Vec<String>,
        /// The node's stat.
        stat: Stat,
    },
    /// To [`Request::GetAcl`](super::Request::GetAcl).
    GetAcl {
        /// Who may do what with the node.
        acl: Vec<Acl>,
        /// The node's stat.
        stat: Stat,
    },
    /// To [`Request::SetAcl`](super::Request::SetAcl): the node's new stat.
    SetAcl(Stat),
    /// To [`Request::Sync`](super::Request::Sync).
    Sync {
        /// The path that was asked for.
        path: String,
    },
    /// To [`Request::Multi`](super::Request::Multi): what became of each step. If one of them is an [`OpResult::Error`], all are,
    /// and nothing was done.
    Multi(Vec<OpResult>),
    /// To everything else, of which there is nothing to say.
    Empty,
}

/// What became of a step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResult {
    /// The node was created.
    Create {
        /// Its path, with its number if it is a sequential one.
        path: String,
    },
    /// The node was deleted.
    Delete,
    /// The node's data was set; its new stat.
    SetData(Stat),
    /// The node is there.
    Check,
    /// The transaction failed. The step that is to blame has its reason; those before it have none, and those behind it
    /// [`ErrorCode::RuntimeInconsistency`].
    Error(Option<ErrorCode>),
}

impl Response {
    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Create { path } | Self::Sync { path } => writer.string(path),
            Self::SetData(stat) | Self::SetAcl(stat) | Self::Exists(stat) => writer.stat(stat),
            Self::GetAcl { acl, stat } => {
                encode_acl(acl, writer);
                writer.stat(stat);
            }
            Self::GetData { data, stat } => {
                writer.buffer(data.as_deref());
                writer.stat(stat);
            }
            Self::GetChildren { names } => encode_names(names, writer),
            Self::GetChildren2 { names, stat } => {
                encode_names(names, writer);
                writer.stat(stat);
            }
            Self::Multi(results) => {
                for result in results {
                    result.encode(writer);
                }
                MultiHeader::END.encode(writer);
            }
            Self::Empty => {}
        }
    }

    /// Reads the answer to a request of that kind.
    pub(super) fn decode(code: OpCode, reader: &mut Reader) -> Result<Self> {
        Ok(match code {
            OpCode::Create => Self::Create {
                path: reader.string("a path")?,
            },
            OpCode::SetData => Self::SetData(reader.stat()?),
            OpCode::SetAcl => Self::SetAcl(reader.stat()?),
            OpCode::GetAcl => Self::GetAcl {
                acl: decode_acl(reader)?,
                stat: reader.stat()?,
            },
            OpCode::Exists => Self::Exists(reader.stat()?),
            OpCode::GetData => Self::GetData {
                data: reader.buffer("data")?,
                stat: reader.stat()?,
            },
            OpCode::GetChildren => Self::GetChildren {
                names: decode_names(reader)?,
            },
            OpCode::GetChildren2 => Self::GetChildren2 {
                names: decode_names(reader)?,
                stat: reader.stat()?,
            },
            OpCode::Sync => Self::Sync {
                path: reader.string_or_empty("a path")?,
            },
            OpCode::Multi => Self::Multi(decode_results(reader)?),
            OpCode::Delete
            | OpCode::Ping
            | OpCode::Check
            | OpCode::Auth
            | OpCode::SetWatches
            | OpCode::CloseSession
            | OpCode::Other(_) => Self::Empty,
        })
    }
}

fn encode_names(names: &[String], writer: &mut Writer<'_>) {
    writer.vector(names, |writer, name| writer.string(name));
}

fn decode_names(reader: &mut Reader) -> Result<Vec<String>> {
    reader.vector("a list of children", LENGTH, Reader::name)
}

impl OpResult {
    fn encode(&self, writer: &mut Writer<'_>) {
        let head = |code| MultiHeader::of(code, 0);
        match self {
            Self::Create { path } => {
                head(OpCode::Create).encode(writer);
                writer.string(path);
            }
            Self::Delete => head(OpCode::Delete).encode(writer),
            Self::SetData(stat) => {
                head(OpCode::SetData).encode(writer);
                writer.stat(stat);
            }
            Self::Check => head(OpCode::Check).encode(writer),
            Self::Error(code) => {
                let code = code.map_or(0, i32::from);
                MultiHeader::of(OpCode::Other(MultiHeader::ERROR), code).encode(writer);
                writer.i32(code);
            }
        }
    }
}

fn decode_results(reader: &mut Reader) -> Result<Vec<OpResult>> {
    let mut results = Vec::new();
    loop {
        let header = MultiHeader::decode(reader)?;
        if header.done {
            return Ok(results);
        }
        results.push(match OpCode::from(header.code) {
            OpCode::Create => OpResult::Create {
                path: reader.string("a path")?,
            },
            OpCode::Delete => OpResult::Delete,
            OpCode::SetData => OpResult::SetData(reader.stat()?),
            OpCode::Check => OpResult::Check,
            OpCode::Other(MultiHeader::ERROR) => {
                OpResult::Error(match reader.i32("the reason why a transaction failed")? {
                    0 => None,
                    code => Some(code.into()),
                })
            }
            other => {
                return Err(DecodeError::Unknown {
                    what: "result of a transaction's step",
                    value: other.into(),
                });
            }
        });
    }
}
