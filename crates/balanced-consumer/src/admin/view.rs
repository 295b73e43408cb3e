//! What a group looks like at one moment, and what follows from that alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use divvy_protocol::TopicPartition;
use divvy_zookeeper::paths;

use crate::assignor::Subscription;

/// A group as it was found: its members, its partitions, and how far each was read.
///
/// It is read while the group works. What changes meanwhile may be seen half, so that an oddity counts when a second look, some
/// seconds later, shows it as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupView {
    /// The name of the group. Kafka: `group.id`; PyKafka: `consumer_group`.
    pub group: String,
    /// The registered members, in the order of their ids.
    pub members: Vec<GroupMember>,
    /// The partitions of every topic that the group subscribes, owns or has stored offsets of.
    pub partitions: BTreeMap<TopicPartition, PartitionView>,
    /// Topics of the group that do not exist.
    pub missing_topics: BTreeSet<Arc<str>>,
    /// The nodes that could not be read because their ACL forbids it. What is below them is missing here.
    pub forbidden: Vec<String>,
    /// How long each leader took to say where its logs end, which is a trifle for a broker that is well.
    pub answered_in: BTreeMap<i32, Duration>,
}

/// A node below `ids`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMember {
    /// The name of the node.
    pub consumer_id: String,
    /// Who wrote it.
    pub kind: MemberKind,
    /// The host that its id names, where it names one.
    pub host: Option<String>,
    /// When it registered, in milliseconds since 1970 by the clock of the ZooKeeper server.
    pub registered_ms: i64,
    /// What it subscribes, each topic with its number of streams. White and black lists are evaluated.
    pub subscription: Subscription,
    /// Whether Kafka's own consumer can read the registration.
    pub readable_by_java: bool,
    /// The data of the node as text, shortened to what a report can bear.
    pub data: String,
}

/// Who wrote a registration, as far as it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MemberKind {
    /// Kafka's own high-level consumer, or another client that follows its contract.
    Java,
    /// A divvy member in [dialect Java](crate::Dialect::Java).
    Divvy,
    /// A PyKafka member.
    PyKafka,
    /// A divvy member in [dialect PyKafka](crate::Dialect::PyKafka).
    DivvyAsPyKafka,
    /// A node without data: some clients create it first and fill it afterwards.
    Registering,
    /// Nothing that any known client writes.
    Garbage,
}

/// A partition of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionView {
    /// The broker that leads it; none while there is none.
    pub leader: Option<i32>,
    /// The brokers that hold it.
    pub replicas: Vec<i32>,
    /// The owner nodes: one, if all is well.
    pub claims: Vec<Claim>,
    /// What is stored in ZooKeeper.
    pub in_zookeeper: Option<StoredOffset>,
    /// What is stored in Kafka.
    pub in_kafka: Option<i64>,
    /// The text of the offset's node in ZooKeeper, where it is no offset.
    pub no_offset: Option<String>,
    /// The version of that node, where there is one.
    pub(super) offset_version: Option<i32>,
    /// The first offset that the log holds; none if that could not be found out.
    pub log_start: Option<i64>,
    /// The offset that the next message will get; none if that could not be found out.
    pub log_end: Option<i64>,
    /// Why something of it is not known.
    pub trouble: Option<String>,
}

/// An owner node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// Its path.
    pub node: String,
    /// What its owner wrote: `<consumer id>-<thread>`, or the bare id in PyKafka's dialect.
    pub owner: String,
    /// The session that it lives by; 0 for a node that does not go with any.
    pub session: i64,
    /// When it was created, in milliseconds since 1970 by the clock of the ZooKeeper server.
    pub since_ms: i64,
}

/// An offset in ZooKeeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredOffset {
    /// The offset of the next message to read.
    pub offset: i64,
    /// When it was stored, in milliseconds since 1970 by the clock of the ZooKeeper server.
    pub stored_ms: i64,
}

impl MemberKind {
    /// Whether the registration follows the contract of Kafka's own consumer.
    pub fn is_java_dialect(self) -> bool {
        matches!(self, Self::Java | Self::Divvy)
    }

    /// Whether the registration follows PyKafka's contract.
    pub fn is_pykafka_dialect(self) -> bool {
        matches!(self, Self::PyKafka | Self::DivvyAsPyKafka)
    }

    /// The name for tables and JSON: `java`, `divvy`, `pykafka`, `divvy-pykafka`, `registering` or `garbage`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Java => "java",
            Self::Divvy => "divvy",
            Self::PyKafka => "pykafka",
            Self::DivvyAsPyKafka => "divvy-pykafka",
            Self::Registering => "registering",
            Self::Garbage => "garbage",
        }
    }
}

impl GroupMember {
    /// Whether the text of an owner node is this member's.
    pub fn wrote(&self, owner: &str) -> bool {
        let rest = owner.strip_prefix(self.consumer_id.as_str());
        rest.is_some_and(|rest| {
            let thread = rest.strip_prefix('-').map(str::parse::<u32>);
            rest.is_empty() || matches!(thread, Some(Ok(_)))
        })
    }
}

impl PartitionView {
    /// The offset that counts: Kafka's where there is one, otherwise ZooKeeper's, as for Kafka's `ConsumerOffsetChecker`.
    pub fn committed(&self) -> Option<i64> {
        let in_zookeeper = self.in_zookeeper.map(|stored| stored.offset);
        self.in_kafka.or(in_zookeeper)
    }

    /// How many messages are not finished; negative for an offset beyond the log. None where offset or log are not known.
    pub fn lag(&self) -> Option<i64> {
        Some(self.log_end?.saturating_sub(self.committed()?))
    }

    /// The text of the first owner node.
    pub fn owner(&self) -> Option<&str> {
        self.claims.first().map(|claim| claim.owner.as_str())
    }
}

impl GroupView {
    /// Whether anybody is registered.
    pub fn is_live(&self) -> bool {
        !self.members.is_empty()
    }

    /// Whether there is any trace of the group.
    pub fn is_known(&self) -> bool {
        let stored = |partition: &PartitionView| {
            partition.committed().is_some()
                || partition.no_offset.is_some()
                || !partition.claims.is_empty()
        };
        self.is_live() || !self.forbidden.is_empty() || self.partitions.values().any(stored)
    }

    /// The member that wrote the text of an owner node, if it is registered.
    pub fn member(&self, owner: &str) -> Option<&GroupMember> {
        self.members.iter().find(|member| member.wrote(owner))
    }

    /// The members beside which no member that follows Java's rules can own anything: PyKafka's, and registrations that Kafka's
    /// own consumer cannot read. None in a group without members in dialect Java.
    pub fn poisoning(&self) -> Vec<&GroupMember> {
        let mut members = self.members.iter();
        if !members.any(|member| member.kind.is_java_dialect()) {
            return Vec::new();
        }
        let poisons = |member: &&GroupMember| {
            !member.readable_by_java && member.kind != MemberKind::Registering
        };
        self.members.iter().filter(poisons).collect()
    }

    /// How many streams of living members share a topic.
    pub fn streams(&self, topic: &str) -> u64 {
        let subscribed = |member: &GroupMember| member.subscription.get(topic).copied();
        let streams = self.members.iter().filter_map(subscribed);
        streams.map(u64::from).sum()
    }

    /// The partitions that nobody owns although a living member subscribes their topic.
    pub fn orphans(&self) -> Vec<&TopicPartition> {
        let unowned = self
            .partitions
            .iter()
            .filter(|(tp, partition)| partition.claims.is_empty() && self.streams(&tp.topic) > 0);
        unowned.map(|(tp, _)| tp).collect()
    }

    /// The sum of what is not finished, and how many partitions are not in it because their offset or log is not known.
    pub fn lag(&self) -> (i64, usize) {
        let (mut sum, mut unknown) = (0_i64, 0);
        for partition in self.partitions.values() {
            match partition.lag() {
                Some(lag) => sum = sum.saturating_add(lag.max(0)),
                None => unknown += 1,
            }
        }
        (sum, unknown)
    }
}

/// The host in a member's id: of `<group>_<host>-<milliseconds>-<8 hex digits>`, or of PyKafka's `<host>:<UUID>`.
pub(super) fn host(group: &str, consumer_id: &str) -> Option<String> {
    if let Some(rest) = consumer_id
        .strip_prefix(group)
        .and_then(|rest| rest.strip_prefix('_'))
    {
        let mut parts = rest.rsplitn(3, '-');
        let (random, time) = (parts.next()?, parts.next()?);
        let made_by_java = random.len() <= 8 && time.parse::<i64>().is_ok();
        return parts.next().filter(|_| made_by_java).map(str::to_owned);
    }
    let (host, _) = consumer_id.split_once(':')?;
    let host = match paths::is_own_pykafka_consumer_id(consumer_id) {
        true => host.split_once('-').map_or(host, |(_, host)| host),
        false => host,
    };
    Some(host.to_owned())
}

/// The topic that a directory below `owners` is for: PyKafka on Python 3 writes `b'topic'`.
pub(super) fn owned_topic(directory: &str) -> &str {
    let quoted = directory.strip_prefix("b'");
    quoted
        .and_then(|rest| rest.strip_suffix('\''))
        .unwrap_or(directory)
}

/// The partition that an owner node is for: `<partition>`, or PyKafka's `<leader>-<partition>`.
pub(super) fn owned_partition(node: &str) -> Option<i32> {
    let partition = node
        .split_once('-')
        .map_or(node, |(_, partition)| partition);
    partition.parse().ok().filter(|partition| *partition >= 0)
}
