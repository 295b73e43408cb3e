//! The same for programs without `async`: consumers as iterators, and a producer whose calls return when they are done.
//!
//! Each call waits on the calling thread, and what goes on in the background runs on a thread that a [`Client`] starts for all
//! that is made from it. Nothing else differs: the names, the configurations, the guarantees and the errors are those of the
//! async types.
//!
//! Within a tokio runtime, its blocking threads included, every call that would wait fails with [`Error::InsideRuntime`]: there
//! the async types belong.
//!
//! ```no_run
//! use divvy::blocking::{BalancedConsumer, Client};
//! use divvy::{BalancedConsumerConfig, ClientConfig, ZooKeeper, ZooKeeperConfig};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let zookeeper = ZooKeeperConfig::new("127.0.0.1:2181");
//!     let client = Client::connect(ClientConfig::zookeeper(ZooKeeper::new(zookeeper.clone())?))?;
//!     let config = BalancedConsumerConfig::new(zookeeper, "billing", ["orders"]);
//!     let mut consumer = BalancedConsumer::new(&client, config)?;
//!     consumer.start()?;
//!     for message in consumer.by_ref().take(1000) {
//!         let message = message?;
//!         println!("{}@{}: {:?}", message.tp, message.offset, message.value);
//!     }
//!     consumer.close()?;
//!     Ok(())
//! }
//! ```
//!
//! And writing:
//!
//! ```no_run
//! use divvy::blocking::{Client, Producer};
//! use divvy::{ClientConfig, ProducerConfig, ProducerRecord};
//! use std::time::Duration;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let client = Client::connect(ClientConfig::bootstrap(["127.0.0.1:9092"]))?;
//!     let producer = Producer::new(&client, ProducerConfig::default())?;
//!     let one = producer.send(ProducerRecord::new("numbers", "one"))?;
//!     let two = producer.send(ProducerRecord::new("numbers", "two"))?;
//!     println!("stored at {:?} and {:?}", one.wait()?.offset, two.wait()?.offset);
//!     producer.close(Duration::from_secs(10))?;
//!     Ok(())
//! }
//! ```

mod client;
mod consumer;
mod error;
mod events;
mod given;
mod handle;
mod listener;
mod producer;
mod runtime;

pub use client::Client;
pub use consumer::{BalancedConsumer, Consumer, SimpleConsumer, UntilIdle};
pub use error::{Error, Result};
pub use events::Events;
pub use handle::Handle;
pub use listener::{RebalanceListener, Revoked, listener};
pub use producer::{Deliveries, Delivery, Producer};
