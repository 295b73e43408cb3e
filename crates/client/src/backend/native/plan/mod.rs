//! What is fetched next and what an answer means: the part of the fetch path that does no I/O.

mod answer;
mod room;

use std::collections::BTreeMap;
use std::sync::Arc;

use divvy_protocol::TopicPartition;
use divvy_protocol::api::{FetchPartition, FetchRequest, FetchTopic};
use tokio::time::Instant;

use super::config::{FetchConfig, IsolationLevel};
use crate::backend::{Generation, Prefetch};
use crate::backoff::Backoff;
use crate::metadata::Metadata;

/// The partitions that are fetched, and how far each has come.
#[derive(Debug)]
pub(super) struct Plan {
    config: FetchConfig,
    backoff: Backoff,
    prefetch: Arc<Prefetch>,
    partitions: BTreeMap<TopicPartition, Position>,
    /// The partition that may exceed its share of the queue, for a message that is larger.
    oversized: Option<TopicPartition>,
    requests: u64,
    /// Which partition comes first in the next request: a large message at the front must not starve those behind it.
    rotation: usize,
}

#[derive(Debug)]
struct Position {
    generation: Generation,
    next_offset: i64,
    /// How much is asked for, while a message does not fit into what is usual.
    grown: Option<usize>,
    /// The request that fetches it now, and the broker that it was sent to.
    in_flight: Option<Ticket>,
    /// Stands still until it is started again.
    halted: bool,
    retry_at: Option<Instant>,
    backoff: Backoff,
}

/// One request to one broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    broker: i32,
    request: u64,
}

/// A request, and what it was made for.
#[derive(Debug)]
pub(super) struct Planned {
    ticket: Ticket,
    pub(super) request: FetchRequest,
    asked: BTreeMap<TopicPartition, Asked>,
}

#[derive(Debug)]
struct Asked {
    generation: Generation,
    from_offset: i64,
    size: usize,
}

/// What to do next for a broker.
#[derive(Debug)]
pub(super) enum Next {
    Fetch(Planned),
    /// Nothing can be fetched now; something may be at this time, or on the next demand.
    Wait(Option<Instant>),
}

impl Plan {
    pub(super) fn new(config: FetchConfig, backoff: Backoff, prefetch: Arc<Prefetch>) -> Self {
        Self {
            config,
            backoff,
            prefetch,
            partitions: BTreeMap::new(),
            oversized: None,
            requests: 0,
            rotation: 0,
        }
    }

    pub(super) fn start(&mut self, tp: &TopicPartition, from_offset: i64) {
        let position = Position {
            generation: self.prefetch.open(tp),
            next_offset: from_offset,
            grown: None,
            in_flight: None,
            halted: false,
            retry_at: None,
            backoff: self.backoff.clone(),
        };
        self.partitions.insert(tp.clone(), position);
    }

    pub(super) fn stop(&mut self, tp: &TopicPartition) {
        self.partitions.remove(tp);
        self.prefetch.close(tp);
    }

    pub(super) fn clear(&mut self) {
        for tp in std::mem::take(&mut self.partitions).keys() {
            self.prefetch.close(tp);
        }
    }

    /// The brokers that lead something to be fetched.
    pub(super) fn leaders(&self, metadata: &Metadata) -> Vec<i32> {
        let mut leaders: Vec<i32> = self
            .active()
            .filter_map(|(tp, _)| metadata.leader(tp))
            .collect();
        leaders.sort_unstable();
        leaders.dedup();
        leaders
    }

    /// Whether some partition has no leader that is known.
    pub(super) fn misses_a_leader(&self, metadata: &Metadata) -> bool {
        self.active().any(|(tp, _)| metadata.leader(tp).is_none())
    }

    fn active(&self) -> impl Iterator<Item = (&TopicPartition, &Position)> {
        self.partitions
            .iter()
            .filter(|(_, position)| !position.halted)
    }

    /// Makes the next request to a broker: every partition that it leads, that has room, and that no other request is fetching.
    pub(super) fn next(&mut self, broker: i32, metadata: &Metadata, now: Instant) -> Next {
        let mut asked = BTreeMap::new();
        let mut oversized = Vec::new();
        let mut wake = None;
        // Shares shrink as partitions are added: what the first ones hold already must not come on top.
        let mut queued = self.queued();
        for (tp, position) in self.active() {
            if metadata.leader(tp) != Some(broker) {
                continue;
            }
            // A request to a former leader may hang as long as it likes.
            if position
                .in_flight
                .is_some_and(|ticket| ticket.broker == broker)
            {
                continue;
            }
            if let Some(at) = position.retry_at.filter(|at| *at > now) {
                wake = Some(wake.map_or(at, |wake: Instant| wake.min(at)));
                continue;
            }
            let Some(size) = self.size(tp, position, queued) else {
                continue;
            };
            let wanted = Asked {
                generation: position.generation,
                from_offset: position.next_offset,
                size,
            };
            if size > self.prefetch.fill(tp).share {
                oversized.push((tp.clone(), wanted));
            } else {
                queued += size;
                asked.insert(tp.clone(), wanted);
            }
        }
        if let Some((tp, wanted)) = self.next_oversized(oversized) {
            self.oversized = Some(tp.clone());
            asked.insert(tp, wanted);
        }
        if asked.is_empty() {
            return Next::Wait(wake);
        }
        self.requests += 1;
        let ticket = Ticket {
            broker,
            request: self.requests,
        };
        for tp in asked.keys() {
            if let Some(position) = self.partitions.get_mut(tp) {
                position.in_flight = Some(ticket);
            }
        }
        let request = self.request(&asked);
        Next::Fetch(Planned {
            ticket,
            request,
            asked,
        })
    }

    fn request(&mut self, asked: &BTreeMap<TopicPartition, Asked>) -> FetchRequest {
        let mut topics: Vec<FetchTopic> = Vec::new();
        self.rotation = (self.rotation + 1) % asked.len();
        let (first, rest) = (
            asked.iter().skip(self.rotation),
            asked.iter().take(self.rotation),
        );
        let mut total: usize = 0;
        for (tp, wanted) in first.chain(rest) {
            total = total.saturating_add(wanted.size);
            let partition = FetchPartition {
                partition: tp.partition,
                current_leader_epoch: -1,
                fetch_offset: wanted.from_offset,
                log_start_offset: -1,
                max_bytes: int(wanted.size),
            };
            match topics.last_mut() {
                Some(topic) if topic.name == *tp.topic => topic.partitions.push(partition),
                _ => topics.push(FetchTopic {
                    name: tp.topic.as_ref().to_owned(),
                    partitions: vec![partition],
                }),
            }
        }
        FetchRequest {
            replica_id: -1,
            max_wait_ms: int(self
                .config
                .fetch_wait_max
                .as_millis()
                .try_into()
                .unwrap_or(usize::MAX)),
            min_bytes: self.config.fetch_min_bytes,
            max_bytes: int(total),
            isolation_level: match self.config.isolation_level {
                IsolationLevel::ReadUncommitted => 0,
                IsolationLevel::ReadCommitted => 1,
            },
            // No fetch session: they save request bytes, which do not matter beside the data.
            session_id: 0,
            session_epoch: -1,
            topics: merge(topics),
            forgotten: Vec::new(),
            rack_id: String::new(),
        }
    }
}

/// The rotation may have split one topic in two; a broker may take a topic only once.
fn merge(topics: Vec<FetchTopic>) -> Vec<FetchTopic> {
    let mut merged: Vec<FetchTopic> = Vec::new();
    for topic in topics {
        match merged.iter_mut().find(|other| other.name == topic.name) {
            Some(other) => other.partitions.extend(topic.partitions),
            None => merged.push(topic),
        }
    }
    merged
}

fn int(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
