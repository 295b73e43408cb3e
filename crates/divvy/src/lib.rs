//! Shares the partitions of Kafka topics out among consumers through ZooKeeper.
//!
//! For clusters from Kafka 0.8.2 on, also in groups half of whose members still are Kafka's own high-level consumers.
//!
//! - [`BalancedConsumer`] is a member of a group: it owns its share of the partitions and takes over from members that leave.
//! - [`SimpleConsumer`] owns every partition, or those that it is given.
//! - [`Spout`] hands out the messages of either to be acknowledged and failed one by one, as Storm's spouts do.
//! - [`Producer`] writes.
//! - [`Client`] is the cluster that they share.
//! - `embedded`, by the feature of that name, is a cluster within the process, for tests.
//! - [`blocking`] has all of these for programs without `async`.
//!
//! But for that, this crate only gathers what its parts offer. What it does *not* do: it creates no topic by
//! asking for it, and it commits nothing that the application has not finished with.
//!
//! ```no_run
//! use divvy::{BalancedConsumer, BalancedConsumerConfig, Client, ClientConfig, ZooKeeper, ZooKeeperConfig};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let zookeeper = ZooKeeperConfig::new("127.0.0.1:2181");
//! let client = Client::connect(ClientConfig::zookeeper(ZooKeeper::new(zookeeper.clone())?)).await?;
//! let config = BalancedConsumerConfig::new(zookeeper, "billing", ["orders"]);
//! let mut consumer = BalancedConsumer::new(&client, config)?;
//! consumer.start().await?;
//! loop {
//!     let message = consumer.recv().await?;
//!     println!("{}@{}: {:?}", message.partition(), message.offset(), message.value());
//! }
//! # }
//! ```

pub mod blocking;

/// Describes every metric to the recorder that is installed, as docs/metrics.md lists them, for recorders that pass descriptions
/// on.
pub fn describe_metrics() {
    divvy_client::describe_metrics();
    divvy_simple_consumer::describe_metrics();
    divvy_balanced_consumer::describe_metrics();
    divvy_producer::describe_metrics();
}

/// Looking at groups from outside, and mending what is wrong with them.
pub use divvy_balanced_consumer::admin;
pub use divvy_balanced_consumer::{
    AssignError, Assigned, Assignment as GroupAssignment, Assignor, BalancedConsumer,
    BalancedConsumerConfig, ConsumerThreadId, Dialect, ForeignMembers, GroupMembers, ListenerError,
    OnZkLoss, OwnerDirectories, PyKafkaRange, PyKafkaRoundRobin, Range, RebalanceListener, Revoked,
    RoundRobin, Subscription, TopicFilter, TopicPartitions, Topics, ZooKeeperGroup,
};
pub use divvy_client::{
    Backend, Broker, BrokerOffsetStore, BrokerVersionSetting, Chunk, Client, ClientConfig,
    CommittedOffset, Error as ClientError, FetchConfig, FetchError, Fill, Generation, HostPort,
    IsolationLevel, MemoryBackend, Metadata, NativeBackend, OffsetSpec, PartitionMetadata,
    PerPartition, Prefetch, Security, TopicMetadata,
};
pub use divvy_producer::{
    Acks, DefaultPartitioner, Deliveries, Delivery, Encoder, Error as ProducerError, FnPartitioner,
    HashingPartitioner, Partitioner, Partitions, Producer, ProducerConfig, ProducerRecord,
    RandomPartitioner, RecordMetadata, RoundRobinPartitioner, murmur2,
};
pub use divvy_protocol::compression::Compression;
pub use divvy_protocol::records::{Header, Record};
pub use divvy_protocol::{BrokerVersion, ErrorCode, TopicPartition};
#[cfg(feature = "rdkafka")]
pub use divvy_rdkafka_backend::{RdkafkaBackend, RdkafkaConfig};
/// Acknowledging and failing messages one by one, as Storm's spouts do.
pub use divvy_simple_consumer::spout;
pub use divvy_simple_consumer::spout::{MessageId, Spout, SpoutAcker, SpoutConfig, SpoutMessage};
pub use divvy_simple_consumer::{
    AckMode, Acker, AlwaysOpen, Assignment, Batch, BatchRecords, Consumer, ConsumerConfig,
    Coordination, Decoder, DualOffsets, Engine, Error, Event, Events, Everything, Fate, Gate,
    Handle, KafkaOffsets, MemoryOffsets, Message, OffsetReset, OffsetStorage, OffsetStore,
    OwnedMessage, ResetReason, Result, SeekTo, SimpleConsumer, SimpleConsumerConfig, StallPolicy,
    ZooKeeperOffsets,
};
pub use divvy_zookeeper::{
    Acl, Auth, Config as ZooKeeperConfig, CrashRelease, Error as ZooKeeperError, ZooKeeper,
    crash_release,
};

#[cfg(feature = "embedded")]
pub mod embedded;
/// The wire protocol, for tools that speak it themselves.
pub use divvy_protocol as protocol;
/// The ZooKeeper session, documents and paths, for tools that look there themselves.
pub use divvy_zookeeper as zookeeper;
