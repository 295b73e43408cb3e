//! The offset store of a group's member.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use divvy_client::{CommittedOffset, PerPartition, Result, TopicPartition};
use divvy_simple_consumer::{Assignment, OffsetStore, Start};
use divvy_zookeeper::documents::{format_offset, parse_offset};
use divvy_zookeeper::{Node, Session, ZooKeeper, paths};
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::document::{Epoch, begin, committed_token};
use super::{ATTEMPTS, Claim, Fence, FenceReport, Write};

/// How often the checkpoint of a partition whose offsets are in Kafka is written, and its commit read back.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);

/// The offsets of one group, which only the member whose claim stands can change.
#[derive(Debug)]
pub(crate) struct GroupOffsets {
    group: String,
    zookeeper: ZooKeeper,
    fence: Fence,
    /// Where offsets go besides, or instead of, the fence's own nodes.
    kafka: Option<Arc<dyn OffsetStore>>,
    /// Whether the fence's nodes are the offsets themselves.
    in_zookeeper: bool,
    checkpoints: Mutex<BTreeMap<TopicPartition, Checkpoint>>,
}

/// What was last committed to Kafka for a partition.
#[derive(Clone, Copy, Debug)]
struct Checkpoint {
    token: i64,
    offset: i64,
    written: Instant,
}

impl GroupOffsets {
    /// Offsets in ZooKeeper, and in `kafka` too if that is given.
    pub(crate) fn in_zookeeper(
        zookeeper: ZooKeeper,
        group: &str,
        kafka: Option<Arc<dyn OffsetStore>>,
        reports: mpsc::Sender<FenceReport>,
    ) -> Self {
        Self {
            fence: Fence::new(group, paths::offset, reports),
            group: group.to_owned(),
            zookeeper,
            kafka,
            in_zookeeper: true,
            checkpoints: Mutex::default(),
        }
    }

    /// Offsets in Kafka, with an epoch node for each partition in ZooKeeper.
    pub(crate) fn in_kafka(
        zookeeper: ZooKeeper,
        group: &str,
        kafka: Arc<dyn OffsetStore>,
        reports: mpsc::Sender<FenceReport>,
    ) -> Self {
        Self {
            fence: Fence::new(group, paths::epoch, reports),
            group: group.to_owned(),
            zookeeper,
            kafka: Some(kafka),
            in_zookeeper: false,
            checkpoints: Mutex::default(),
        }
    }

    /// Takes a claimed partition over from whoever had it before: their offsets cannot be stored any more, the start is read after
    /// that, and it is stored. Gives `None` where nothing is stored and `first` does not say where to begin instead.
    pub(crate) async fn take_over(
        &self,
        claim: &Claim,
        first: Option<i64>,
    ) -> Result<Option<Start>> {
        let Assignment { tp, token, .. } = &claim.assignment;
        for _ in 0..ATTEMPTS {
            let found = self.fence.read(claim).await?;
            let stored = self.stored(tp, found.as_ref()).await?;
            let Some(offset) = stored.or(first) else {
                return Ok(None);
            };
            let data = if self.in_zookeeper {
                format_offset(offset).into_bytes()
            } else {
                let (offset, token) = (Some(offset), Some(*token));
                Epoch { offset, token }.to_json()
            };
            if self.fence.take_over(claim, found.as_ref(), &data).await? {
                self.pin(claim, offset, stored.is_some()).await?;
                let committed = Some(offset);
                return Ok(Some(Start { offset, committed }));
            }
        }
        Err(divvy_client::Error::Fenced {
            tp: tp.clone(),
            why: "its offset is written by others all the time".to_owned(),
        })
    }

    /// What is stored for a partition that is being taken over.
    async fn stored(&self, tp: &TopicPartition, found: Option<&Node>) -> Result<Option<i64>> {
        let in_kafka = match &self.kafka {
            Some(kafka) => {
                let mut fetched = kafka.fetch(std::slice::from_ref(tp)).await?;
                fetched.remove(tp).unwrap_or(Ok(None))?
            }
            None => None,
        };
        if !self.in_zookeeper {
            let last = found.map_or_else(Epoch::default, |node| Epoch::parse(&node.data));
            let committed = in_kafka.as_ref();
            let committed = committed.map(|stored| (stored.offset, stored.metadata.as_str()));
            return Ok(begin(committed, last));
        }
        let path = paths::offset(&self.group, &tp.topic, tp.partition);
        let here = found.and_then(|node| parse_offset(&path, &node.data));
        Ok(here.max(in_kafka.map(|stored| stored.offset)))
    }

    /// Stores in Kafka where a partition starts, for whoever comes next.
    async fn pin(&self, claim: &Claim, offset: i64, stored: bool) -> Result<()> {
        let assignment = &claim.assignment;
        let checkpoint = Checkpoint {
            token: assignment.token,
            offset,
            written: Instant::now(),
        };
        self.checkpoints().insert(assignment.tp.clone(), checkpoint);
        match &self.kafka {
            Some(kafka) if !stored => {
                let mut done = kafka.commit(&[(assignment.clone(), offset)]).await?;
                done.remove(&assignment.tp).unwrap_or(Ok(()))
            }
            _ => Ok(()),
        }
    }

    /// The node that every claim of a partition writes before anything is handed out.
    pub(crate) fn fence_path(&self, tp: &TopicPartition) -> String {
        self.fence.path(tp)
    }

    /// Gives a partition up whose offset was committed.
    pub(crate) async fn release(&self, assignment: &Assignment) -> Result<()> {
        let last = self.checkpoints().remove(&assignment.tp);
        if let Some(last) = last.filter(|last| !self.in_zookeeper && last.token == assignment.token)
        {
            let mut done = self
                .fence
                .write(vec![checkpoint(assignment, last.offset)])
                .await;
            // Where it is fenced it is released all the same, if it is there to be.
            if let Some(Err(error @ divvy_client::Error::ZooKeeper(_))) =
                done.remove(&assignment.tp)
            {
                self.checkpoints().insert(assignment.tp.clone(), last);
                return Err(error);
            }
        }
        Ok(self.fence.release(assignment).await?)
    }

    /// Writes nothing under this claim any more.
    pub(crate) fn forget(&self, tp: &TopicPartition) {
        self.checkpoints().remove(tp);
        self.fence.forget(tp);
    }

    /// Looks whether somebody else has written where only the owner should.
    pub(crate) async fn audit(&self, assignment: &Assignment) -> Result<()> {
        self.fence.audit(assignment).await?;
        let last = self.checkpoints().get(&assignment.tp).copied();
        if let (Some(last), Some(kafka), false) = (last, &self.kafka, self.in_zookeeper)
            && last.token == assignment.token
        {
            let own = [(assignment.clone(), last.offset)];
            self.reassert(kafka.as_ref(), &own).await?;
        }
        Ok(())
    }

    fn checkpoints(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, Checkpoint>> {
        self.checkpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(
        &self,
        session: &Session,
        tp: &TopicPartition,
    ) -> Result<Option<CommittedOffset>> {
        let path = paths::offset(&self.group, &tp.topic, tp.partition);
        let found = session.get(&path).await?;
        let offset = found.and_then(|node| parse_offset(&path, &node.data));
        Ok(offset.map(|offset| CommittedOffset {
            offset,
            metadata: String::new(),
        }))
    }

    /// Stores offsets in Kafka, which cannot refuse those of a member that lost its partition: they are sent only if they arrive,
    /// or are given up, before the lease can end.
    async fn commit_to_kafka(
        &self,
        kafka: &dyn OffsetStore,
        offsets: &[(Assignment, i64)],
    ) -> Result<PerPartition<()>> {
        let mut results = PerPartition::new();
        let mut sendable = Vec::new();
        let mut within = Duration::MAX;
        for (assignment, offset) in offsets {
            let tp = assignment.tp.clone();
            match self.fence.time_left(assignment) {
                None => {
                    let why = "the claim under which it was read is over".to_owned();
                    results.insert(tp.clone(), Err(divvy_client::Error::Fenced { tp, why }));
                }
                Some(left) if left.is_zero() => {
                    results.insert(tp.clone(), Err(divvy_client::Error::Withheld { tp }));
                }
                Some(left) => {
                    within = within.min(left);
                    sendable.push((assignment.clone(), *offset));
                }
            }
        }
        if !sendable.is_empty() {
            let sent = match timeout(within, kafka.commit(&sendable)).await {
                Ok(sent) => sent?,
                Err(_) => sendable
                    .iter()
                    .map(|(Assignment { tp, .. }, _)| {
                        (
                            tp.clone(),
                            Err(divvy_client::Error::Withheld { tp: tp.clone() }),
                        )
                    })
                    .collect(),
            };
            results.extend(sent);
        }
        Ok(results)
    }

    /// Notes what was committed to Kafka, and now and then writes it into the epoch nodes and reads it back.
    async fn check_point(&self, kafka: &dyn OffsetStore, done: &[(Assignment, i64)]) {
        let mut due = Vec::new();
        {
            let mut checkpoints = self.checkpoints();
            for (assignment, offset) in done {
                let now = Instant::now();
                let entry = checkpoints.entry(assignment.tp.clone());
                let last = entry.or_insert(Checkpoint {
                    token: assignment.token,
                    offset: *offset,
                    written: now,
                });
                (last.token, last.offset) = (assignment.token, *offset);
                if last.written.elapsed() >= CHECKPOINT_INTERVAL {
                    last.written = now;
                    due.push((assignment.clone(), *offset));
                }
            }
        }
        if due.is_empty() {
            return;
        }
        let writes = due
            .iter()
            .map(|(assignment, offset)| checkpoint(assignment, *offset));
        // What fails is written the next time; who is fenced has been reported.
        let written = self.fence.write(writes.collect()).await;
        due.retain(|(assignment, _)| matches!(written.get(&assignment.tp), Some(Ok(()))));
        if let Err(error) = self.reassert(kafka, &due).await {
            tracing::debug!(%error, "commits cannot be read back");
        }
    }

    /// Notes what was committed to Kafka beside ZooKeeper.
    fn note(&self, done: &[(Assignment, i64)]) {
        let mut checkpoints = self.checkpoints();
        for (assignment, offset) in done {
            if let Some(last) = checkpoints.get_mut(&assignment.tp)
                && last.token == assignment.token
            {
                last.offset = *offset;
            }
        }
    }

    /// Repeats what was last committed to Kafka under a claim, if somebody who has none has written over it.
    pub(crate) async fn repeat(&self, assignment: &Assignment) -> Result<()> {
        let Some(kafka) = &self.kafka else {
            return Ok(());
        };
        let tp = &assignment.tp;
        let mut stored = kafka.fetch(std::slice::from_ref(tp)).await?;
        // After that, so that it is no older than what was read unless somebody else wrote that.
        let last = self.checkpoints().get(tp).copied();
        let last = last.filter(|last| last.token == assignment.token);
        let (Some(stored), Some(last)) = (stored.remove(tp).unwrap_or(Ok(None))?, last) else {
            return Ok(());
        };
        let own = committed_token(&stored.metadata) == Some(last.token);
        if stored.offset == last.offset || own && stored.offset > last.offset {
            return Ok(());
        }
        let (offset, theirs) = (last.offset, stored.offset);
        self.fence.report(
            assignment,
            format!("a member that had given the partition up committed {theirs} after that; {offset} is committed over it"),
            false,
        );
        let again = [(assignment.clone(), offset)];
        self.commit_to_kafka(kafka.as_ref(), &again).await?;
        Ok(())
    }

    /// Reads commits back, and repeats those that somebody else has written over.
    async fn reassert(&self, kafka: &dyn OffsetStore, own: &[(Assignment, i64)]) -> Result<()> {
        let tps: Vec<_> = own.iter().map(|(held, _)| held.tp.clone()).collect();
        let stored = kafka.fetch(&tps).await?;
        let foreign = |held: &Assignment| {
            let stored = stored.get(&held.tp)?.as_ref().ok()?.as_ref()?;
            let token = committed_token(&stored.metadata);
            (token.is_some_and(|token| token != held.token)).then_some(stored.offset)
        };
        let mut again = Vec::new();
        for (held, offset) in own {
            if let Some(theirs) = foreign(held) {
                self.fence.report(
                    held,
                    format!("a member that has lost the partition committed {theirs}; {offset} is committed over it"),
                    false,
                );
                again.push((held.clone(), *offset));
            }
        }
        if !again.is_empty() {
            self.commit_to_kafka(kafka, &again).await?;
        }
        Ok(())
    }
}

fn checkpoint(assignment: &Assignment, offset: i64) -> Write {
    let epoch = Epoch {
        offset: Some(offset),
        token: Some(assignment.token),
    };
    Write {
        assignment: assignment.clone(),
        data: epoch.to_json(),
    }
}

#[async_trait]
impl OffsetStore for GroupOffsets {
    async fn fetch(&self, tps: &[TopicPartition]) -> Result<PerPartition<Option<CommittedOffset>>> {
        let mut found = match &self.kafka {
            Some(kafka) => kafka.fetch(tps).await?,
            None => PerPartition::new(),
        };
        if self.in_zookeeper {
            let session = self.zookeeper.session().await?;
            // Pipelined on one connection.
            let reads = tps.iter().map(|tp| self.read(&session, tp));
            for (tp, here) in tps.iter().zip(join_all(reads).await) {
                let larger = match (here, found.remove(tp)) {
                    (Err(error), _) | (_, Some(Err(error))) => Err(error),
                    (Ok(here), there) => Ok(here
                        .into_iter()
                        .chain(there.and_then(Result::ok).flatten())
                        .max_by_key(|stored| stored.offset)),
                };
                found.insert(tp.clone(), larger);
            }
        }
        Ok(found)
    }

    async fn commit(&self, offsets: &[(Assignment, i64)]) -> Result<PerPartition<()>> {
        if !self.in_zookeeper {
            let Some(kafka) = &self.kafka else {
                return Ok(PerPartition::new());
            };
            let results = self.commit_to_kafka(kafka.as_ref(), offsets).await?;
            let done = successes(offsets, &results);
            self.check_point(kafka.as_ref(), &done).await;
            return Ok(results);
        }
        let writes = offsets.iter().map(|(assignment, offset)| Write {
            assignment: assignment.clone(),
            data: format_offset(*offset).into_bytes(),
        });
        let mut results = self.fence.write(writes.collect()).await;
        if let Some(kafka) = &self.kafka {
            let written = successes(offsets, &results);
            if !written.is_empty() {
                let sent = self.commit_to_kafka(kafka.as_ref(), &written).await?;
                self.note(&successes(&written, &sent));
                results.extend(sent);
            }
        }
        Ok(results)
    }

    fn forgets_after(&self) -> Option<Duration> {
        self.kafka.as_ref()?.forgets_after()
    }
}

fn successes(offsets: &[(Assignment, i64)], results: &PerPartition<()>) -> Vec<(Assignment, i64)> {
    let ok = |tp: &TopicPartition| matches!(results.get(tp), Some(Ok(())));
    let done = offsets.iter().filter(|(held, _)| ok(&held.tp));
    done.cloned().collect()
}
