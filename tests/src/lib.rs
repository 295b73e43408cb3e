//! Starts real ZooKeeper and Kafka for the tests, or the embedded cluster in their place, and the `divvy` program beside them.
//!
//! Everything that a live test needs is here, and only here:
//!
//! - [`Cluster`]: ZooKeeper servers and Kafka brokers of a chosen [`KafkaVersion`], as JVMs on free
//!   loopback ports, from the [`Jars`] that Maven resolves. They are started by the very scripts that the
//!   images in `docker/` use. Or the embedded cluster, within this process.
//! - [`Divvy`] and [`Process`]: programs whose lines of output are kept with the time of their arrival.
//! - [`NumberProducer`]: writes consecutive integers at a steady rate, and knows what was acknowledged.
//! - [`Group`]: a group of such programs, of Kafka's own consumers ([`JavaConsumer`]) and of [`PyKafkaConsumer`]s; who owns what,
//!   what was printed, and whether that is as it must be.
//! - [`CommittedWatch`]: whether committed offsets ever go back.
//! - [`ZooKeeperView`]: who owns what in a group, and which offsets it has stored.
//! - [`Proxy`]: a TCP proxy that cuts, refuses, freezes and swallows, both ways or one.
//! - [`wait_for`] and [`wait_some`]: the one place that sleeps. Tests wait for a condition, with a deadline.
//! - [`scale`]: the short figures of a test or its full ones.
//!
//! Nothing stays behind, however the test process ends: see [`warden`].
//!
//! The crate does not speak Kafka's protocol through divvy's own crates: what it asks a broker, it asks with
//! a few bytes of its own, so that a test's view of a cluster never rests on what the test examines.
//!
//! ```no_run
//! use divvy_tests::{Cluster, KafkaVersion};
//!
//! # fn main() -> anyhow::Result<()> {
//! let cluster = Cluster::builder().kafka(KafkaVersion::V0_8_2_2).brokers(3).start()?;
//! cluster.create_topic("numbers", 8, 3)?;
//! cluster.brokers()[1].kill();
//! println!("zookeeper={} bootstrap={}", cluster.zookeeper_connect(), cluster.bootstrap());
//! # Ok(())
//! # }
//! ```

pub mod cluster;
pub mod committed;
pub mod divvy;
pub mod group;
mod hex;
pub mod jars;
pub mod memory;
pub mod metadata;
pub mod paths;
pub mod ports;
pub mod process;
pub mod producer;
pub mod proxy;
pub mod pykafka;
pub mod python;
mod question;
pub mod turn;
pub mod wait;
pub mod warden;
pub mod zookeeper_view;

pub use crate::cluster::{Cluster, ClusterBuilder, JavaConsumer, JavaRecord, Node};
pub use crate::committed::{CommittedWatch, Store};
pub use crate::divvy::{Divvy, DivvyCommand, Event, example, target_folder, use_rdkafka};
pub use crate::group::Group;
pub use crate::hex::hex;
pub use crate::jars::{Jars, KafkaVersion};
pub use crate::memory::Memory;
pub use crate::process::{Captured, Line, Process};
pub use crate::producer::{Acknowledged, NumberProducer};
pub use crate::proxy::{Direction, Proxy, ProxyMode, ZooKeeperRequest};
pub use crate::pykafka::{
    PyKafkaConsumer, produce_keys_with_pykafka, pykafka_commands, pykafka_options,
};
pub use crate::turn::{as_task, at_any_time, in_turn, on_shared, turn};
pub use crate::wait::{is_long, scale, unique, wait_for, wait_some, wait_until};
pub use crate::zookeeper_view::{Owner, ZooKeeperView};
