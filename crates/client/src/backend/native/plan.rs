//! What is fetched next and what an answer means: the part of the fetch path that does no I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use divvy_protocol::api::{
    FetchPartition, FetchPartitionResponse, FetchRequest, FetchResponse, FetchTopic,
};
use divvy_protocol::records::{Scan, scan};
use divvy_protocol::{ErrorCode, TopicPartition};
use tokio::time::Instant;

use super::config::{FetchConfig, IsolationLevel};
use crate::backend::{Chunk, FetchError, Generation, Prefetch};
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

/// The smallest amount that is worth a request.
const SMALLEST_FETCH: usize = 4 << 10;

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

    /// How much to ask for, or `None` where there is no room. A partition that holds nothing always has a little, so that the
    /// others cannot keep it from being fetched.
    fn size(&self, tp: &TopicPartition, position: &Position, queued: usize) -> Option<usize> {
        let fill = self.prefetch.fill(tp);
        let smallest = SMALLEST_FETCH.min(self.config.fetch_message_max_bytes);
        let usual = (self.config.fetch_message_max_bytes)
            .min(fill.share / 2)
            .max(smallest);
        let size = position.grown.map_or(usual, |grown| grown.max(usual));
        if size > fill.share {
            return (fill.held == 0 && self.may_exceed_its_share(tp)).then_some(size);
        }
        if queued + size > self.config.max_queued_bytes {
            return (fill.held == 0).then_some(position.grown.unwrap_or(smallest));
        }
        (fill.held == 0 || fill.held + size <= fill.share).then_some(size)
    }

    /// What the queue holds, without the one message that lies beside it.
    fn queued(&self) -> usize {
        let beside = self.oversized.as_ref().map_or(0, |tp| {
            let fill = self.prefetch.fill(tp);
            if fill.held > fill.share { fill.held } else { 0 }
        });
        self.prefetch.bytes().saturating_sub(beside)
    }

    /// One partition at a time, so that the queue stays bounded.
    fn may_exceed_its_share(&self, tp: &TopicPartition) -> bool {
        self.oversized.as_ref().is_none_or(|other| {
            other == tp
                || self.partitions.get(other).is_none_or(|position| {
                    position.in_flight.is_none() && self.prefetch.fill(other).held == 0
                })
        })
    }

    /// Of those that would exceed their share, the one behind the last that did: they take turns.
    fn next_oversized(
        &self,
        mut waiting: Vec<(TopicPartition, Asked)>,
    ) -> Option<(TopicPartition, Asked)> {
        if waiting.is_empty() {
            return None;
        }
        let behind = |(tp, _): &(TopicPartition, Asked)| Some(tp) > self.oversized.as_ref();
        let turn = waiting.iter().position(behind).unwrap_or(0);
        Some(waiting.swap_remove(turn))
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

    /// Takes an answer in. Gives whether the metadata should be asked for again.
    pub(super) fn answered(
        &mut self,
        planned: Planned,
        response: FetchResponse,
        now: Instant,
    ) -> bool {
        let Planned {
            ticket, mut asked, ..
        } = planned;
        let mut stale_metadata = false;
        for topic in response.topics {
            for part in topic.partitions {
                let tp = TopicPartition::new(topic.name.as_str(), part.partition);
                if let Some(wanted) = asked.remove(&tp) {
                    stale_metadata |= self.partition_answered(&tp, ticket, &wanted, part, now);
                }
            }
        }
        // What an answer leaves out is asked for again after a pause.
        for tp in asked.into_keys() {
            self.retry_later(&tp, ticket, now);
        }
        stale_metadata
    }

    /// Takes back a request that was not answered.
    pub(super) fn failed(&mut self, planned: Planned, now: Instant) {
        for tp in planned.asked.into_keys() {
            self.retry_later(&tp, planned.ticket, now);
        }
    }

    fn retry_later(&mut self, tp: &TopicPartition, ticket: Ticket, now: Instant) {
        if let Some(position) = self.in_flight(tp, ticket) {
            position.in_flight = None;
            position.retry_at = Some(now + position.backoff.fail());
        }
    }

    fn in_flight(&mut self, tp: &TopicPartition, ticket: Ticket) -> Option<&mut Position> {
        let position = self.partitions.get_mut(tp)?;
        (position.in_flight == Some(ticket)).then_some(position)
    }

    fn partition_answered(
        &mut self,
        tp: &TopicPartition,
        ticket: Ticket,
        wanted: &Asked,
        part: FetchPartitionResponse,
        now: Instant,
    ) -> bool {
        if self.in_flight(tp, ticket).is_none() {
            // It was stopped, started anew, or moved to another leader meanwhile.
            return false;
        }
        match part.error {
            ErrorCode::NONE => {
                self.take(tp, wanted, part, now);
                false
            }
            ErrorCode::OFFSET_OUT_OF_RANGE => {
                self.halt(FetchError::OffsetOutOfRange {
                    tp: tp.clone(),
                    offset: wanted.from_offset,
                });
                false
            }
            // The old brokers' answer to a position between the high watermark and the end of the log.
            code if code.is_retriable() || code == ErrorCode::UNKNOWN_SERVER_ERROR => {
                tracing::debug!(%tp, %code, "fetch failed, trying again");
                self.retry_later(tp, ticket, now);
                true
            }
            code => {
                self.halt(FetchError::Refused {
                    tp: tp.clone(),
                    offset: wanted.from_offset,
                    code,
                });
                false
            }
        }
    }

    /// Queues what came and moves on behind it.
    fn take(
        &mut self,
        tp: &TopicPartition,
        wanted: &Asked,
        part: FetchPartitionResponse,
        now: Instant,
    ) {
        let found = scan(&part.records);
        let Some(next_offset) = found.next_offset else {
            self.nothing_whole(tp, wanted, &part.records, &found, now);
            return;
        };
        if next_offset <= wanted.from_offset {
            self.halt(FetchError::Corrupt {
                tp: tp.clone(),
                offset: wanted.from_offset,
                skip_to: wanted.from_offset.saturating_add(1),
                why: format!("the broker answered with a log that ends at {next_offset}"),
            });
            return;
        }
        let Some(position) = self.partitions.get_mut(tp) else {
            return;
        };
        position.settle();
        position.grown = None;
        position.next_offset = next_offset;
        let chunk = Chunk {
            tp: tp.clone(),
            from_offset: wanted.from_offset,
            next_offset,
            high_watermark: part.high_watermark,
            entries: part.records.slice(..found.complete),
            aborted: match self.config.isolation_level {
                IsolationLevel::ReadUncommitted => Vec::new(),
                IsolationLevel::ReadCommitted => part
                    .aborted
                    .iter()
                    .map(|aborted| (aborted.producer_id, aborted.first_offset))
                    .collect(),
            },
            compressed: found.compressed,
        };
        self.prefetch.push(tp, wanted.generation, Ok(chunk));
    }

    /// Without a single whole entry, either there is nothing new or the first message is larger than what was asked for.
    fn nothing_whole(
        &mut self,
        tp: &TopicPartition,
        wanted: &Asked,
        records: &Bytes,
        found: &Scan,
        now: Instant,
    ) {
        let cap = self.config.fetch_message_max_bytes_cap;
        let twice = wanted.size.saturating_mul(2);
        let needed = found.first_incomplete.unwrap_or(twice);
        if let Some(malformed) = &found.malformed {
            self.halt(FetchError::Corrupt {
                tp: tp.clone(),
                offset: wanted.from_offset,
                skip_to: behind(wanted.from_offset, malformed.skip_to),
                why: malformed.to_string(),
            });
            return;
        }
        if !records.is_empty() && needed > cap {
            self.halt(FetchError::MessageTooLarge {
                tp: tp.clone(),
                offset: wanted.from_offset,
                size: needed,
                limit: cap,
            });
            return;
        }
        let Some(position) = self.partitions.get_mut(tp) else {
            return;
        };
        if records.is_empty() {
            position.settle();
        } else if wanted.size < cap {
            position.settle();
            // At least twice as much, so that a peer that keeps cutting short is not asked for ever.
            position.grown = Some(needed.max(twice).min(cap));
        } else {
            tracing::warn!(%tp, offset = wanted.from_offset, needed, "the broker cuts a message off that would fit");
            position.in_flight = None;
            position.retry_at = Some(now + position.backoff.fail());
        }
    }

    fn halt(&mut self, error: FetchError) {
        let tp = error.partition().clone();
        if let Some(position) = self.partitions.get_mut(&tp) {
            position.in_flight = None;
            position.halted = true;
            self.prefetch.push(&tp, position.generation, Err(error));
        }
    }
}

impl Position {
    fn settle(&mut self) {
        self.in_flight = None;
        self.retry_at = None;
        self.backoff.succeed();
    }
}

/// The offset behind a damaged entry, which lies behind where reading stands in any case.
fn behind(position: i64, skip_to: Option<i64>) -> i64 {
    let next = position.saturating_add(1);
    skip_to.map_or(next, |skip_to| skip_to.max(next))
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
