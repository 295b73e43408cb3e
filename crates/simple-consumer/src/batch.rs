use std::sync::Arc;

use divvy_client::TopicPartition;
use divvy_protocol::records::{Record, Records};

use crate::acker::Acker;
use crate::engine::Engine;
use crate::message::OwnedMessage;
use crate::receiver::{Open, Place};

/// Messages of one partition, in order, that borrow from the fetch buffer: the fast way to read.
///
/// Iterating yields records. When the consumer is asked for more, or committed, or closed, exactly the records that were yielded
/// are finished; the others come again with the next batch.
#[derive(Debug)]
pub struct Batch<'a> {
    engine: &'a Arc<Engine>,
    open: &'a mut Open,
    explicit: bool,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(engine: &'a Arc<Engine>, open: &'a mut Open) -> Self {
        Self {
            explicit: engine.acks_explicitly(),
            engine,
            open,
        }
    }

    /// The partition of all its messages.
    pub fn partition(&self) -> &TopicPartition {
        &self.open.origin.tp
    }

    /// The end of the partition's log as far as it can be read, when the batch was fetched.
    pub fn high_watermark(&self) -> i64 {
        self.open.origin.high_watermark
    }

    /// What acknowledges its messages, for as long as that takes.
    pub fn acker(&self) -> Acker {
        Acker::new(
            self.engine,
            &self.open.origin.tp,
            self.open.origin.epoch,
            self.open.origin.token,
        )
    }

    /// The fencing token of the claim under which it is handed out, as [`Assignment::token`](crate::Assignment::token): a sink
    /// that refuses smaller ones than it has seen is safe from members that do not know yet that they lost the partition.
    pub fn token(&self) -> i64 {
        self.open.origin.token
    }

    /// Whether the partition is this consumer's alone at this moment. Records of a batch in hand are not checked one by one;
    /// whoever works on it for long asks this before each side effect.
    pub fn is_current(&self) -> bool {
        self.engine
            .is_valid(&self.open.origin.tp, self.open.origin.epoch)
    }

    /// The hold under which it is handed out.
    pub(crate) fn epoch(&self) -> u64 {
        self.open.origin.epoch
    }

    /// Up to which offset the log is known by what was yielded: what it holds below was yielded.
    pub(crate) fn yielded(&self) -> i64 {
        let place = &self.open.place;
        if place.left == 0 {
            place.next_offset
        } else {
            place.yielded
        }
    }

    /// How many records were not yielded yet.
    pub fn len(&self) -> usize {
        self.open.place.left
    }

    /// Whether every record was yielded.
    pub fn is_empty(&self) -> bool {
        self.open.place.left == 0
    }

    /// The offset of the next record, without yielding it.
    pub fn peek_offset(&self) -> Option<i64> {
        let mut cursor = self.open.place.cursor;
        let record = self.open.origin.records.next_at(&mut cursor)?;
        Some(record.offset)
    }

    /// The next record.
    pub fn next_record(&mut self) -> Option<Record<'_>> {
        self.records().next()
    }

    /// The records, from the first that was not yielded yet.
    pub fn records(&mut self) -> BatchRecords<'_> {
        BatchRecords {
            engine: self.explicit.then_some(self.engine),
            records: &self.open.origin.records,
            place: &mut self.open.place,
            tp: &self.open.origin.tp,
            epoch: self.open.origin.epoch,
        }
    }

    /// The next record as a message of its own, which is finished by its acknowledgement alone.
    pub fn next_owned(&mut self) -> Option<OwnedMessage> {
        let Open { origin, place, .. } = &mut *self.open;
        let (record, buffer) = place.advance(&origin.records)?;
        Some(OwnedMessage::detached(self.engine, origin, &record, buffer))
    }
}

/// The records of a [`Batch`], made by [`Batch::records`].
#[derive(Debug)]
pub struct BatchRecords<'a> {
    /// Where acknowledgements are awaited, if they are.
    engine: Option<&'a Arc<Engine>>,
    records: &'a Records,
    place: &'a mut Place,
    tp: &'a TopicPartition,
    epoch: u64,
}

impl<'a> Iterator for BatchRecords<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let (record, _) = self.place.advance(self.records)?;
        if let Some(engine) = self.engine {
            engine.detach(self.tp, self.epoch, record.offset);
        }
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.place.left, Some(self.place.left))
    }
}
