use std::fmt;

/// Which request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum OpCode {
    Create,
    Delete,
    Exists,
    GetData,
    SetData,
    GetAcl,
    SetAcl,
    GetChildren,
    Sync,
    Ping,
    GetChildren2,
    Check,
    Multi,
    Auth,
    SetWatches,
    CloseSession,
    /// One that 3.4.6 does not know, or that is not needed here.
    Other(i32),
}

impl From<i32> for OpCode {
    fn from(code: i32) -> Self {
        match code {
            1 => Self::Create,
            2 => Self::Delete,
            3 => Self::Exists,
            4 => Self::GetData,
            5 => Self::SetData,
            6 => Self::GetAcl,
            7 => Self::SetAcl,
            8 => Self::GetChildren,
            9 => Self::Sync,
            11 => Self::Ping,
            12 => Self::GetChildren2,
            13 => Self::Check,
            14 => Self::Multi,
            100 => Self::Auth,
            101 => Self::SetWatches,
            -11 => Self::CloseSession,
            other => Self::Other(other),
        }
    }
}

impl From<OpCode> for i32 {
    fn from(code: OpCode) -> Self {
        match code {
            OpCode::Create => 1,
            OpCode::Delete => 2,
            OpCode::Exists => 3,
            OpCode::GetData => 4,
            OpCode::SetData => 5,
            OpCode::GetAcl => 6,
            OpCode::SetAcl => 7,
            OpCode::GetChildren => 8,
            OpCode::Sync => 9,
            OpCode::Ping => 11,
            OpCode::GetChildren2 => 12,
            OpCode::Check => 13,
            OpCode::Multi => 14,
            OpCode::Auth => 100,
            OpCode::SetWatches => 101,
            OpCode::CloseSession => -11,
            OpCode::Other(other) => other,
        }
    }
}

/// Why a server did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The server met something that it did not expect.
    SystemError,
    /// In a transaction: the write would have been carried out, had not another one failed.
    RuntimeInconsistency,
    /// The server could not read the request.
    MarshallingError,
    /// The server does not know the request. It closes the connection after this answer.
    Unimplemented,
    /// A path, a mode or another argument is none.
    BadArguments,
    /// There is no such node, or no parent for it.
    NoNode,
    /// The node's ACL (or its parent's) does not allow it.
    NoAuth,
    /// The node has another version.
    BadVersion,
    /// The parent is ephemeral.
    NoChildrenForEphemerals,
    /// There is such a node already.
    NodeExists,
    /// The node has children.
    NotEmpty,
    /// The session has expired.
    SessionExpired,
    /// The ACL for a new node is not acceptable.
    InvalidAcl,
    /// The server refuses the identity. It closes the connection after this answer.
    AuthFailed,
    /// The session has been taken over by another connection.
    SessionMoved,
    /// Any other code.
    Other(i32),
}

impl From<i32> for ErrorCode {
    fn from(code: i32) -> Self {
        match code {
            -1 => Self::SystemError,
            -2 => Self::RuntimeInconsistency,
            -5 => Self::MarshallingError,
            -6 => Self::Unimplemented,
            -8 => Self::BadArguments,
            -101 => Self::NoNode,
            -102 => Self::NoAuth,
            -103 => Self::BadVersion,
            -108 => Self::NoChildrenForEphemerals,
            -110 => Self::NodeExists,
            -111 => Self::NotEmpty,
            -112 => Self::SessionExpired,
            -114 => Self::InvalidAcl,
            -115 => Self::AuthFailed,
            -118 => Self::SessionMoved,
            other => Self::Other(other),
        }
    }
}

impl From<ErrorCode> for i32 {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::SystemError => -1,
            ErrorCode::RuntimeInconsistency => -2,
            ErrorCode::MarshallingError => -5,
            ErrorCode::Unimplemented => -6,
            ErrorCode::BadArguments => -8,
            ErrorCode::NoNode => -101,
            ErrorCode::NoAuth => -102,
            ErrorCode::BadVersion => -103,
            ErrorCode::NoChildrenForEphemerals => -108,
            ErrorCode::NodeExists => -110,
            ErrorCode::NotEmpty => -111,
            ErrorCode::SessionExpired => -112,
            ErrorCode::InvalidAcl => -114,
            ErrorCode::AuthFailed => -115,
            ErrorCode::SessionMoved => -118,
            ErrorCode::Other(other) => other,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(code) => write!(f, "error {code}"),
            known => write!(f, "{known:?} ({})", i32::from(*known)),
        }
    }
}
