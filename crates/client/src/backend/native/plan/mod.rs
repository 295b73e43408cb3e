//! What is fetched next and what an answer means: the part of the fetch path that does no I/O.

mod answer;
mod room;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use divvy_protocol::TopicPartition;
use divvy_protocol::api::{FetchPartition, FetchRequest, FetchTopic};
use tokio::time::Instant;

use super::config::{FetchConfig, IsolationLevel};
use crate::backend::{Generation, Prefetch};
use crate::backoff::Backoff;
use crate::metadata::Metadata;

/// How long a partition whose end was read may be in nobody's request, while its broker is kept busy with others.
const UNWATCHED: Duration = Duration::from_millis(10);

/// How many bytes are asked for in all of partitions whose end was read. An answer with as much of each as it has of its own in
/// the queue would be as large as half of the queue, and lie beside it until it is taken apart.
const WATCHED: usize = 8 << 20;

/// The partitions that are fetched, and how far each has come.
///
/// A partition of which more is known to be there is asked for alone, so that what is kept of an answer keeps nothing else in
/// memory, and a broker's cost is that of the bytes. Those whose end was read share one request, which the broker answers when
/// one of them has something.
#[derive(Debug)]
pub(super) struct Plan {
    config: FetchConfig,
    backoff: Backoff,
    prefetch: Arc<Prefetch>,
    partitions: BTreeMap<TopicPartition, Position>,
    /// From where the leaders are known.
    metadata: Arc<Metadata>,
    /// The last partition that exceeded what the queue had for it, for a message that is larger.
    oversized: Option<TopicPartition>,
    requests: u64,
    /// Which partition comes first in the next request: a large message at the front must not starve those behind it.
    rotation: usize,
}

#[derive(Debug)]
struct Position {
    generation: Generation,
    leader: Option<i32>,
    next_offset: i64,
    /// More is there for certain.
    behind: bool,
    /// How much is asked for, while a message does not fit into what is usual.
    grown: Option<usize>,
    /// The request that fetches it now.
    in_flight: Option<InFlight>,
    /// How much it has queued.
    held: Arc<AtomicUsize>,
    /// What it holds, or is about to, lies beside the queue.
    beside: bool,
    /// Stands still until it is started again.
    halted: bool,
    /// The last request that asked for it.
    asked: u64,
    /// Since when nobody has asked for it.
    free_since: Instant,
    retry_at: Option<Instant>,
    backoff: Backoff,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    ticket: Ticket,
    /// How much was asked for.
    size: usize,
    /// The broker answers when there is something.
    watches: bool,
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
    /// When it was made.
    pub(super) since: Instant,
    /// The broker answers when there is something, and not before.
    pub(super) watches: bool,
    asked: BTreeMap<TopicPartition, Asked>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    generation: Generation,
    from_offset: i64,
    size: usize,
    /// The queue has no room for it.
    beside: bool,
}

/// What of a broker's partitions can be asked for.
#[derive(Debug, Default)]
struct Candidates {
    /// Of those with more to come, the one that was asked for longest ago.
    behind: Option<(TopicPartition, Asked)>,
    /// Those whose end was read.
    at_end: BTreeMap<TopicPartition, Asked>,
    /// Those of them that nobody has watched for a while.
    unwatched: BTreeMap<TopicPartition, Asked>,
    /// Some request watches others.
    watched: bool,
    /// When something else can be asked for.
    wake: Option<Instant>,
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
            metadata: Arc::default(),
            oversized: None,
            requests: 0,
            rotation: 0,
        }
    }

    pub(super) fn start(&mut self, tp: &TopicPartition, from_offset: i64) {
        let position = Position {
            generation: self.prefetch.open(tp),
            leader: self.metadata.leader(tp),
            next_offset: from_offset,
            behind: false,
            grown: None,
            in_flight: None,
            held: self.prefetch.gauge(tp),
            beside: false,
            halted: false,
            asked: self.requests,
            free_since: Instant::now(),
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

    /// Makes the next request to a broker, of what it leads, has room, and is in no other request.
    ///
    /// One lane watches the partitions whose end was read, the others fetch what is known to be there. A lane that is `busy` does
    /// not watch, because what it has asked for otherwise comes first.
    pub(super) fn next(
        &mut self,
        broker: i32,
        metadata: &Arc<Metadata>,
        now: Instant,
        busy: bool,
    ) -> Next {
        self.learn(metadata);
        let found = self.candidates(broker, now);
        let alone = self.config.fetch_connections == 1 && found.behind.is_some();
        let watch = !busy && !found.at_end.is_empty() && !found.watched && !alone;
        let (asked, watches) = match found.behind {
            Some(_) if watch => (found.at_end, true),
            Some((tp, wanted)) => {
                let mut asked = found.unwatched;
                asked.insert(tp, wanted);
                (asked, false)
            }
            None if busy => (BTreeMap::new(), false),
            None => (found.at_end, true),
        };
        if asked.is_empty() {
            return Next::Wait(found.wake);
        }
        self.requests += 1;
        let ticket = Ticket {
            broker,
            request: self.requests,
        };
        for (tp, wanted) in &asked {
            if let Some(position) = self.partitions.get_mut(tp) {
                position.asked = self.requests;
                position.beside = wanted.beside;
                position.in_flight = Some(InFlight {
                    ticket,
                    size: wanted.size,
                    watches,
                });
                if wanted.beside {
                    self.oversized = Some(tp.clone());
                }
            }
        }
        Next::Fetch(Planned {
            ticket,
            request: self.request(&asked, watches),
            since: now,
            watches,
            asked,
        })
    }

    /// Takes in who leads what.
    fn learn(&mut self, metadata: &Arc<Metadata>) {
        if Arc::ptr_eq(&self.metadata, metadata) {
            return;
        }
        self.metadata = Arc::clone(metadata);
        for (tp, position) in &mut self.partitions {
            position.leader = metadata.leader(tp);
        }
    }

    /// What can be asked for, and how much of it.
    fn candidates(&self, broker: i32, now: Instant) -> Candidates {
        let mut room = self.room();
        let mut found = Candidates::default();
        let (mut longest_free, mut oversized) = (u64::MAX, Vec::new());
        for (tp, position) in self.active() {
            if position.leader != Some(broker) {
                continue;
            }
            // A request to a former leader may hang as long as it likes.
            if let Some(in_flight) = position.in_flight
                && in_flight.ticket.broker == broker
            {
                found.watched |= in_flight.watches;
                continue;
            }
            if let Some(at) = position.retry_at.filter(|at| *at > now) {
                let sooner = found.wake.is_none_or(|wake| at < wake);
                found.wake = if sooner { Some(at) } else { found.wake };
                continue;
            }
            let Some(wanted) = position.wanted(&room) else {
                continue;
            };
            if wanted.beside {
                oversized.push((tp, wanted));
            } else if position.behind || position.grown.is_some() {
                if position.asked < longest_free {
                    longest_free = position.asked;
                    found.behind = Some((tp.clone(), wanted));
                }
            } else {
                room.take(position.held(), wanted.size);
                if now.saturating_duration_since(position.free_since) >= UNWATCHED {
                    found.unwatched.insert(tp.clone(), wanted);
                }
                found.at_end.insert(tp.clone(), wanted);
            }
        }
        let most = room.smallest().max(WATCHED / found.at_end.len().max(1));
        for wanted in found
            .at_end
            .values_mut()
            .chain(found.unwatched.values_mut())
        {
            wanted.size = wanted.size.min(most);
        }
        // Others wait for what the queue has; this one waits for nothing.
        if let Some((tp, wanted)) = self.next_oversized(&oversized) {
            found.behind = Some((tp.clone(), wanted));
        }
        found
    }

    fn request(&mut self, asked: &BTreeMap<TopicPartition, Asked>, watches: bool) -> FetchRequest {
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
        let wait_max = self.config.fetch_wait_max.as_millis();
        let (max_wait_ms, min_bytes) = match watches {
            true => (
                i32::try_from(wait_max).unwrap_or(i32::MAX),
                self.config.fetch_min_bytes,
            ),
            false => (0, self.config.fetch_min_bytes.min(1)),
        };
        FetchRequest {
            replica_id: -1,
            max_wait_ms,
            min_bytes,
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
