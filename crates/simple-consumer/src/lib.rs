//! A Kafka consumer that owns every partition of its topics, or those that it is given; and the engine that every divvy consumer
//! shares: positions, offset stores, hand-out.
//!
//! A [`Consumer`] hands out messages in batches that borrow from the fetch buffer ([`Consumer::next_batch`]), one at a time
//! ([`Consumer::recv`]), several at a time ([`Consumer::get_many`]) or as a stream. It commits what the application has finished,
//! never what was merely fetched. Partitions take turns, and each is prefetched on its own within one budget of bytes.
//!
//! For Storm-like topologies and worker pools there is a [`Spout`] over any consumer: messages are acknowledged and failed one by
//! one and in any order.
//!
//! It does *not* share partitions with other consumers: that is the task of a [`Coordination`], such as divvy's balanced
//! consumer. It does not write messages anywhere, and it never changes a position without saying so ([`Event::Reset`]).
//!
//! ```no_run
//! use divvy_client::{Client, ClientConfig};
//! use divvy_simple_consumer::{SimpleConsumer, SimpleConsumerConfig};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(ClientConfig::bootstrap(["127.0.0.1:9092"])).await?;
//! let mut consumer = SimpleConsumer::new(&client, SimpleConsumerConfig::new(["clicks"]))?;
//! consumer.start().await?;
//! loop {
//!     let mut batch = consumer.next_batch().await?;
//!     let partition = batch.partition().clone();
//!     for record in batch.records() {
//!         println!("{partition}@{}: {:?}", record.offset, record.value);
//!     }
//! }
//! # }
//! ```

mod acker;
mod assignment;
mod backend;
mod batch;
mod config;
mod consumer;
mod coordination;
mod decoder;
mod engine;
mod error;
mod event;
mod gate;
mod handle;
mod message;
mod metrics;
mod offsets;
mod progress;
mod receiver;
mod simple;
pub mod spout;
mod sync;

pub use acker::Acker;
pub use assignment::Assignment;
pub use backend::backend;
pub use batch::{Batch, BatchRecords};
pub use config::{AckMode, ConsumerConfig, OffsetReset, OffsetStorage, StallPolicy};
pub use consumer::Consumer;
pub use coordination::Coordination;
pub use decoder::Decoder;
pub use engine::{Engine, SeekTo, Start};
pub use error::{Error, Result};
pub use event::{Event, Events, Fate, ResetReason};
pub use gate::{AlwaysOpen, Gate};
pub use handle::Handle;
pub use message::{Message, OwnedMessage};
pub use metrics::describe_metrics;
pub use offsets::{
    BrokerOffsets, DualOffsets, KafkaOffsets, MemoryOffsets, OffsetStore, ZooKeeperOffsets,
    with_storage,
};
pub use simple::{Everything, SimpleConsumer, SimpleConsumerConfig};
pub use spout::{MessageId, Spout, SpoutAcker, SpoutConfig, SpoutMessage};
