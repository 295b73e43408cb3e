//! Checks a write against the leader's tree, and says what it will change.

use std::borrow::Cow;
use std::collections::BTreeMap;

use divvy_zookeeper::wire::{
    ANY_VERSION, Acl, Create, CreateMode, Delete, ErrorCode, Op, SetAcl, permission,
};

use super::acl::{self, Identity};
use super::transaction::Change;
use super::tree::{Tree, is_special, parent_of};

/// What later operations of the same request must know of a node that earlier ones change.
#[derive(Clone, Debug)]
struct Record<'a> {
    version: i32,
    creations: i32,
    child_count: i32,
    ephemeral_owner: i64,
    acl: Cow<'a, [Acl]>,
}

/// Who asks for a write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<'a> {
    pub(super) session: i64,
    pub(super) identities: &'a [Identity],
}

/// The tree as it will be after the operations so far.
struct Pending<'a> {
    tree: &'a Tree,
    asker: Asker<'a>,
    changed: BTreeMap<String, Option<Record<'a>>>,
}

/// One write on its own; a refusal is a change too.
pub(super) fn single(tree: &Tree, asker: Asker<'_>, op: &Op) -> Change {
    let mut pending = Pending::new(tree, asker);
    pending.prepare(op).unwrap_or_else(Change::Failed)
}

/// Several writes that happen together or not at all. In a multi that fails, the operations before the one that is to blame carry
/// no error, and those after it say that they were not tried.
pub(super) fn multi(tree: &Tree, asker: Asker<'_>, ops: &[Op]) -> Change {
    let mut pending = Pending::new(tree, asker);
    let mut changes = Vec::with_capacity(ops.len());
    for op in ops {
        match pending.prepare(op) {
            Ok(change) => changes.push(change),
            Err(error) => {
                let rest = ops.len() - changes.len() - 1;
                let before = vec![Change::Undone; changes.len()];
                let after = vec![Change::Failed(ErrorCode::RuntimeInconsistency); rest];
                return Change::Multi([before, vec![Change::Failed(error)], after].concat());
            }
        }
    }
    Change::Multi(changes)
}

/// Another list of who may do what with a node.
pub(super) fn set_acl(tree: &Tree, asker: Asker<'_>, set: &SetAcl) -> Change {
    let prepare = || {
        let acl = acl::resolve(&set.acl, asker.identities)?;
        let node = tree.get(&set.path).ok_or(ErrorCode::NoNode)?;
        acl::check(&node.acl, permission::ADMIN, asker.identities)?;
        if ![ANY_VERSION, node.acl_version].contains(&set.version) {
            return Err(ErrorCode::BadVersion);
        }
        Ok(Change::SetAcl {
            path: set.path.clone(),
            acl,
            version: node.acl_version.wrapping_add(1),
        })
    };
    prepare().unwrap_or_else(Change::Failed)
}

impl<'a> Pending<'a> {
    fn new(tree: &'a Tree, asker: Asker<'a>) -> Self {
        Self {
            tree,
            asker,
            changed: BTreeMap::new(),
        }
    }

    fn record(&self, path: &str) -> Result<Record<'a>, ErrorCode> {
        if let Some(changed) = self.changed.get(path) {
            return changed.clone().ok_or(ErrorCode::NoNode);
        }
        let node = self.tree.get(path).ok_or(ErrorCode::NoNode)?;
        Ok(Record {
            version: node.version,
            creations: node.creations,
            child_count: node.child_count(),
            ephemeral_owner: node.ephemeral_owner,
            acl: Cow::Borrowed(&node.acl),
        })
    }

    fn note(&mut self, path: &str, record: Option<Record<'a>>) {
        self.changed.insert(path.to_owned(), record);
    }

    fn check(&self, record: &Record<'_>, permission: i32) -> Result<(), ErrorCode> {
        acl::check(&record.acl, permission, self.asker.identities)
    }

    fn prepare(&mut self, op: &Op) -> Result<Change, ErrorCode> {
        match op {
            Op::Create(create) => self.create(create),
            Op::Delete(delete) => self.delete(delete),
            Op::SetData(set) => {
                let mut record = self.record(&set.path)?;
                self.check(&record, permission::WRITE)?;
                expect_version(&record, set.version)?;
                let version = record.version.wrapping_add(1);
                record.version = version;
                self.note(&set.path, Some(record));
                Ok(Change::SetData {
                    path: set.path.clone(),
                    data: set.data.clone(),
                    version,
                })
            }
            Op::Check(check) => {
                let record = self.record(&check.path)?;
                self.check(&record, permission::READ)?;
                expect_version(&record, check.version)?;
                Ok(Change::Check)
            }
        }
    }

    fn create(&mut self, create: &Create) -> Result<Change, ErrorCode> {
        let Create {
            path,
            data,
            acl,
            mode,
        } = create;
        if !path.contains('/') || path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let acl = acl::resolve(acl, self.asker.identities)?;
        let parent_path = parent_of(path);
        let mut parent = self.record(parent_path)?;
        self.check(&parent, permission::CREATE)?;
        let mut path = path.clone();
        if is_sequential(*mode) {
            path.push_str(&format!("{:010}", parent.creations));
        }
        if !is_valid(&path) {
            return Err(ErrorCode::BadArguments);
        }
        if self.record(&path).is_ok() {
            return Err(ErrorCode::NodeExists);
        }
        if parent.ephemeral_owner != 0 {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        parent.creations = parent.creations.wrapping_add(1);
        parent.child_count += 1;
        let creations = parent.creations;
        let session = self.asker.session;
        let created = Record {
            version: 0,
            creations: 0,
            child_count: 0,
            ephemeral_owner: if is_ephemeral(*mode) { session } else { 0 },
            acl: Cow::Owned(acl.clone()),
        };
        self.note(parent_path, Some(parent));
        self.note(&path, Some(created));
        Ok(Change::Create {
            path,
            data: data.clone(),
            acl,
            is_ephemeral: is_ephemeral(*mode),
            creations,
        })
    }

    fn delete(&mut self, delete: &Delete) -> Result<Change, ErrorCode> {
        let Delete { path, version } = delete;
        if !path.contains('/') || path.contains('\0') || is_special(path) {
            return Err(ErrorCode::BadArguments);
        }
        let parent_path = parent_of(path);
        let mut parent = self.record(parent_path)?;
        let record = self.record(path)?;
        self.check(&parent, permission::DELETE)?;
        expect_version(&record, *version)?;
        if record.child_count > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        parent.child_count -= 1;
        self.note(parent_path, Some(parent));
        self.note(path, None);
        Ok(Change::Delete { path: path.clone() })
    }
}

fn expect_version(record: &Record<'_>, version: i32) -> Result<(), ErrorCode> {
    match version == ANY_VERSION || version == record.version {
        true => Ok(()),
        false => Err(ErrorCode::BadVersion),
    }
}

fn is_ephemeral(mode: CreateMode) -> bool {
    matches!(
        mode,
        CreateMode::Ephemeral | CreateMode::EphemeralSequential
    )
}

fn is_sequential(mode: CreateMode) -> bool {
    matches!(
        mode,
        CreateMode::PersistentSequential | CreateMode::EphemeralSequential
    )
}

/// The rules for paths of ZooKeeper's `PathUtils.validatePath`, which looks at UTF-16 code units.
fn is_valid(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    let is_name = |name: &str| !name.is_empty() && name != "." && name != "..";
    rest.is_empty() || (rest.split('/').all(is_name) && !path.contains(is_forbidden))
}

fn is_forbidden(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1e}' | '\u{80}'..='\u{9e}' | '\u{e000}'..='\u{f8fe}' | '\u{fff1}'..='\u{fffe}' | '\u{10000}'..
    )
}
