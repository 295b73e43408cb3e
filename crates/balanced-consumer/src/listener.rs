use std::collections::BTreeMap;
use std::error::Error as StdError;

use async_trait::async_trait;
use divvy_client::TopicPartition;
use divvy_simple_consumer::{Assignment, Engine, Error, Result, Start};

/// What a listener may fail with. It is reported as an event, and the rebalance goes on.
pub type ListenerError = Box<dyn StdError + Send + Sync>;

/// Is told of the partitions that come and go, at defined moments, one call after the other.
///
/// The methods run on the group's own thread and are awaited there, each within
/// [`listener_timeout`](crate::BalancedConsumerConfig::listener_timeout); they must not block it. One that fails or takes too long
/// is reported ([`Event::Error`](divvy_simple_consumer::Event::Error)), and the group goes on without it. PyKafka:
/// `post_rebalance_callback`; Kafka 0.9: `ConsumerRebalanceListener`.
#[async_trait]
pub trait RebalanceListener: Send + Sync {
    /// These partitions are claimed and their starts are known; none of their messages has been handed out. The listener may choose
    /// other starts.
    async fn on_partitions_assigned(&self, assigned: &mut Assigned) -> Result<(), ListenerError> {
        let _ = assigned;
        Ok(())
    }

    /// These partitions move to another member. Nothing of them is handed out any more, and what was handed out is finished (or
    /// the drain timeout has passed); they are not committed and not released yet, and offsets that the listener commits count.
    async fn on_partitions_revoked(&self, revoked: &Revoked<'_>) -> Result<(), ListenerError> {
        let _ = revoked;
        Ok(())
    }

    /// These partitions were taken away: another member may have them already. Nothing of them can be committed any more.
    async fn on_partitions_lost(&self, lost: &[Assignment]) -> Result<(), ListenerError> {
        let _ = lost;
        Ok(())
    }
}

/// A listener that wants to know nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Silent;

impl RebalanceListener for Silent {}

/// Partitions that were assigned, and where they will start.
#[derive(Clone, Debug)]
pub struct Assigned {
    partitions: Vec<Assignment>,
    starts: BTreeMap<TopicPartition, Start>,
}

impl Assigned {
    pub(crate) fn new(starts: Vec<(Assignment, Start)>) -> Self {
        Self {
            partitions: starts.iter().map(|(held, _)| held.clone()).collect(),
            starts: starts
                .into_iter()
                .map(|(held, start)| (held.tp, start))
                .collect(),
        }
    }

    /// The partitions, in order.
    pub fn partitions(&self) -> &[Assignment] {
        &self.partitions
    }

    /// The offset of the first message of a partition that will be handed out; `None` for one that is not among them.
    pub fn start(&self, tp: &TopicPartition) -> Option<i64> {
        self.starts.get(tp).map(|start| start.offset)
    }

    /// Makes a partition start elsewhere. That offset is committed as if everything before it were finished. Has no effect for a
    /// partition that is not among them, or a negative offset.
    pub fn start_at(&mut self, tp: &TopicPartition, offset: i64) {
        if let Some(start) = self.starts.get_mut(tp)
            && offset >= 0
        {
            start.offset = offset;
        }
    }

    pub(crate) fn into_starts(mut self) -> Vec<(Assignment, Start)> {
        let partitions = self.partitions.into_iter();
        partitions
            .filter_map(|held| {
                let start = self.starts.remove(&held.tp)?;
                Some((held, start))
            })
            .collect()
    }
}

/// Partitions that are about to be given up.
#[derive(Debug)]
pub struct Revoked<'a> {
    partitions: &'a [Assignment],
    engine: &'a Engine,
}

impl<'a> Revoked<'a> {
    pub(crate) fn new(engine: &'a Engine, partitions: &'a [Assignment]) -> Self {
        Self { partitions, engine }
    }

    /// The partitions, in order.
    pub fn partitions(&self) -> &'a [Assignment] {
        self.partitions
    }

    /// Commits what is finished of them, also where
    /// [`auto_commit_interval`](divvy_simple_consumer::ConsumerConfig::auto_commit_interval) is `None`.
    pub async fn commit(&self) -> Result<()> {
        let tps: Vec<_> = self.partitions.iter().map(|held| held.tp.clone()).collect();
        self.engine.commit_finished(Some(&tps)).await
    }

    /// Commits these offsets, each the next one to read, whatever is finished.
    ///
    /// # Errors
    ///
    /// [`Error::NotAssigned`] for a partition that is not among those that are given up, and those of a commit.
    pub async fn commit_to(&self, offsets: &BTreeMap<TopicPartition, i64>) -> Result<()> {
        let given_up = |tp: &TopicPartition| self.partitions.iter().any(|held| held.tp == *tp);
        match offsets.keys().find(|tp| !given_up(tp)) {
            Some(tp) => Err(Error::NotAssigned { tp: tp.clone() }),
            None => self.engine.commit_to(offsets).await,
        }
    }
}
