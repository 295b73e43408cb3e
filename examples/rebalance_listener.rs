//! A member of a group that keeps something for each of its partitions: it begins anew where a partition comes, and puts away
//! what it has where one goes.
//!
//! ```text
//! cargo run -p divvy-examples --bin rebalance_listener -- 127.0.0.1:2181 billing orders
//! ```

#![allow(clippy::print_stdout, reason = "printing is what the example does")]

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use divvy::{
    Assigned, Assignment, BalancedConsumer, BalancedConsumerConfig, Client, ClientConfig,
    ListenerError, RebalanceListener, Revoked, TopicPartition, ZooKeeper, ZooKeeperConfig,
};
use tokio::signal::ctrl_c;

/// How many messages each partition has brought since it came.
#[derive(Default)]
struct Counts(Mutex<BTreeMap<TopicPartition, u64>>);

impl Counts {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Called on the group's own thread. It must not block: what takes long is awaited.
#[async_trait]
impl RebalanceListener for Counts {
    /// Before the first message of these partitions.
    async fn on_partitions_assigned(&self, assigned: &mut Assigned) -> Result<(), ListenerError> {
        for assignment in assigned.partitions() {
            println!("+ {assignment}");
            self.lock().insert(assignment.tp.clone(), 0);
        }
        Ok(())
    }

    /// After the last message, before offsets are committed: the moment to write down what was gathered.
    async fn on_partitions_revoked(&self, revoked: &Revoked<'_>) -> Result<(), ListenerError> {
        for assignment in revoked.partitions() {
            let count = self.lock().remove(&assignment.tp).unwrap_or_default();
            println!("- {assignment} after {count} messages");
        }
        Ok(())
    }

    /// Too late: others may have these partitions already, and will see their messages again.
    async fn on_partitions_lost(&self, lost: &[Assignment]) -> Result<(), ListenerError> {
        for assignment in lost {
            println!("! {assignment}");
            self.lock().remove(&assignment.tp);
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(connect), Some(group), Some(topic)) = (args.next(), args.next(), args.next()) else {
        anyhow::bail!("usage: rebalance_listener ZOOKEEPER GROUP TOPIC");
    };
    let counts = Arc::new(Counts::default());
    let zookeeper = ZooKeeperConfig::new(connect);
    let client =
        Client::connect(ClientConfig::zookeeper(ZooKeeper::new(zookeeper.clone())?)).await?;
    let mut config = BalancedConsumerConfig::new(zookeeper, group, [topic]);
    config.listener = Arc::clone(&counts) as Arc<dyn RebalanceListener>;
    let mut consumer = BalancedConsumer::new(&client, config)?;
    consumer.start().await?;

    let mut asked_to_end = pin!(ctrl_c());
    loop {
        let message = tokio::select! {
            message = consumer.recv() => message?,
            _ = &mut asked_to_end => break,
        };
        if let Some(count) = counts.lock().get_mut(message.partition()) {
            *count += 1;
        }
    }
    consumer.close().await?;
    Ok(())
}
