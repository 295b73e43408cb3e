//! What became of each tuple, in all of Storm's tasks together.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};

use super::shell::Tuple;

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    tuples: BTreeMap<(i32, i64), Account>,
    /// The first offset of each partition that is not acknowledged.
    first_unacked: BTreeMap<i32, i64>,
    acked: usize,
    failed: usize,
}

#[derive(Debug, Default)]
struct Account {
    number: String,
    emitted: u32,
    acked: u32,
}

impl Ledger {
    pub(crate) fn emitted(&mut self, tuple: &Tuple) -> Result<()> {
        let place = (tuple.partition, tuple.offset);
        let number = tuple.value.as_str().context("a value that is no text")?;
        let account = self.tuples.entry(place).or_default();
        ensure!(
            account.emitted == 0 || account.number == number,
            "{place:?} was {} and is {number} now",
            account.number
        );
        number.clone_into(&mut account.number);
        account.emitted += 1;
        Ok(())
    }

    /// To be called before the spout is told, so that nothing is committed that is not known here.
    pub(crate) fn acked(&mut self, tuple: &Tuple) {
        let account = self.tuples.entry((tuple.partition, tuple.offset));
        let account = account.or_default();
        account.acked += 1;
        self.acked += usize::from(account.acked == 1);
        let first = self.first_unacked.entry(tuple.partition).or_default();
        let is_acked = |at: &i64| {
            let account = self.tuples.get(&(tuple.partition, *at));
            account.is_some_and(|account| account.acked > 0)
        };
        while is_acked(first) {
            *first += 1;
        }
    }

    pub(crate) fn failed(&mut self) {
        self.failed += 1;
    }

    /// How many tuples are acknowledged, each counted once.
    pub(crate) fn count_acked(&self) -> usize {
        self.acked
    }

    pub(crate) fn count_failed(&self) -> usize {
        self.failed
    }

    /// How often tuples were emitted again.
    pub(crate) fn count_repeated(&self) -> usize {
        let repeats = self.tuples.values().map(|account| account.emitted - 1);
        repeats.map(|repeats| repeats as usize).sum()
    }

    /// Nothing is committed beyond what is acknowledged without a gap.
    pub(crate) fn covers(&self, committed: &BTreeMap<i32, i64>) -> Result<()> {
        for (partition, offset) in committed {
            let first = self.first_unacked.get(partition).copied();
            let first = first.unwrap_or_default();
            ensure!(
                first >= *offset,
                "offset {offset} of partition {partition} is committed, and {first} is not acknowledged"
            );
        }
        Ok(())
    }

    /// Everything is acknowledged, and all of it is committed.
    pub(crate) fn is_settled(&self, tuples: usize, committed: &BTreeMap<i32, i64>) -> Result<()> {
        let numbers: BTreeSet<&String> = self.tuples.values().map(|a| &a.number).collect();
        let (places, different) = (self.tuples.len(), numbers.len());
        ensure!(
            (places, different, self.acked) == (tuples, tuples, tuples),
            "{tuples} numbers were written, and {different} emitted from {places} places, {} of them acknowledged",
            self.acked
        );
        ensure!(
            *committed == self.first_unacked,
            "{committed:?} is committed, and {:?} is acknowledged",
            self.first_unacked
        );
        Ok(())
    }
}
