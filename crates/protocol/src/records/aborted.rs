//! Which transactional batches were aborted.

use std::collections::HashSet;

use super::batch::{BatchHeader, Marker};

/// The broker's list of aborted transactions, played along with the batches of one set.
///
/// A producer's batches are dropped from its transaction's first offset up to the marker that ends
/// it. A Fetch response lists the transactions that touch what it carries, not always in order.
#[derive(Clone, Debug, Default)]
pub(super) struct AbortedTransactions {
    /// `(first_offset, producer_id)`, from the last to the first, so that the next one is at the
    /// end.
    ahead: Vec<(i64, i64)>,
    open: HashSet<i64>,
}

impl AbortedTransactions {
    /// From `(producer_id, first_offset)` pairs in any order.
    pub(super) fn new(listed: &[(i64, i64)]) -> Self {
        let mut ahead: Vec<_> = listed
            .iter()
            .map(|&(producer, first)| (first, producer))
            .collect();
        ahead.sort_unstable_by(|a, b| b.cmp(a));
        Self {
            ahead,
            open: HashSet::new(),
        }
    }

    /// Opens the transactions that begin at or before `last_offset`.
    pub(super) fn advance_to(&mut self, last_offset: i64) {
        while let Some((_, producer)) = self.ahead.pop_if(|(first, _)| *first <= last_offset) {
            self.open.insert(producer);
        }
    }

    /// Whether the batch belongs to an aborted transaction.
    pub(super) fn covers(&self, batch: &BatchHeader) -> bool {
        !batch.is_control() && batch.is_transactional() && self.open.contains(&batch.producer_id)
    }

    /// Ends the producer's transaction if that is what its marker says.
    pub(super) fn close(&mut self, producer_id: i64, marker: Marker) {
        if marker == Marker::Abort {
            self.open.remove(&producer_id);
        }
    }
}
