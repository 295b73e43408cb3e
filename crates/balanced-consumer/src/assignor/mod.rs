//! Who gets which partition: pure functions of the members and the partitions, the same in every member.

mod explain;
mod java_hash;
mod members;
mod pykafka;
mod range;
mod round_robin;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use divvy_protocol::TopicPartition;

pub(crate) use explain::explain;
pub use members::{ConsumerThreadId, GroupMembers, MAX_THREADS, Subscription};
pub(crate) use pykafka::pykafka_order;
pub use pykafka::{PyKafkaRange, PyKafkaRoundRobin};
pub use range::Range;
pub use round_robin::RoundRobin;

/// The partitions of each topic that exists.
pub type TopicPartitions = BTreeMap<Arc<str>, Vec<i32>>;

/// Which thread each partition belongs to. A partition that is missing belongs to nobody.
pub type Assignment = BTreeMap<TopicPartition, ConsumerThreadId>;

/// A rule that shares partitions out among the threads of a group (Kafka's `PartitionAssignor`).
///
/// Every member of a group computes the assignment for itself, so all must use the same rule, and a rule must depend on nothing
/// but its arguments. ZooKeeper does not record the rule: members that disagree wait for each other's partitions for ever, and
/// report it ([`Event::Disagreement`](divvy_simple_consumer::Event::Disagreement)).
///
/// An application may have a rule of its own. One that gives all partitions to the first member, so that the others stand by:
///
/// ```
/// use std::sync::Arc;
///
/// use divvy_balanced_consumer::{
///     AssignError, Assignment, Assignor, BalancedConsumerConfig, GroupMembers, TopicPartitions,
/// };
/// use divvy_protocol::TopicPartition;
///
/// #[derive(Debug)]
/// struct FirstTakesAll;
///
/// impl Assignor for FirstTakesAll {
///     fn name(&self) -> &str {
///         "first-takes-all"
///     }
///
///     fn assign(
///         &self,
///         members: &GroupMembers,
///         partitions: &TopicPartitions,
///     ) -> Result<Assignment, AssignError> {
///         let mut assignment = Assignment::new();
///         for topic in members.topics() {
///             let Some(first) = members.threads(&topic)?.into_iter().next() else {
///                 continue;
///             };
///             for partition in partitions.get(&topic).into_iter().flatten() {
///                 let partition = TopicPartition::new(topic.clone(), *partition);
///                 assignment.insert(partition, first.clone());
///             }
///         }
///         Ok(assignment)
///     }
/// }
///
/// let zookeeper = divvy_zookeeper::Config::new("127.0.0.1:2181");
/// let mut config = BalancedConsumerConfig::new(zookeeper, "billing", ["orders"]);
/// config.assignor = Arc::new(FirstTakesAll);
/// assert!(config.validate().is_ok());
/// ```
pub trait Assignor: Send + Sync + Debug {
    /// The name of the rule, for reports. Kafka's own are `range` and `roundrobin`.
    fn name(&self) -> &str;

    /// Computes the whole group's assignment.
    ///
    /// `partitions` has the topics that exist, each with its partitions, which are in any order in dialect Java and in PyKafka's in
    /// [dialect PyKafka](crate::Dialect::PyKafka); a topic that is subscribed but missing has none.
    ///
    /// # Errors
    ///
    /// When the rule does not apply to these members. Members then keep what they have and claim nothing until the group changes.
    fn assign(
        &self,
        members: &GroupMembers,
        partitions: &TopicPartitions,
    ) -> Result<Assignment, AssignError>;
}

/// Why no assignment can be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssignError {
    /// Round-robin, as Kafka defines it, needs the same threads in every topic of the group.
    #[error(
        "roundrobin needs every topic to be consumed by the same threads, but those of `{topic}` and `{other}` differ; \
         give every member the same topics and numbers of streams, or use range"
    )]
    UnequalThreads {
        /// One topic.
        topic: Arc<str>,
        /// A topic with other threads.
        other: Arc<str>,
    },
    /// Two partitions of different topics have the same hash, and Kafka's own members order such partitions by chance.
    #[error(
        "roundrobin cannot order `{first}` and `{second}`: Kafka hashes both to {hash} and then orders them by chance; use range"
    )]
    AmbiguousOrder {
        /// One partition.
        first: TopicPartition,
        /// A partition of another topic.
        second: TopicPartition,
        /// The hash of both.
        hash: i32,
    },
    /// The registrations ask for more threads in a topic than [`MAX_THREADS`].
    #[error(
        "the members ask for {threads} threads in topic `{topic}`; at most {MAX_THREADS} can share a topic"
    )]
    TooManyThreads {
        /// The topic.
        topic: Arc<str>,
        /// How many threads the registrations add up to.
        threads: u64,
    },
    /// An assignor gave a member something that it cannot have.
    #[error("assignor `{assignor}` assigned `{partition}` to thread `{thread}`: {reason}")]
    Invalid {
        /// The assignor's name.
        assignor: String,
        /// What it assigned.
        partition: TopicPartition,
        /// To whom.
        thread: ConsumerThreadId,
        /// What is wrong with that.
        reason: &'static str,
    },
    /// An assignor of the application gave up.
    #[error("assignor `{assignor}` failed: {reason}")]
    Custom {
        /// The assignor's name.
        assignor: String,
        /// Its reason.
        reason: String,
    },
}

impl AssignError {
    /// Whether computing again from the same members can succeed. Never: the members or their settings have to change.
    pub fn is_retriable(&self) -> bool {
        false
    }
}

/// The partitions of a topic in numeric order, each once.
fn sorted(partitions: &[i32]) -> Vec<i32> {
    let mut partitions = partitions.to_vec();
    partitions.sort_unstable();
    partitions.dedup();
    partitions
}
