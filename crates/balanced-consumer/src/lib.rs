//! A Kafka consumer group that shares partitions through ZooKeeper.

mod assignor;
mod consumer;
mod decide;
mod driver;
mod listener;
mod machine;
mod topic_filter;
mod view;

pub use assignor::{
    AssignError, Assignment, Assignor, ConsumerThreadId, GroupMembers, MAX_THREADS, Range,
    RoundRobin, Subscription, TopicPartitions,
};
pub use consumer::{BalancedConsumer, BalancedConsumerConfig, ZooKeeperGroup};
pub use decide::{Decision, Wait, decide};
pub use listener::RebalanceListener;
pub use machine::{
    Action, Event, GroupEvent, Incarnation, Membership, MembershipConfig, Operation, Ownership,
    PartitionState, SessionEvent, Time, Token,
};
pub use topic_filter::{TopicFilter, Topics};
pub use view::{OwnRegistration, PoisonKind, PoisonMember, View};
