use crate::stat::Stat;

/// A node that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its data. Null data, which Java writes into the parents of a group's nodes, reads as empty.
    pub data: Vec<u8>,
    /// What ZooKeeper records about it.
    pub stat: Stat,
}

/// The children of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Children {
    /// Their names, sorted.
    pub names: Vec<String>,
    /// What ZooKeeper records about their parent.
    pub stat: Stat,
}

/// The outcome of [`Session::create_ephemeral`](crate::Session::create_ephemeral).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Create {
    /// The node is there, belongs to this session and has the data asked for.
    Created(Stat),
    /// Somebody else's node is there, or one of this session with other data.
    Exists(Node),
}

/// The outcome of [`Session::create_persistent`](crate::Session::create_persistent).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreatePersistent {
    /// The node was created.
    Created,
    /// A node is there already; its data was left alone.
    Exists,
}

/// The outcome of [`Session::set`](crate::Session::set).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// The data was set; the node's new stat.
    Done(Stat),
    /// The node has another version than was asked for.
    BadVersion,
    /// There is no such node.
    NoNode,
}

/// The outcome of [`Session::delete`](crate::Session::delete).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delete {
    /// The node was deleted.
    Done,
    /// The node has another version than was asked for.
    BadVersion,
    /// There is no such node.
    NoNode,
    /// The node has children.
    NotEmpty,
}

/// The outcome of [`Session::delete_checked`](crate::Session::delete_checked). Unless it is [`DeleteChecked::Done`], nothing was
/// done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteChecked {
    /// The node was deleted.
    Done,
    /// The node that was checked has another version than was asked for.
    CheckBadVersion,
    /// There is no node to be checked.
    CheckNoNode,
    /// The node to be deleted has another version than was asked for.
    BadVersion,
    /// There is no node to be deleted.
    NoNode,
    /// The node to be deleted has children.
    NotEmpty,
}

/// One write of [`Session::set_many`](crate::Session::set_many).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetData {
    /// The node.
    pub path: String,
    /// Its new data.
    pub data: Vec<u8>,
    /// The version that it must have; `None` for any.
    pub version: Option<i32>,
}

/// The outcome of [`Session::set_many`](crate::Session::set_many).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetMany {
    /// Everything was written; the nodes' new stats, in the order of the writes.
    Done(Vec<Stat>),
    /// Nothing was written, because this write (the first of possibly several) met another version.
    BadVersion {
        /// Which write.
        index: usize,
    },
    /// Nothing was written, because there is no node for this write (the first of possibly several).
    NoNode {
        /// Which write.
        index: usize,
    },
}
