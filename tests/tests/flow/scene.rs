//! Topics whose every message is known, and consumers of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy::{
    Client, ClientConfig, Compression, Consumer, Coordination, Producer, ProducerConfig,
    ProducerRecord, TopicPartition,
};
use divvy_tests::{Cluster, unique, wait_until};
use tokio::runtime::Runtime;

/// How long something may take that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test of a program that has a few threads.
pub(crate) fn live<T>(test: impl Future<Output = Result<T>>) -> Result<T> {
    Runtime::new()?.block_on(test)
}

/// A topic of a cluster. The message at offset `n` of a partition has [`value`] `n`.
pub(crate) struct Topic<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) name: String,
    pub(crate) client: Client,
    /// The end of each partition.
    ends: BTreeMap<i32, i64>,
}

impl<'a> Topic<'a> {
    pub(crate) async fn new(cluster: &'a Cluster, partitions: i32) -> Result<Topic<'a>> {
        let name = unique("flow");
        cluster.create_topic(&name, usize::try_from(partitions)?, 1)?;
        Ok(Topic {
            client: client(cluster).await?,
            cluster,
            name,
            ends: (0..partitions).map(|partition| (partition, 0)).collect(),
        })
    }

    pub(crate) fn tp(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(self.name.as_str(), partition)
    }

    pub(crate) fn end(&self, partition: i32) -> i64 {
        self.ends.get(&partition).copied().unwrap_or_default()
    }

    /// Appends so many messages of `size` bytes to each partition, in batches.
    pub(crate) async fn fill(
        &mut self,
        messages: i64,
        size: usize,
        compression: Compression,
    ) -> Result<()> {
        let config = ProducerConfig {
            compression,
            // What is compressed together shall be worth it.
            batch_size: match compression {
                Compression::None => 16 << 10,
                _ => 128 << 10,
            },
            max_request_size: 2 << 20,
            linger: Duration::from_millis(20),
            ..ProducerConfig::default()
        };
        let producer = Producer::new(&self.client, config)?;
        let mut last = Vec::new();
        for number in 0..messages {
            last.clear();
            for (partition, end) in &self.ends {
                let record = ProducerRecord {
                    partition: Some(*partition),
                    ..ProducerRecord::new(self.name.as_str(), value(end + number, size))
                };
                last.push(producer.send(record).await?);
            }
        }
        producer.flush().await?;
        for delivery in last {
            let stored = delivery.await?;
            let end = self.end(stored.tp.partition) + messages;
            ensure!(stored.offset == Some(end - 1), "{stored:?} is not the last");
            self.ends.insert(stored.tp.partition, end);
        }
        producer.close(PATIENCE).await?;
        Ok(())
    }
}

pub(crate) async fn client(cluster: &Cluster) -> Result<Client> {
    Ok(Client::connect(ClientConfig::bootstrap([cluster.bootstrap()])).await?)
}

/// What is at an offset: the offset, and the same for its whole length.
pub(crate) fn value(offset: i64, size: usize) -> Vec<u8> {
    let mut value = offset.to_be_bytes().repeat(size / 8 + 1);
    value.truncate(size);
    value
}

/// What was read of each partition, which must be what is there, in order.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// The offset behind the last message of each partition.
    next: BTreeMap<i32, i64>,
    pub(crate) messages: i64,
}

impl Read {
    /// Takes a message in.
    pub(crate) fn take(&mut self, partition: i32, offset: i64, found: Option<&[u8]>) -> Result<()> {
        let next = self.next.entry(partition).or_default();
        ensure!(
            offset == *next,
            "offset {offset} of partition {partition} came when {next} was due"
        );
        let found = found.context("a message without a value")?;
        ensure!(
            found == value(offset, found.len()),
            "offset {offset} of partition {partition} is {found:?}"
        );
        *next += 1;
        self.messages += 1;
        Ok(())
    }

    pub(crate) fn next(&self, partition: i32) -> i64 {
        self.next.get(&partition).copied().unwrap_or_default()
    }

    /// Goes on elsewhere.
    pub(crate) fn skip_to(&mut self, partition: i32, offset: i64) {
        self.next.insert(partition, offset);
    }

    /// Whether each partition was read up to here.
    pub(crate) fn is_at(&self, ends: impl IntoIterator<Item = (i32, i64)>) -> bool {
        ends.into_iter()
            .all(|(partition, end)| self.next(partition) == end)
    }
}

/// Waits until a consumer holds so many partitions and will not soon hold others.
pub(crate) async fn holds<C: Coordination>(
    consumer: &Consumer<C>,
    partitions: usize,
) -> Result<()> {
    wait_until(PATIENCE, "the group to form", || {
        consumer.is_settled() && consumer.assignments().len() == partitions
    })
    .await
}
