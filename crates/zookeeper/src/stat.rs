/// What ZooKeeper records about a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// The transaction that created the node. A node that is deleted and created again has another, larger one, so it tells
    /// two owners of the same path apart and serves as fencing token.
    pub czxid: i64,
    /// The transaction that last changed the data.
    pub mzxid: i64,
    /// The transaction that last changed the children.
    pub pzxid: i64,
    /// When the node was created, in milliseconds since the epoch, by the server's clock.
    pub ctime: i64,
    /// When the data was last changed, in milliseconds since the epoch, by the server's clock.
    pub mtime: i64,
    /// How often the data has been changed. Starts at 0 again when the node is created again.
    pub version: i32,
    /// How often the children have changed.
    pub cversion: i32,
    /// How often the ACL has been changed.
    pub aversion: i32,
    /// The session that an ephemeral node belongs to; 0 for a persistent node.
    pub ephemeral_owner: i64,
    /// The length of the data in bytes.
    pub data_length: i32,
    /// How many children the node has.
    pub num_children: i32,
}
