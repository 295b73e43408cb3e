//! What a group has committed, watched all the time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::question::{Answer, ask, put_string};
use crate::{Cluster, ZooKeeperView, wait_some};

/// How long a store may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a group keeps its offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// In ZooKeeper.
    ZooKeeper,
    /// In Kafka, asked of the first broker: it must be the only one.
    Kafka,
}

/// Watches the committed offsets of one topic.
#[derive(Debug)]
pub struct CommittedWatch<'a> {
    cluster: &'a Cluster,
    view: ZooKeeperView,
    store: Store,
    group: String,
    topic: String,
    partitions: i32,
    last: BTreeMap<i32, i64>,
    steps_back: Vec<StepBack>,
}

/// A committed offset that became smaller, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepBack {
    /// Of which partition.
    pub partition: i32,
    /// What it was.
    pub from: i64,
    /// What it became; none where it is gone.
    pub to: Option<i64>,
}

impl StepBack {
    /// By how many messages; all there were where it is gone.
    pub fn messages(&self) -> i64 {
        self.from - self.to.unwrap_or_default()
    }
}

impl<'a> CommittedWatch<'a> {
    /// Watches the offsets of a group. It looks whenever it is told to.
    ///
    /// # Errors
    ///
    /// When there is no thread for its look into ZooKeeper.
    pub fn new(
        cluster: &'a Cluster,
        store: Store,
        group: &str,
        topic: &str,
        partitions: i32,
    ) -> Result<CommittedWatch<'a>> {
        Ok(CommittedWatch {
            cluster,
            view: cluster.zookeeper_view()?,
            store,
            group: group.to_owned(),
            topic: topic.to_owned(),
            partitions,
            last: BTreeMap::new(),
            steps_back: Vec::new(),
        })
    }

    /// Takes note of what is committed now.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    pub fn look(&mut self) -> Result<()> {
        let now = match self.store {
            Store::ZooKeeper => self.view.offsets(&self.group, &self.topic)?,
            Store::Kafka => {
                let broker = self.cluster.brokers().first();
                let broker = broker.context("a cluster without brokers")?.address();
                in_kafka(broker, &self.group, &self.topic, self.partitions)?
            }
        };
        for (partition, from) in &self.last {
            let to = now.get(partition).copied();
            if to.is_none_or(|to| to < *from) {
                self.steps_back.push(StepBack {
                    partition: *partition,
                    from: *from,
                    to,
                });
            }
        }
        self.last = now;
        Ok(())
    }

    /// Lets time pass, and takes note all the while.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    pub fn watch(&mut self, duration: Duration) -> Result<()> {
        let until = Instant::now() + duration;
        wait_some(duration + PATIENCE, "time to pass", || match self.look() {
            Ok(()) => (Instant::now() >= until).then_some(Ok(())),
            Err(error) => Some(Err(error)),
        })?
    }

    /// Every time that it was seen to go back.
    pub fn steps_back(&self) -> &[StepBack] {
        &self.steps_back
    }

    /// Demands that it never went back.
    ///
    /// # Errors
    ///
    /// When it did; the error shows from where to where.
    pub fn never_went_back(&self) -> Result<()> {
        ensure!(
            self.steps_back.is_empty(),
            "offsets went back: {:?}",
            self.steps_back
        );
        Ok(())
    }
}

/// Asks with OffsetFetch v1, which every broker from 0.8.2 on takes.
fn in_kafka(
    broker: SocketAddr,
    group: &str,
    topic: &str,
    partitions: i32,
) -> Result<BTreeMap<i32, i64>> {
    const OFFSET_FETCH: i16 = 9;
    let mut request = Vec::new();
    put_string(&mut request, group)?;
    request.extend_from_slice(&1_i32.to_be_bytes()); // one topic
    put_string(&mut request, topic)?;
    request.extend_from_slice(&partitions.to_be_bytes());
    request.extend((0..partitions).flat_map(i32::to_be_bytes));
    let answer = ask(broker, OFFSET_FETCH, 1, &request)?;

    let mut answer = Answer::new(&answer)?;
    ensure!(answer.i32()? == 1, "an answer about other topics");
    answer.string()?;
    let mut offsets = BTreeMap::new();
    for _ in 0..answer.i32()? {
        let (partition, offset) = (answer.i32()?, answer.i64()?);
        let (_metadata, error) = (answer.string()?, answer.i16()?);
        // 0.8.2 calls it an error that nothing is stored.
        if error == 0 && offset >= 0 {
            offsets.insert(partition, offset);
        }
    }
    answer.end()?;
    Ok(offsets)
}
