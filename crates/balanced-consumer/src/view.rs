use std::collections::BTreeSet;
use std::sync::Arc;

use crate::assignor::{GroupMembers, TopicPartitions};

/// What one consistent look at ZooKeeper showed of a group.
///
/// Whoever reads it sets the watches together with the reads, so that nothing changes unnoticed after the look: the children of
/// `ids`, the data of the subscribed topics (of all topics, for white and black lists) and their existence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The members whose registrations Java can parse, this one included.
    pub members: GroupMembers,
    /// The children of `ids` that Java cannot parse. While there is one, no member of the group computes an assignment.
    pub poison: Vec<PoisonMember>,
    /// The paths of the children of `ids` without data: members that create their node first and fill it afterwards.
    pub registering: Vec<String>,
    /// The paths of registrations in another dialect, which take no part and do no harm to those who read the view.
    pub misplaced: Vec<String>,
    /// The topics that exist, at least those that this member subscribes, with their partitions.
    pub partitions: TopicPartitions,
    /// What has become of this member's own registration.
    pub registration: OwnRegistration,
    /// Those of the members that are divvy's, as far as they say so.
    pub ours: BTreeSet<Arc<str>>,
    /// The `pzxid` of `ids`: the transaction in which the last member came or went.
    pub ids_zxid: i64,
}

/// The state of a member's own node below `ids`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OwnRegistration {
    /// It is there and its `ephemeralOwner` is the present session.
    Ours,
    /// It is there, but belongs to another session: one of this member's earlier ones, or a member with the same id.
    Foreign,
    /// It is not there.
    #[default]
    Missing,
}

/// A child of `ids` that stops every Java member of the group from computing an assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoisonMember {
    /// The path of the node.
    pub node: String,
    /// Its data as text, shortened to what a report can bear.
    pub data: String,
    /// What the data tells about who wrote it.
    pub kind: PoisonKind,
}

/// Who wrote a registration that Java cannot parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PoisonKind {
    /// A PyKafka member: its data is the bare name of a topic.
    PyKafka,
    /// Something that is no registration at all.
    Garbage,
}
