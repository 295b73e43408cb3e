//! What an answer means.

use bytes::Bytes;
use divvy_protocol::api::{FetchPartitionResponse, FetchResponse};
use divvy_protocol::records::{Scan, scan};
use divvy_protocol::{ErrorCode, TopicPartition};
use tokio::time::Instant;

use super::super::config::IsolationLevel;
use super::{Asked, Plan, Planned, Position, Ticket};
use crate::backend::{Chunk, FetchError};

impl Plan {
    /// Takes an answer in. Gives whether the metadata should be asked for again.
    pub(in crate::backend::native) fn answered(
        &mut self,
        planned: Planned,
        response: FetchResponse,
        now: Instant,
    ) -> bool {
        let Planned {
            ticket, mut asked, ..
        } = planned;
        let mut stale_metadata = false;
        let parts = response.topics.iter().flat_map(|topic| &topic.partitions);
        let in_all = parts.map(|part| part.records.len()).sum();
        for topic in response.topics {
            for mut part in topic.partitions {
                keep_only(&mut part.records, in_all);
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
    pub(in crate::backend::native) fn failed(&mut self, planned: Planned, now: Instant) {
        for tp in planned.asked.into_keys() {
            if let Some(position) = self.in_flight(&tp, planned.ticket) {
                let lasted = now.saturating_duration_since(planned.since);
                position.free(now);
                position.behind = false;
                position.retry_at = Some(now + position.backoff.fail_after(lasted));
            }
        }
    }

    fn retry_later(&mut self, tp: &TopicPartition, ticket: Ticket, now: Instant) {
        if let Some(position) = self.in_flight(tp, ticket) {
            position.free(now);
            position.behind = false;
            position.retry_at = Some(now + position.backoff.fail());
        }
    }

    fn in_flight(&mut self, tp: &TopicPartition, ticket: Ticket) -> Option<&mut Position> {
        let position = self.partitions.get_mut(tp)?;
        let in_flight = position.in_flight?;
        (in_flight.ticket == ticket).then_some(position)
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
        position.settle(now);
        position.grown = None;
        position.next_offset = next_offset;
        position.behind = next_offset < part.high_watermark;
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
            checked: false,
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
            position.settle(now);
            position.behind = false;
        } else if wanted.size < cap {
            position.settle(now);
            // At least twice as much, so that a peer that keeps cutting short is not asked for ever.
            position.grown = Some(needed.max(twice).min(cap));
        } else {
            tracing::warn!(%tp, offset = wanted.from_offset, needed, "the broker cuts a message off that would fit");
            position.free(now);
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
    fn free(&mut self, now: Instant) {
        self.in_flight = None;
        self.free_since = now;
    }

    fn settle(&mut self, now: Instant) {
        self.free(now);
        self.retry_at = None;
        self.backoff.succeed();
    }
}

/// Copies a small part of an answer, which would keep all of it in memory for as long as it is queued.
fn keep_only(records: &mut Bytes, in_all: usize) {
    if records.len() < in_all / 2 {
        *records = Bytes::copy_from_slice(records);
    }
}

/// The offset behind a damaged entry, which lies behind where reading stands in any case.
fn behind(position: i64, skip_to: Option<i64>) -> i64 {
    let next = position.saturating_add(1);
    skip_to.map_or(next, |skip_to| skip_to.max(next))
}
