//! Who may do what with a node, and how that is asked for and said.

use super::reader::{Reader, Result};
use super::request::LENGTH;
use super::writer::Writer;

/// What an ACL can allow; bits of [`Acl::permissions`].
#[allow(missing_docs)]
pub mod permission {
    pub const READ: i32 = 1;
    pub const WRITE: i32 = 2;
    pub const CREATE: i32 = 4;
    pub const DELETE: i32 = 8;
    pub const ADMIN: i32 = 16;
    pub const ALL: i32 = 31;
}

/// Who may do what with a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    /// What they may do; see [`permission`].
    pub permissions: i32,
    /// How they are known: `world`, `auth`, `digest`, ….
    pub scheme: String,
    /// Who they are.
    pub id: String,
}

impl Acl {
    /// Everybody.
    pub fn anyone(permissions: i32) -> Self {
        Self {
            permissions,
            scheme: "world".to_owned(),
            id: "anyone".to_owned(),
        }
    }

    /// Whoever creates the node, by the identities of their connection.
    pub fn creator(permissions: i32) -> Self {
        Self {
            permissions,
            scheme: "auth".to_owned(),
            id: String::new(),
        }
    }
}

/// Says who may do what with a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAcl {
    /// The node.
    pub path: String,
    /// Who may do what with it from now on.
    pub acl: Vec<Acl>,
    /// The version that its list must have ([`Stat::aversion`](crate::Stat::aversion)), or [`ANY_VERSION`](super::ANY_VERSION).
    pub version: i32,
}

impl SetAcl {
    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        writer.string(&self.path);
        encode_acl(&self.acl, writer);
        writer.i32(self.version);
    }

    pub(super) fn decode(reader: &mut Reader) -> Result<Self> {
        Ok(Self {
            path: reader.string("a path")?,
            acl: decode_acl(reader)?,
            version: reader.i32("a version")?,
        })
    }
}

pub(super) fn encode_acl(acl: &[Acl], writer: &mut Writer<'_>) {
    writer.vector(acl, |writer, acl| {
        writer.i32(acl.permissions);
        writer.string(&acl.scheme);
        writer.string(&acl.id);
    });
}

pub(super) fn decode_acl(reader: &mut Reader) -> Result<Vec<Acl>> {
    reader.vector("an ACL", 3 * LENGTH, |reader| {
        Ok(Acl {
            permissions: reader.i32("the permissions of an ACL")?,
            scheme: reader.string("the scheme of an ACL")?,
            // kazoo sends null for empty.
            id: reader.string_or_empty("the identity of an ACL")?,
        })
    })
}
