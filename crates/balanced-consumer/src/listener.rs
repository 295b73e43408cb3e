use async_trait::async_trait;
use divvy_simple_consumer::Assignment;

/// Is told of the partitions that come and go, at defined moments.
///
/// The methods run on the group's own thread and are awaited there, each within
/// [`listener_timeout`](crate::BalancedConsumerConfig::listener_timeout); they must not block it. PyKafka:
/// `post_rebalance_callback`; Kafka 0.9: `ConsumerRebalanceListener`.
#[async_trait]
pub trait RebalanceListener: Send + Sync {
    /// These partitions are claimed and their positions are known; none of their messages has been handed out.
    async fn on_partitions_assigned(&self, partitions: &[Assignment]) {
        let _ = partitions;
    }

    /// These partitions move to another member. Nothing of them is handed out any more, and what was handed out is finished (or
    /// the drain timeout has passed); they are not committed and not released yet.
    async fn on_partitions_revoked(&self, partitions: &[Assignment]) {
        let _ = partitions;
    }

    /// These partitions were taken away: another member may have them already. Nothing of them can be committed any more.
    async fn on_partitions_lost(&self, partitions: &[Assignment]) {
        let _ = partitions;
    }
}

/// A listener that wants to know nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Silent;

impl RebalanceListener for Silent {}
