//! A member of a group that keeps its offsets with its results, in a store of its own: each message counts once, whatever happens.
//!
//! ```text
//! cargo run -p divvy-examples --bin offsets_in_own_store -- 127.0.0.1:2181 billing orders totals
//! ```
//!
//! The store is a folder with a file for each partition: how many messages and bytes it has brought, and the offset of the next one.
//! Both are replaced together, so that they never disagree; a database does that with one transaction. Whoever gets the partition
//! next begins where the file says. Members on several machines need a store that they share.
//!
//! Group and offsets are in ZooKeeper all the same, a little behind, for the tools that look there.

#![allow(clippy::print_stdout, reason = "printing is what the example does")]

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::{fs, io};

use async_trait::async_trait;
use divvy::{
    Assigned, BalancedConsumer, BalancedConsumerConfig, Batch, Client, ClientConfig, ListenerError,
    RebalanceListener, TopicPartition, ZooKeeper, ZooKeeperConfig,
};
use serde::{Deserialize, Serialize};
use tokio::signal::ctrl_c;

/// What is known of a partition.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Total {
    messages: u64,
    bytes: u64,
    /// The offset of the first message that is not counted.
    next: i64,
    /// Under which claim it was written. Tokens grow with each claim, so that a member that has lost the partition, and does not
    /// know it yet, is told by a larger one.
    token: i64,
}

struct Store {
    folder: PathBuf,
}

impl Store {
    fn file(&self, tp: &TopicPartition) -> PathBuf {
        self.folder.join(format!("{tp}.json"))
    }

    fn read(&self, tp: &TopicPartition) -> io::Result<Total> {
        match fs::read(self.file(tp)) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Total::default()),
            Err(error) => Err(error),
        }
    }

    /// Adds what a batch has brought. Gives nothing where somebody else has the partition now.
    ///
    /// Between the look at the token and the replacement another member could come in; a database does both in one statement:
    /// `UPDATE totals SET … WHERE partition = ? AND token <= ?`.
    fn add(&self, batch: &mut Batch<'_>) -> io::Result<Option<Total>> {
        let tp = batch.partition().clone();
        let mut total = self.read(&tp)?;
        if total.token > batch.token() {
            return Ok(None);
        }
        total.token = batch.token();
        for record in batch.records() {
            total.messages += 1;
            total.bytes += record.value.map_or(0, |value| value.len() as u64);
            total.next = record.offset + 1;
        }
        let file = self.file(&tp);
        let new = file.with_extension("new");
        fs::write(&new, serde_json::to_vec(&total)?)?;
        fs::rename(new, file)?;
        Ok(Some(total))
    }
}

#[async_trait]
impl RebalanceListener for Store {
    /// Before the first message: the store knows best where to begin.
    async fn on_partitions_assigned(&self, assigned: &mut Assigned) -> Result<(), ListenerError> {
        for tp in assigned.partitions().to_vec() {
            let total = self.read(&tp.tp)?;
            if total.token > 0 {
                println!("{} begins at {}", tp.tp, total.next);
                assigned.start_at(&tp.tp, total.next);
            }
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [connect, group, topic, folder] = &args[..] else {
        anyhow::bail!("usage: offsets_in_own_store ZOOKEEPER GROUP TOPIC FOLDER");
    };
    fs::create_dir_all(folder)?;
    let store = Arc::new(Store {
        folder: folder.into(),
    });
    let zookeeper = ZooKeeperConfig::new(connect);
    let client =
        Client::connect(ClientConfig::zookeeper(ZooKeeper::new(zookeeper.clone())?)).await?;
    let mut config = BalancedConsumerConfig::new(zookeeper, group, [topic]);
    config.listener = Arc::clone(&store) as Arc<dyn RebalanceListener>;
    let mut consumer = BalancedConsumer::new(&client, config)?;
    consumer.start().await?;

    let mut asked_to_end = pin!(ctrl_c());
    loop {
        let mut batch = tokio::select! {
            batch = consumer.next_batch() => batch?,
            _ = &mut asked_to_end => break,
        };
        let tp = batch.partition().clone();
        match store.add(&mut batch)? {
            Some(total) => println!("{tp} has {} messages up to {}", total.messages, total.next),
            None => println!("{tp} is somebody else's"),
        }
    }
    consumer.close().await?;
    Ok(())
}
