//! A Kafka consumer group that shares partitions through ZooKeeper.

mod assignor;
mod decide;
mod machine;
mod view;

pub use assignor::{
    AssignError, Assignment, Assignor, ConsumerThreadId, GroupMembers, MAX_THREADS, Range,
    RoundRobin, Subscription, TopicPartitions,
};
pub use decide::{Decision, Wait, decide};
pub use machine::{
    Action, Event, GroupEvent, Incarnation, Membership, MembershipConfig, Operation, Ownership,
    PartitionState, SessionEvent, Time, Token,
};
pub use view::{OwnRegistration, PoisonKind, PoisonMember, View};
