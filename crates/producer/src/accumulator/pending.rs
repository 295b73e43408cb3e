use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use divvy_client::TopicPartition;

use crate::error::{Error, Result};
use crate::outcome::Outcome;

/// Records without an outcome, all in one batch.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) outcome: Arc<Outcome>,
    pub(crate) numbers: Range<u32>,
}

/// Counts records that were not delivered, by partition.
#[derive(Debug, Default)]
pub(crate) struct Undelivered {
    partitions: BTreeMap<TopicPartition, usize>,
    first: Option<Error>,
}

impl Undelivered {
    pub(crate) fn add(&mut self, tp: &TopicPartition, records: usize, error: Error) {
        *self.partitions.entry(tp.clone()).or_default() += records;
        self.first.get_or_insert(error);
    }

    /// # Errors
    ///
    /// [`Error::Undelivered`] if any were counted.
    pub(crate) fn into_result(self) -> Result<()> {
        match self.first {
            None => Ok(()),
            Some(first) => Err(Error::Undelivered {
                partitions: self.partitions.into_iter().collect(),
                first: Box::new(first),
            }),
        }
    }
}

/// Waits until all of these have their outcome.
///
/// # Errors
///
/// [`Error::Undelivered`] if any has failed.
pub(crate) async fn outcome_of(pending: Vec<Pending>) -> Result<()> {
    let mut undelivered = Undelivered::default();
    for Pending { outcome, numbers } in pending {
        for (records, error) in outcome.failures(&numbers).await {
            undelivered.add(outcome.partition(), records, error);
        }
    }
    undelivered.into_result()
}
