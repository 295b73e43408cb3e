//! How partitions must be shared out.

use std::collections::{BTreeMap, BTreeSet};

use crate::owners::Owners;
use crate::printed::Partition;

/// How the members share partitions out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Range,
    RoundRobin,
}

/// Kafka's range rule: each topic in runs of partitions, the first threads with one more where it does not come out even.
pub(crate) fn range(
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
pub(crate) fn is_balanced(partitions: i32, threads: &BTreeSet<String>, owners: &Owners) -> bool {
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

#[test]
fn the_range_rule_is_kafkas() {
    let threads = BTreeSet::from(["a-0", "a-1", "b-0"].map(str::to_owned));
    let owners = range(&BTreeMap::from([("t".to_owned(), 8)]), &threads);
    assert_eq!(
        owners.values().collect::<Vec<_>>(),
        ["a-0", "a-0", "a-0", "a-1", "a-1", "a-1", "b-0", "b-0"]
    );
    let owners = range(&BTreeMap::from([("t".to_owned(), 2)]), &threads);
    assert_eq!(owners.values().collect::<Vec<_>>(), ["a-0", "a-1"]);
}
