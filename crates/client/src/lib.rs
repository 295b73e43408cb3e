//! Broker connections, cluster metadata and the fetch path of divvy.
//!
//! A [`Client`] knows a cluster: which brokers there are, who leads which partition, and what versions of the protocol each
//! broker speaks. It keeps one control connection to each. A [`Backend`] fetches partitions into a [`Prefetch`] queue that is
//! bounded in bytes; [`NativeBackend`] does so in pure Rust, [`MemoryBackend`] from a log in memory.
//!
//! It does *not* know of consumer groups, of reset policies or of what an application has finished with, and it never creates a
//! topic by asking for it. It never sends an old broker a request that could disturb it.
//!
//! ```no_run
//! use divvy_client::{Client, ClientConfig};
//!
//! # async fn example() -> divvy_client::Result<()> {
//! let client = Client::connect(ClientConfig::bootstrap(["127.0.0.1:9092"])).await?;
//! for (name, topic) in &client.list_topics().await?.topics {
//!     println!("{name}: {} partitions", topic.partitions.len());
//! }
//! # Ok(())
//! # }
//! ```

mod address;
mod backend;
mod backoff;
mod broker;
mod client;
mod config;
mod connection;
mod create;
mod dedicated;
mod error;
mod metadata;
mod metrics;
mod negotiate;
mod offsets;
mod sync;
mod transport;

pub use address::HostPort;
pub use backend::{
    Backend, Chunk, FetchConfig, FetchError, Fill, Generation, IsolationLevel, MemoryBackend,
    NativeBackend, Prefetch,
};
pub use backoff::Backoff;
pub use broker::Broker;
pub use client::Client;
pub use config::{BrokerVersionSetting, ClientConfig, Security};
pub use dedicated::DedicatedConnection;
pub use divvy_protocol::TopicPartition;
pub use error::{Error, Result};
pub use metadata::{Metadata, PartitionMetadata, TopicMetadata};
pub use metrics::describe_metrics;
pub use offsets::{BrokerOffsetStore, CommittedOffset, OffsetSpec, PerPartition};
