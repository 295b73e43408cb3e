//! Partitions that a PyKafka member claims and does not read.
//!
//! A PyKafka member that fails to get one of its partitions keeps the claims that it made before, and goes on reading what it had.
//! Nobody else can read those partitions then, and nothing but their offsets tells.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use divvy_client::OffsetSpec;
use divvy_protocol::TopicPartition;
use divvy_simple_consumer::{Engine, Event, OffsetStore};
use divvy_zookeeper::paths;
use futures_util::FutureExt;

use super::{Answer, Driver, Registered};
use crate::fence::GroupOffsets;
use crate::machine::{Owners, Time};

/// How long a partition's offset may stand still while messages come. PyKafka's members commit every minute by default.
const STANDS_STILL: Duration = Duration::from_secs(180);

/// How far a partition of somebody else's is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    owner: String,
    committed: Option<i64>,
    /// The offset of the next message that is written.
    end: i64,
}

/// How far the partitions of others were.
#[derive(Debug, Default)]
pub(super) struct Unread(BTreeMap<TopicPartition, (Standing, Time)>);

impl Unread {
    /// Takes notice of how far they are now, and gives those to be reported, with their owners.
    fn look(
        &mut self,
        now: Time,
        standings: BTreeMap<TopicPartition, Standing>,
    ) -> Vec<(TopicPartition, String)> {
        self.0.retain(|tp, _| standings.contains_key(tp));
        let mut unread = Vec::new();
        for (tp, standing) in standings {
            let (first, since) = self
                .0
                .entry(tp.clone())
                .or_insert_with(|| (standing.clone(), now));
            let reads = standing.committed != first.committed || standing.owner != first.owner;
            // What has no message that is not committed may stand still.
            let nothing_new = standing.end <= first.end || standing.committed >= Some(standing.end);
            if reads || nothing_new {
                (*first, *since) = (standing, now);
            } else if now.since(*since) >= STANDS_STILL {
                *since = now;
                unread.push((tp, standing.owner));
            }
        }
        unread
    }
}

impl Driver {
    /// Finds out how far the partitions of PyKafka's own members are.
    pub(super) fn measure_others(&mut self, owners: &Owners) {
        if !matches!(self.member.registration, Registered::PyKafka { .. }) {
            return;
        }
        let theirs = owners.owners.iter();
        let theirs: BTreeMap<_, _> = theirs
            .filter(|(_, owner)| !paths::is_own_pykafka_consumer_id(owner))
            .map(|(tp, owner)| (tp.clone(), owner.clone()))
            .collect();
        let engine = Arc::clone(&self.engine);
        let offsets = Arc::clone(&self.member.offsets);
        let incarnation = self.machine.incarnation();
        let task = async move {
            Answer {
                standings: standings(&engine, &offsets, theirs).await,
                ..Answer::new(incarnation, Vec::new())
            }
        };
        self.tasks.push(task.boxed());
    }

    /// Reports what of it seems not to be read.
    pub(super) fn report_unread(&mut self, standings: BTreeMap<TopicPartition, Standing>) {
        let now = self.now();
        for (tp, owner) in self.unread.look(now, standings) {
            let message = format!(
                "{tp} is claimed by {owner}, which has committed nothing of it for {STANDS_STILL:?} although messages came; a PyKafka member may claim what it does not read, and reads it when it is started again"
            );
            self.engine.emit(Event::Error { message });
        }
    }
}

/// How far partitions are, as far as that can be found out; `None` where nobody answers.
async fn standings(
    engine: &Engine,
    offsets: &GroupOffsets,
    owners: BTreeMap<TopicPartition, String>,
) -> Option<BTreeMap<TopicPartition, Standing>> {
    if owners.is_empty() {
        return Some(BTreeMap::new());
    }
    let tps: Vec<_> = owners.keys().cloned().collect();
    let mut committed = offsets.fetch(&tps).await.ok()?;
    let ends = tps.into_iter().map(|tp| (tp, OffsetSpec::Latest)).collect();
    let mut ends = engine.backend().list_offsets(&ends).await;
    let standing = |(tp, owner): (TopicPartition, String)| {
        let committed = committed.remove(&tp)?.ok()?;
        let standing = Standing {
            owner,
            committed: committed.map(|committed| committed.offset),
            end: ends.remove(&tp)?.ok()??,
        };
        Some((tp, standing))
    };
    Some(owners.into_iter().filter_map(standing).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(owner: &str, committed: Option<i64>, end: i64) -> Standing {
        let owner = owner.to_owned();
        Standing {
            owner,
            committed,
            end,
        }
    }

    /// What is reported after each of these looks, a minute apart.
    fn reported(looks: &[Standing]) -> Vec<usize> {
        let tp = TopicPartition::new("t", 0);
        let mut unread = Unread::default();
        let look = |(minute, standing): (usize, &Standing)| {
            let now = Time::since_origin(Duration::from_secs(60 * minute as u64));
            let found = unread.look(now, [(tp.clone(), standing.clone())].into());
            (!found.is_empty()).then_some(minute)
        };
        looks.iter().enumerate().filter_map(look).collect()
    }

    #[test]
    fn an_offset_that_stands_still_while_messages_come_is_reported_now_and_then() {
        for committed in [None, Some(5)] {
            let looks: Vec<_> = (0..8)
                .map(|n| standing("a", committed, 10 + i64::from(n)))
                .collect();
            assert_eq!(reported(&looks), [3, 6], "{committed:?}");
        }
    }

    #[test]
    fn what_is_read_or_has_nothing_to_read_is_not() {
        let read: Vec<_> = (0..8)
            .map(|n| standing("a", Some(i64::from(n / 2)), 10 + i64::from(n)))
            .collect();
        let silent = vec![standing("a", Some(5), 10); 8];
        let all_read = vec![standing("a", Some(10), 10); 8];
        let handed_on: Vec<_> = (0..8)
            .map(|n| standing(["a", "b"][n / 2 % 2], Some(5), 10 + n as i64))
            .collect();
        for looks in [read, silent, all_read, handed_on] {
            assert!(reported(&looks).is_empty(), "{looks:?}");
        }
    }
}
