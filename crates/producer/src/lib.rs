//! A batching Kafka producer for brokers from 0.8.2 on.
//!
//! A [`Producer`] gathers records into batches by partition and sends them to the partitions' leaders, in the message format that
//! each broker understands. Of one partition only one request is under way at a time, so that retries never change the order. Each
//! record's [`Delivery`] says exactly once where it was stored, or why not. Memory is bounded: [`Producer::send`] waits while the
//! buffer is full, and [`Producer::try_send`] fails. Leaders may move and brokers may die: what could not be sent is sent again
//! until the delivery timeout.
//!
//! It does not create topics by asking for them unless [told to](ProducerConfig::allow_auto_create_topics), and it is not
//! idempotent: a retry may store a batch twice.
//!
//! ```no_run
//! use divvy_client::{Client, ClientConfig};
//! use divvy_producer::{Acks, Producer, ProducerConfig, ProducerRecord};
//! use std::time::Duration;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(ClientConfig::bootstrap(["127.0.0.1:9092"])).await?;
//! let config = ProducerConfig { acks: Acks::All, ..ProducerConfig::default() };
//! let producer = Producer::new(&client, config)?;
//! let delivery = producer.send(ProducerRecord::new("numbers", "one")).await?;
//! println!("stored at {:?}", delivery.await?.offset);
//! producer.close(Duration::from_secs(10)).await?;
//! # Ok(())
//! # }
//! ```

mod accumulator;
mod budget;
mod config;
mod deliveries;
mod delivery;
mod encode;
mod encoder;
mod error;
mod lane;
mod metrics;
mod outcome;
mod partitioner;
mod producer;
#[cfg(feature = "rdkafka")]
mod rdkafka;
#[cfg(not(feature = "rdkafka"))]
#[path = "rdkafka/missing.rs"]
mod rdkafka;
mod record;
mod sender;
mod sync;
mod topics;

pub use config::{Acks, ProducerConfig};
pub use deliveries::Deliveries;
pub use delivery::Delivery;
pub use divvy_protocol::compression::Compression;
pub use encoder::Encoder;
pub use error::{Error, Result};
pub use metrics::describe_metrics;
pub use partitioner::{
    DefaultPartitioner, FnPartitioner, HashingPartitioner, Partitioner, Partitions,
    RandomPartitioner, RoundRobinPartitioner, murmur2,
};
pub use producer::Producer;
pub use record::{ProducerRecord, RecordMetadata};
