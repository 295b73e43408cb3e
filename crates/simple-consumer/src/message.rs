use std::sync::Arc;

use bytes::Bytes;
use divvy_client::TopicPartition;
use divvy_protocol::records::Record;

use crate::acker::Acker;
use crate::engine::Engine;
use crate::receiver::Origin;

/// A message that borrows from the fetch buffer. It is finished when the consumer is asked for more, or committed, or closed.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    engine: &'a Arc<Engine>,
    origin: &'a Origin,
    record: Record<'a>,
    buffer: &'a Bytes,
}

impl<'a> Message<'a> {
    /// A message that is handed out.
    pub(crate) fn new(
        engine: &'a Arc<Engine>,
        origin: &'a Origin,
        record: Record<'a>,
        buffer: &'a Bytes,
    ) -> Self {
        if engine.acks_explicitly() {
            engine.detach(&origin.tp, origin.epoch, record.offset);
        }
        Self {
            engine,
            origin,
            record,
            buffer,
        }
    }

    /// Its partition.
    pub fn partition(&self) -> &'a TopicPartition {
        &self.origin.tp
    }

    /// Its topic.
    pub fn topic(&self) -> &'a str {
        &self.origin.tp.topic
    }

    /// Its offset.
    pub fn offset(&self) -> i64 {
        self.record.offset
    }

    /// When it was made or stored, in milliseconds since 1970; `None` in the format of Kafka before 0.10.
    pub fn timestamp(&self) -> Option<i64> {
        self.record.timestamp
    }

    /// Its key; `None` for none, which is something else than an empty one.
    pub fn key(&self) -> Option<&'a [u8]> {
        self.record.key
    }

    /// Its value; `None` for none (a tombstone), which is something else than an empty one.
    pub fn value(&self) -> Option<&'a [u8]> {
        self.record.value
    }

    /// Everything of it, headers too.
    pub fn record(&self) -> &Record<'a> {
        &self.record
    }

    /// What acknowledges it, for as long as that takes.
    pub fn acker(&self) -> Acker {
        Acker::new(
            self.engine,
            &self.origin.tp,
            self.origin.epoch,
            self.origin.token,
        )
    }

    /// The fencing token of the claim under which it is handed out, as [`Assignment::token`](crate::Assignment::token).
    pub fn token(&self) -> i64 {
        self.origin.token
    }

    /// Whether its partition is this consumer's alone at this moment.
    pub fn is_current(&self) -> bool {
        self.engine.is_valid(&self.origin.tp, self.origin.epoch)
    }

    /// Makes it outlive the next call. It shares the fetch buffer and is finished by [`OwnedMessage::ack`] alone: until then no
    /// offset beyond it is committed.
    pub fn into_owned(self) -> OwnedMessage {
        if self.engine.acks_explicitly() {
            // Its acknowledgement is awaited since it was handed out.
            return OwnedMessage::new(self.engine, self.origin, &self.record, self.buffer);
        }
        OwnedMessage::detached(self.engine, self.origin, &self.record, self.buffer)
    }
}

/// A message of its own. It is finished by [`OwnedMessage::ack`] alone.
#[derive(Clone, Debug)]
pub struct OwnedMessage {
    engine: Arc<Engine>,
    epoch: u64,
    token: i64,
    /// Its partition.
    pub tp: TopicPartition,
    /// Its offset.
    pub offset: i64,
    /// When it was made or stored, in milliseconds since 1970; `None` in the format of Kafka before 0.10.
    pub timestamp: Option<i64>,
    /// Its key; `None` for none, which is something else than an empty one.
    pub key: Option<Bytes>,
    /// Its value; `None` for none (a tombstone), which is something else than an empty one.
    pub value: Option<Bytes>,
    /// Its headers, in order; a header may have no value.
    pub headers: Vec<(String, Option<Bytes>)>,
}

impl OwnedMessage {
    /// Makes a record outlive its batch; its acknowledgement is awaited from now on.
    pub(crate) fn detached(
        engine: &Arc<Engine>,
        origin: &Origin,
        record: &Record<'_>,
        buffer: &Bytes,
    ) -> Self {
        engine.detach(&origin.tp, origin.epoch, record.offset);
        Self::new(engine, origin, record, buffer)
    }

    fn new(engine: &Arc<Engine>, origin: &Origin, record: &Record<'_>, buffer: &Bytes) -> Self {
        let share = |part: &[u8]| buffer.slice_ref(part);
        Self {
            engine: Arc::clone(engine),
            epoch: origin.epoch,
            token: origin.token,
            tp: origin.tp.clone(),
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(share),
            value: record.value.map(share),
            headers: record
                .headers
                .iter()
                .map(|header| (header.key_str().into_owned(), header.value.map(share)))
                .collect(),
        }
    }

    /// Finishes the message: when all before it are finished too, the next commit goes beyond it.
    ///
    /// Gives `false` where that has no effect any more: it was finished before, its partition was given to another member, or
    /// was sought elsewhere.
    pub fn ack(&self) -> bool {
        self.engine.ack(&self.tp, self.epoch, self.offset)
    }

    /// The fencing token of the claim under which it was handed out, as [`Assignment::token`](crate::Assignment::token).
    pub fn token(&self) -> i64 {
        self.token
    }

    /// As [`Acker::is_current`].
    pub fn is_current(&self) -> bool {
        self.engine.is_valid(&self.tp, self.epoch)
    }

    /// Finishes this message and all before it in its partition.
    pub fn ack_through(&self) {
        self.engine.ack_below(&self.tp, self.epoch, self.offset + 1);
    }
}
