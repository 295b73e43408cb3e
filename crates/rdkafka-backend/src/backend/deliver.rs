//! What librdkafka gives, put into the queue.

use std::collections::{BTreeMap, BTreeSet};

use divvy_client::{FetchError, Prefetch, TopicPartition};
use divvy_protocol::records::LogWriter;

use super::entries::chunk;
use super::poller::halt;
use super::table::{Position, State, Table};
use super::trouble::{Trouble, trouble};
use crate::bare::{Batch, Message};

/// How often damage is fetched again before it is believed: damage on the way is not there the next time.
const DAMAGE_ATTEMPTS: u32 = 3;

/// Where messages go, and what came of it.
#[derive(Debug)]
pub(super) struct Delivery<'a> {
    pub(super) prefetch: &'a Prefetch,
    pub(super) table: &'a mut Table,
    /// What a line may hold.
    pub(super) line: usize,
    /// The largest message that is accepted.
    pub(super) largest: usize,
    /// What librdkafka asks for of a partition at first.
    pub(super) fetch: usize,
    /// How many messages there were, and their bytes.
    pub(super) messages: usize,
    pub(super) bytes: usize,
    /// These lines are full.
    pub(super) full: BTreeSet<TopicPartition>,
    /// These are fetched again from where they are.
    pub(super) again: BTreeSet<TopicPartition>,
    /// These stand still.
    pub(super) halted: BTreeSet<TopicPartition>,
}

/// Damage whose end is not known before the batch is.
#[derive(Debug)]
struct Damage {
    skip_to: i64,
    is_batch: bool,
    why: String,
}

/// Messages of one partition that follow one another.
struct Run<'a> {
    len: usize,
    bytes: usize,
    /// The size of the largest.
    largest: usize,
    /// What lies behind them, and is larger than what is accepted.
    too_large: Option<Message<'a>>,
}

/// Puts a batch into the queue: runs of messages as chunks, and errors behind them.
pub(super) fn deliver(batch: &Batch<'_>, to: &mut Delivery<'_>) {
    let mut damage: BTreeMap<TopicPartition, Damage> = BTreeMap::new();
    let mut rest = batch.iter();
    while let Some(first) = rest.clone().next() {
        let messages = rest.clone();
        let run = Run::at_the_front(rest.clone(), first, to.largest);
        let behind = run.len + usize::from(first.is_error() || run.too_large.is_some());
        rest.nth(behind - 1);
        let position = to.table.get(first.topic(), first.partition());
        let Some(position) = position.filter(|position| position.state == State::Fetched) else {
            continue;
        };
        if let Some(damage) = damage.get_mut(&position.tp) {
            damage.ends_before(first.offset());
            continue;
        }
        if !first.is_error() {
            let tp = position.tp.clone();
            let high_watermark = batch.high_watermark(first);
            to.run(&tp, high_watermark, &run, messages.take(run.len));
            if let Some(message) = run.too_large {
                to.too_large(&tp, message);
            }
            continue;
        }
        match trouble(first, position, to.largest) {
            Trouble::Passing => tracing::debug!(error = ?first, "librdkafka tries again"),
            Trouble::End(offset) => position.lead_on_to(offset, to.prefetch),
            Trouble::Damaged {
                skip_to,
                is_batch,
                why,
            } => {
                let found = Damage {
                    skip_to,
                    is_batch,
                    why,
                };
                damage.insert(position.tp.clone(), found);
            }
            Trouble::Failed(error) => {
                to.halted.insert(position.tp.clone());
                halt(to.prefetch, position, error);
            }
        }
    }
    for (tp, damage) in damage {
        to.damaged(&tp, damage);
    }
}

impl<'a> Run<'a> {
    /// The run that begins with a message, which may be an error: then there is none.
    fn at_the_front(
        messages: impl Iterator<Item = Message<'a>>,
        first: Message<'a>,
        limit: usize,
    ) -> Self {
        let mut run = Self {
            len: 0,
            bytes: 0,
            largest: 0,
            too_large: None,
        };
        for message in messages {
            if message.is_error() || !message.joins(&first) {
                break;
            }
            let size = size(&message);
            if size > limit {
                run.too_large = Some(message);
                break;
            }
            run.len += 1;
            run.bytes += size;
            run.largest = run.largest.max(size);
        }
        run
    }
}

impl Damage {
    /// librdkafka goes on behind damage, at this offset: there the next entry begins.
    fn ends_before(&mut self, next: i64) {
        if self.is_batch && next >= self.skip_to {
            self.skip_to = next;
            self.is_batch = false;
        }
    }
}

fn size(message: &Message<'_>) -> usize {
    LogWriter::size_of(message.key(), message.value())
}

impl Delivery<'_> {
    fn run<'m>(
        &mut self,
        tp: &TopicPartition,
        high_watermark: i64,
        run: &Run<'m>,
        messages: impl Iterator<Item = Message<'m>>,
    ) {
        let Some(position) = self.table.get_tp(tp) else {
            return;
        };
        self.messages += run.len;
        self.bytes += run.bytes;
        // librdkafka asks for twice as much until a message fits in, and never for less again.
        if run.largest > self.fetch {
            position.asked = position.asked.max(run.largest.next_power_of_two());
        }
        let from_offset = position.next_offset;
        let Some(chunk) = chunk(tp, from_offset, high_watermark, run.bytes, messages) else {
            return;
        };
        position.next_offset = chunk.next_offset;
        position.damaged = None;
        self.prefetch.push(tp, position.generation, Ok(chunk));
        if position.held() >= self.line || position.asked > self.line {
            self.full.insert(tp.clone());
        }
    }

    fn too_large(&mut self, tp: &TopicPartition, message: Message<'_>) {
        let Some(position) = self.table.get_tp(tp) else {
            return;
        };
        let error = FetchError::MessageTooLarge {
            tp: tp.clone(),
            offset: position.next_offset,
            size: size(&message),
            limit: self.largest,
        };
        halt(self.prefetch, position, error);
        self.full.remove(tp);
        self.halted.insert(tp.clone());
    }

    /// Damage is fetched again, and believed when it is still there.
    fn damaged(&mut self, tp: &TopicPartition, damage: Damage) {
        self.full.remove(tp);
        let Some(position) = self.table.get_tp(tp) else {
            return;
        };
        let offset = position.next_offset;
        let attempts = match position.damaged {
            Some((seen, attempts)) if seen == offset => attempts + 1,
            _ => 1,
        };
        position.damaged = Some((offset, attempts));
        if attempts < DAMAGE_ATTEMPTS {
            position.state = State::New;
            self.again.insert(tp.clone());
            return;
        }
        let error = FetchError::Corrupt {
            tp: tp.clone(),
            offset,
            skip_to: damage.skip_to,
            why: damage.why,
        };
        halt(self.prefetch, position, error);
        self.halted.insert(tp.clone());
    }
}

impl Position {
    /// The log holds nothing up to this offset, as behind what was compacted away and behind the mark of a transaction's end.
    fn lead_on_to(&mut self, offset: i64, prefetch: &Prefetch) {
        if offset > self.next_offset {
            let mut nothing = divvy_client::Chunk::new(
                self.tp.clone(),
                self.next_offset,
                offset,
                offset,
                Default::default(),
            );
            nothing.checked = true;
            self.next_offset = offset;
            prefetch.push(&self.tp, self.generation, Ok(nothing));
        }
    }
}
