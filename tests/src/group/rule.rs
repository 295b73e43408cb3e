//! How partitions must be shared out.

use std::collections::{BTreeMap, BTreeSet};

use super::{Owners, Partition};

#[cfg(test)]
mod tests;

/// How the members share partitions out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Each topic in runs of partitions.
    Range,
    /// All partitions of all topics dealt out in turn.
    RoundRobin,
}

impl Rule {
    /// What Kafka and divvy call it.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Range => "range",
            Rule::RoundRobin => "roundrobin",
        }
    }
}

/// Kafka's range rule: each topic in runs of partitions, the first threads with one more where it does not come out even.
pub(super) fn range(
    topics: &BTreeMap<String, i32>,
    threads: &BTreeSet<String>,
) -> BTreeMap<Partition, String> {
    let mut owners = BTreeMap::new();
    for (topic, partitions) in topics {
        let mut partitions = 0..*partitions;
        let mut left = threads.len();
        for thread in threads {
            let run = partitions.len().div_ceil(left);
            left -= 1;
            for partition in partitions.by_ref().take(run) {
                owners.insert((topic.clone(), partition), thread.clone());
            }
        }
    }
    owners
}

/// Whether every partition is owned, and no thread has two more than another.
pub(super) fn is_balanced(partitions: i32, threads: &BTreeSet<String>, owners: &Owners) -> bool {
    let shares: Vec<usize> = threads
        .iter()
        .map(|thread| {
            owners
                .values()
                .filter(|owner| owner.text == *thread)
                .count()
        })
        .collect();
    let (least, most) = (shares.iter().min().copied(), shares.iter().max().copied());
    usize::try_from(partitions) == Ok(shares.iter().sum())
        && most.unwrap_or_default() <= least.unwrap_or_default() + 1
}
