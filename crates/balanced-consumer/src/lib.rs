//! A consumer that shares the partitions of its topics with the other members of its group, through ZooKeeper.
//!
//! A [`BalancedConsumer`] registers as an ephemeral node, computes with all other members the same assignment, claims what is its
//! share, and releases what is not. It keeps to the contract of Kafka's own high-level consumer, so that Java's members and
//! these share one group. What is decided is decided by [`Membership`], a machine without I/O, clock or randomness of its own;
//! what is done is done by one loop on the thread of the ZooKeeper session.
//!
//! It does *not* fetch or hand out messages: that is the engine of `divvy-simple-consumer`, which it starts and stops partition
//! by partition. It does not speak Kafka's own group protocol, and it changes no node that is not its own.
//!
//! ```no_run
//! use divvy_balanced_consumer::{BalancedConsumer, BalancedConsumerConfig};
//! use divvy_client::{Client, ClientConfig};
//! use divvy_zookeeper::{Config, ZooKeeper};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let zookeeper = Config::new("127.0.0.1:2181");
//! let client = Client::connect(ClientConfig::zookeeper(ZooKeeper::new(zookeeper.clone())?)).await?;
//! let config = BalancedConsumerConfig::new(zookeeper, "billing", ["orders"]);
//! let mut consumer = BalancedConsumer::new(&client, config)?;
//! consumer.start().await?;
//! for _ in 0..100 {
//!     let message = consumer.recv().await?;
//!     println!("{}@{}: {:?}", message.partition(), message.offset(), message.value());
//! }
//! // Commits what is finished and releases the partitions, so that others take over at once.
//! consumer.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! The machine alone, which says what to do and waits to be told what came of it:
//!
//! ```
//! use std::sync::Arc;
//!
//! use divvy_balanced_consumer::{
//!     Action, Event, Incarnation, Membership, MembershipConfig, Range, SessionEvent, Time,
//! };
//!
//! let config = MembershipConfig::new("billing_host-1433000000000-00c0ffee", Arc::new(Range));
//! let mut member = Membership::new(config, 7);
//! let session = Incarnation(1);
//! assert_eq!(member.poll_action(), Some(Action::OpenSession { incarnation: session }));
//! member.handle_event(Time::default(), Event::Session(session, SessionEvent::SessionOpened));
//! assert_eq!(member.poll_action(), Some(Action::Register));
//! ```

pub mod admin;
mod assignor;
mod consumer;
mod decide;
mod dialect;
mod driver;
mod fence;
mod listener;
mod machine;
mod metrics;
mod topic_filter;
mod view;

pub use assignor::{
    AssignError, Assignment, Assignor, ConsumerThreadId, GroupMembers, MAX_THREADS, PyKafkaRange,
    PyKafkaRoundRobin, Range, RoundRobin, Subscription, TopicPartitions,
};
pub use consumer::{BalancedConsumer, BalancedConsumerConfig, OnZkLoss, ZooKeeperGroup};
pub use decide::{Decision, Wait, decide};
pub use dialect::{Dialect, ForeignMembers, OwnerDirectories};
pub use listener::{Assigned, ListenerError, RebalanceListener, Revoked};
pub use machine::{
    Action, Event, GroupEvent, Incarnation, Membership, MembershipConfig, Operation, Owners,
    Ownership, PartitionState, SessionEvent, Time, Token,
};
pub use metrics::describe_metrics;
pub use topic_filter::{TopicFilter, Topics};
pub use view::{OwnRegistration, PoisonKind, PoisonMember, View};
