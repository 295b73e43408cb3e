use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::{Assigned, Assignment, ListenerError, TopicPartition};

/// Is told of the partitions that come and go, as [`divvy::RebalanceListener`](crate::RebalanceListener), with methods that may
/// block: each call has a thread of its own, so that the group goes on, and one comes after the other.
///
/// A call that takes longer than [`listener_timeout`](crate::BalancedConsumerConfig::listener_timeout) is not waited for any
/// longer, and goes on all the same.
pub trait RebalanceListener: Send + Sync + 'static {
    /// These partitions are claimed and their starts are known; none of their messages has been handed out. The listener may choose
    /// other starts.
    fn on_partitions_assigned(&self, assigned: &mut Assigned) -> Result<(), ListenerError> {
        let _ = assigned;
        Ok(())
    }

    /// These partitions move to another member. Nothing of them is handed out any more, and what was handed out is finished (or
    /// the drain timeout has passed).
    fn on_partitions_revoked(&self, revoked: &mut Revoked) -> Result<(), ListenerError> {
        let _ = revoked;
        Ok(())
    }

    /// These partitions were taken away: another member may have them already.
    fn on_partitions_lost(&self, lost: &[Assignment]) -> Result<(), ListenerError> {
        let _ = lost;
        Ok(())
    }
}

/// Makes a listener that may block one for a [`BalancedConsumerConfig`](crate::BalancedConsumerConfig).
///
/// ```
/// use divvy::blocking::{RebalanceListener, listener};
/// use divvy::{Assigned, BalancedConsumerConfig, ListenerError, ZooKeeperConfig};
///
/// struct Printing;
///
/// impl RebalanceListener for Printing {
///     fn on_partitions_assigned(&self, assigned: &mut Assigned) -> Result<(), ListenerError> {
///         println!("{:?}", assigned.partitions());
///         Ok(())
///     }
/// }
///
/// let zookeeper = ZooKeeperConfig::new("127.0.0.1:2181");
/// let config = BalancedConsumerConfig {
///     listener: listener(Printing),
///     ..BalancedConsumerConfig::new(zookeeper, "billing", ["orders"])
/// };
/// assert_eq!(config.group, "billing");
/// ```
pub fn listener(listener: impl RebalanceListener) -> Arc<dyn crate::RebalanceListener> {
    Arc::new(OnThreads(Arc::new(listener)))
}

/// Partitions that are about to be given up, and what is to be committed of them before that.
#[derive(Clone, Debug)]
pub struct Revoked {
    partitions: Vec<Assignment>,
    commit: Commit,
}

#[derive(Clone, Debug)]
enum Commit {
    AsConfigured,
    Finished,
    To(BTreeMap<TopicPartition, i64>),
}

impl Revoked {
    /// The partitions, in order.
    pub fn partitions(&self) -> &[Assignment] {
        &self.partitions
    }

    /// Has what is finished of them committed when the listener returns, also where
    /// [`auto_commit_interval`](crate::ConsumerConfig::auto_commit_interval) is `None`.
    pub fn commit(&mut self) {
        self.commit = Commit::Finished;
    }

    /// Has these offsets committed when the listener returns, each the next one to read, whatever is finished.
    pub fn commit_to(&mut self, offsets: BTreeMap<TopicPartition, i64>) {
        self.commit = Commit::To(offsets);
    }
}

struct OnThreads<L>(Arc<L>);

impl<L: RebalanceListener> OnThreads<L> {
    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&L) -> Result<T, ListenerError> + Send + 'static,
    ) -> Result<T, ListenerError> {
        let listener = Arc::clone(&self.0);
        let (done, outcome) = oneshot::channel();
        // A thread of no runtime, so that the listener may call whatever blocks.
        std::thread::Builder::new()
            .name("divvy-listener".to_owned())
            .spawn(move || {
                // Nobody waits any more for one that took too long.
                let _ = done.send(call(&listener));
            })?;
        outcome.await.map_err(|_| "the listener has panicked")?
    }
}

#[async_trait]
impl<L: RebalanceListener> crate::RebalanceListener for OnThreads<L> {
    async fn on_partitions_assigned(&self, assigned: &mut Assigned) -> Result<(), ListenerError> {
        let mut changed = assigned.clone();
        *assigned = self
            .call(move |listener| {
                listener.on_partitions_assigned(&mut changed)?;
                Ok(changed)
            })
            .await?;
        Ok(())
    }

    async fn on_partitions_revoked(
        &self,
        revoked: &crate::Revoked<'_>,
    ) -> Result<(), ListenerError> {
        let mut told = Revoked {
            partitions: revoked.partitions().to_vec(),
            commit: Commit::AsConfigured,
        };
        let told = self
            .call(move |listener| {
                listener.on_partitions_revoked(&mut told)?;
                Ok(told)
            })
            .await?;
        match told.commit {
            Commit::AsConfigured => {}
            Commit::Finished => revoked.commit().await?,
            Commit::To(offsets) => revoked.commit_to(&offsets).await?,
        }
        Ok(())
    }

    async fn on_partitions_lost(&self, lost: &[Assignment]) -> Result<(), ListenerError> {
        let lost = lost.to_vec();
        self.call(move |listener| listener.on_partitions_lost(&lost))
            .await
    }
}
