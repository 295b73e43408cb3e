//! A ZooKeeper and brokers of Kafka 0.8.2 or 0.9 within the process, for the tests of those who consume and produce.
//!
//! It starts in milliseconds, without Java, on ports of its own, and real clients connect to it: tests need not know what it is. What
//! can befall a cluster is one call each. A test of a consumer that has to survive the loss of a broker:
//!
//! ```
//! use divvy::embedded::EmbeddedCluster;
//! use divvy::{
//!     BalancedConsumer, BalancedConsumerConfig, Client, ClientConfig, Producer, ProducerConfig,
//!     ProducerRecord, ZooKeeper, ZooKeeperConfig,
//! };
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut cluster = EmbeddedCluster::builder().brokers(3).start().await?;
//! cluster.create_topic("orders", 1, 2).await?;
//!
//! // What is under test gets the cluster's addresses, as it gets those of a real one.
//! let zookeeper = ZooKeeperConfig::new(cluster.zookeeper_connect());
//! let client = Client::connect(ClientConfig::zookeeper(ZooKeeper::new(zookeeper.clone())?)).await?;
//! let producer = Producer::new(&client, ProducerConfig::default())?;
//! let config = BalancedConsumerConfig::new(zookeeper, "billing", ["orders"]);
//! let mut consumer = BalancedConsumer::new(&client, config)?;
//! consumer.start().await?;
//!
//! producer.send(ProducerRecord::new("orders", "before")).await?.await?;
//! assert_eq!(consumer.recv().await?.value(), Some(&b"before"[..]));
//!
//! let leader = cluster.leader("orders", 0).expect("every partition has one");
//! cluster.stop_broker(leader).await?;
//! producer.send(ProducerRecord::new("orders", "after")).await?.await?;
//! assert_eq!(consumer.recv().await?.value(), Some(&b"after"[..]));
//! # consumer.close().await?;
//! # cluster.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! For clusters that stay: `divvy embedded`, the program, serves one in the foreground.

pub use divvy_embedded_cluster::server::{
    EmbeddedCluster, EmbeddedClusterBuilder, Error, Faults, Release, Result, ZooKeeperBuilder,
    ZooKeeperServer,
};
