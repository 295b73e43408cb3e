//! Chunks that are being handed out.

use std::sync::Arc;

use bytes::Bytes;
use divvy_client::TopicPartition;
use divvy_protocol::records::{Cursor, Record, Records};

use crate::engine::{Engine, Hand};
use crate::error::Error;
use crate::message::Message;

/// A decoded chunk and how far it was handed out.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) origin: Origin,
    pub(crate) place: Place,
    /// What of it the application has, as the engine knows it; `None` before the first is handed out.
    pub(super) hand: Option<Arc<Hand>>,
    /// How many records were left when those that were yielded were counted last.
    pub(super) counted: usize,
    /// Why there is nothing behind the last record.
    pub(super) error: Option<Error>,
}

/// Where messages come from, and under which hold.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) tp: TopicPartition,
    pub(crate) epoch: u64,
    pub(crate) token: i64,
    pub(crate) records: Records,
    pub(crate) high_watermark: i64,
}

/// How far a chunk was handed out.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) cursor: Cursor,
    /// How many records are left to yield.
    pub(crate) left: usize,
    /// The offset behind the last record that was yielded, or behind the chunk when all were.
    pub(crate) yielded: i64,
    /// Where the log goes on behind the chunk.
    pub(crate) next_offset: i64,
}

impl Place {
    /// Yields the next record, with the buffer that it lies in.
    pub(crate) fn advance<'r>(&mut self, records: &'r Records) -> Option<(Record<'r>, &'r Bytes)> {
        let next = records.next_with_buf(&mut self.cursor);
        match &next {
            Some((record, _)) => {
                self.left = self.left.saturating_sub(1);
                self.yielded = record.offset + 1;
            }
            None => {
                self.left = 0;
                self.yielded = self.next_offset;
            }
        }
        next
    }
}

impl Open {
    pub(super) fn is_spent(&self) -> bool {
        self.place.left == 0
    }

    /// Yields the next message.
    pub(super) fn next_message<'a>(&'a mut self, engine: &'a Arc<Engine>) -> Option<Message<'a>> {
        let (record, buffer) = self.place.advance(&self.origin.records)?;
        Some(Message::new(engine, &self.origin, record, buffer))
    }

    /// Moves on by a message without giving it; `false` at the end.
    pub(super) fn yield_one(&mut self) -> bool {
        !self.is_spent() && self.place.advance(&self.origin.records).is_some()
    }

    /// Whether the next message may be handed out without another look at the engine: nothing has happened to the partition
    /// since the last one was, and the gate is open.
    pub(super) fn goes_on(&self) -> bool {
        !self.is_spent() && self.hand.as_ref().is_some_and(|hand| hand.is_open())
    }

    /// Finishes what was yielded, where the engine finds it.
    pub(super) fn finish_yielded(&self) {
        if let Some(hand) = &self.hand {
            hand.finish_below(self.place.yielded);
        }
    }

    /// Counts what was yielded since the last time.
    pub(super) fn count(&mut self) {
        if let Some(hand) = &self.hand {
            let yielded = self.counted.saturating_sub(self.place.left);
            let lag = self
                .origin
                .high_watermark
                .saturating_sub(self.place.yielded);
            hand.count(yielded, lag);
            self.counted = self.place.left;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count();
    }
}
