//! Taking messages out of the queue and handing them to the application.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use divvy_client::{Chunk, FetchError, TopicPartition};
use divvy_protocol::records::{Cursor, Decoded, Record, Records};
use tokio::task::JoinHandle;
use tokio::task::coop::consume_budget;

use crate::batch::Batch;
use crate::engine::{Engine, Taken};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::message::Message;

/// Chunks above this size are decompressed on the blocking pool: decompressing takes about a nanosecond a byte, and a runtime's
/// other tasks should not wait for that.
const DECODED_INLINE: usize = 16 << 10;

/// Which partitions are asked for.
pub(crate) type Filter<'a> = Option<&'a BTreeSet<TopicPartition>>;

/// One line of messages to the application: what it took from the queue and has not handed out yet.
#[derive(Debug)]
pub(crate) struct Receiver {
    engine: Arc<Engine>,
    id: usize,
    /// Decoded chunks that are not handed out to their end.
    open: BTreeMap<TopicPartition, Open>,
    /// The partition whose chunk is being handed out, until its end: then it is another's turn.
    turn: Option<TopicPartition>,
    /// Chunks that are being decoded. Kept here, so that a cancelled call loses none.
    decoding: Vec<(TopicPartition, Decoding)>,
    /// What the application holds: given back with its next call.
    in_hand: Vec<TopicPartition>,
}

#[derive(Debug)]
struct Decoding {
    chunk: Chunk,
    epoch: u64,
    task: JoinHandle<Decoded>,
}

/// A decoded chunk and how far it was handed out.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) tp: TopicPartition,
    pub(crate) epoch: u64,
    pub(crate) token: i64,
    pub(crate) records: Records,
    pub(crate) place: Place,
    pub(crate) high_watermark: i64,
    /// Why there is nothing behind the last record.
    error: Option<Error>,
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
    fn is_spent(&self) -> bool {
        self.place.left == 0
    }

    fn advance(&mut self) -> bool {
        self.place.advance(&self.records).is_some()
    }
}

impl Receiver {
    pub(crate) fn new(engine: Arc<Engine>, id: usize) -> Self {
        Self {
            engine,
            id,
            open: BTreeMap::new(),
            turn: None,
            decoding: Vec::new(),
            in_hand: Vec::new(),
        }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Where the chunk of a partition was yielded to, while it is not handed out to its end.
    pub(crate) fn position(&self, tp: &TopicPartition) -> Option<i64> {
        let open = self.open.get(tp)?;
        self.engine
            .is_current(self.id, tp, open.epoch)
            .then_some(open.place.yielded)
    }

    /// Fetches a partition again from this offset on, instead of what was taken of it and not handed out.
    pub(crate) fn fetch_again(&mut self, tp: &TopicPartition, epoch: u64, offset: i64) {
        self.open.remove(tp);
        self.decoding.retain(|(other, _)| other != tp);
        self.engine.fetch_again(self.id, tp, epoch, offset);
    }

    /// Takes back everything that the application holds: exactly what was yielded of it is finished.
    pub(crate) fn give_back(&mut self) {
        for tp in std::mem::take(&mut self.in_hand) {
            if let Some(open) = self.open.get(&tp) {
                self.engine.give_back(&tp, open.epoch, open.place.yielded);
            }
        }
    }

    /// The rest of the chunk whose turn it is, or the next chunk.
    pub(crate) async fn next_batch(&mut self, filter: Filter<'_>) -> Result<Batch<'_>> {
        self.give_back();
        let tp = self.next_open(filter).await?;
        let engine = &self.engine;
        self.in_hand.push(tp.clone());
        // It was there a moment ago, and `self` is borrowed since.
        let open = self.open.get_mut(&tp).ok_or(Error::Closed)?;
        Ok(Batch::new(engine, open))
    }

    /// The next message.
    pub(crate) async fn recv(&mut self, filter: Filter<'_>) -> Result<Message<'_>> {
        self.give_back();
        let tp = self.next_open(filter).await?;
        self.in_hand.push(tp.clone());
        let engine = &self.engine;
        let open = self.open.get_mut(&tp).ok_or(Error::Closed)?;
        let before = open.place.cursor;
        open.advance();
        let message = Message::at(engine, open, before);
        message.ok_or(Error::Closed)
    }

    /// Up to `max` messages of what is there already, of several partitions, in turns of a chunk each.
    pub(crate) async fn get_many(&mut self, max: usize) -> Result<Vec<Message<'_>>> {
        self.give_back();
        let mut taken: Vec<(TopicPartition, Vec<Cursor>)> = Vec::new();
        let mut count = 0;
        let mut used = BTreeSet::new();
        while count < max {
            let next = if count == 0 {
                Some(self.next_open(None).await?)
            } else {
                self.open_at_hand(&used)
            };
            let Some(tp) = next else { break };
            self.in_hand.push(tp.clone());
            used.insert(tp.clone());
            let Some(open) = self.open.get_mut(&tp) else {
                break;
            };
            let mut cursors = Vec::new();
            while count < max {
                let before = open.place.cursor;
                if open.is_spent() || !open.advance() {
                    break;
                }
                cursors.push(before);
                count += 1;
            }
            taken.push((tp, cursors));
        }
        let this = &*self;
        let mut messages = Vec::with_capacity(count);
        for (tp, cursors) in taken {
            if let Some(open) = this.open.get(&tp) {
                let at = |cursor: Cursor| Message::at(&this.engine, open, cursor);
                messages.extend(cursors.into_iter().filter_map(at));
            }
        }
        Ok(messages)
    }

    /// Another partition with messages, without waiting. Each partition gives one chunk a call, because its messages are borrowed
    /// from that chunk.
    fn open_at_hand(&mut self, used: &BTreeSet<TopicPartition>) -> Option<TopicPartition> {
        loop {
            let taken = self
                .engine
                .take(self.id, |tp| !used.contains(tp) && !self.has_taken(tp))?;
            match taken {
                Taken::Chunk(chunk, epoch) => {
                    if let Some(decoding) = self.decode(chunk, epoch) {
                        self.decoding.push(decoding);
                        return None;
                    }
                }
                Taken::Error(error, epoch) => {
                    // Reported by the next call: it comes behind messages that are handed out now.
                    self.keep_error(error, epoch);
                    return None;
                }
            }
            let ready = self.ready(None).filter(|tp| !used.contains(tp));
            if ready.is_some() {
                return ready;
            }
        }
    }

    /// Waits for a chunk with messages that may be handed out.
    async fn next_open(&mut self, filter: Filter<'_>) -> Result<TopicPartition> {
        let prefetch = Arc::clone(self.engine.backend().prefetch());
        // Messages that are there already are handed out without waiting, and other tasks want their turns all the same.
        consume_budget().await;
        let engine = Arc::clone(&self.engine);
        let _asking = engine.asking();
        loop {
            // Watched from before the look, so that nothing is missed in between.
            let ready = prefetch.ready().notified();
            tokio::pin!(ready);
            ready.as_mut().enable();
            if let Some(end) = self.engine.end() {
                return Err(end);
            }
            self.drop_stale();
            if let Some(error) = self.due_error(filter) {
                return Err(error);
            }
            if let Some(tp) = self.ready(filter) {
                return Ok(tp);
            }
            if self.finish_decoding(filter).await? {
                continue;
            }
            let wanted = |tp: &TopicPartition| {
                filter.is_none_or(|filter| filter.contains(tp)) && !self.has_taken(tp)
            };
            match self.engine.take(self.id, wanted) {
                Some(Taken::Chunk(chunk, epoch)) => {
                    if let Some(decoding) = self.decode(chunk, epoch) {
                        self.decoding.push(decoding);
                    }
                }
                Some(Taken::Error(error, epoch)) => {
                    if let Some(error) = self.standing_still(error, epoch) {
                        return Err(error);
                    }
                }
                None => ready.await,
            }
        }
    }

    /// Whether it has a chunk of this partition, behind which others come.
    fn has_taken(&self, tp: &TopicPartition) -> bool {
        self.open.contains_key(tp) || self.decoding.iter().any(|(other, _)| other == tp)
    }

    /// The partition whose open chunk goes on, if any may be handed out.
    fn ready(&mut self, filter: Filter<'_>) -> Option<TopicPartition> {
        let turn = self.turn.clone();
        let candidates = turn.iter().chain(self.open.keys());
        let tp = candidates
            .filter(|tp| filter.is_none_or(|filter| filter.contains(*tp)))
            .find(|tp| {
                self.open.get(*tp).is_some_and(|open| {
                    !open.is_spent()
                        && self
                            .engine
                            .hand_out(self.id, tp, open.epoch, open.high_watermark)
                })
            })?
            .clone();
        self.turn = Some(tp.clone());
        Some(tp)
    }

    /// Forgets chunks that were handed out to their end, and those whose partition was taken away or sought elsewhere.
    fn drop_stale(&mut self) {
        let (engine, id) = (&self.engine, self.id);
        self.open.retain(|tp, open| {
            if open.is_spent() && open.error.is_none() {
                // Also what the log leaves out behind the last message is finished.
                engine.give_back(tp, open.epoch, open.place.next_offset);
                return false;
            }
            engine.is_current(id, tp, open.epoch)
        });
        if self
            .turn
            .as_ref()
            .is_some_and(|tp| !self.open.contains_key(tp))
        {
            self.turn = None;
        }
    }

    /// What comes behind messages that were all handed out.
    fn due_error(&mut self, filter: Filter<'_>) -> Option<Error> {
        let tp = self
            .open
            .iter()
            .find(|(tp, open)| {
                open.is_spent()
                    && open.error.is_some()
                    && filter.is_none_or(|filter| filter.contains(*tp))
            })
            .map(|(tp, _)| tp.clone())?;
        let open = self.open.remove(&tp)?;
        self.engine.give_back(&tp, open.epoch, open.place.yielded);
        open.error
    }

    /// Waits for a chunk that is being decoded, if there is one that is asked for.
    async fn finish_decoding(&mut self, filter: Filter<'_>) -> Result<bool> {
        let wanted = self
            .decoding
            .iter_mut()
            .position(|(tp, _)| filter.is_none_or(|filter| filter.contains(tp)));
        let Some(at) = wanted else { return Ok(false) };
        let Some((_, decoding)) = self.decoding.get_mut(at) else {
            return Ok(false);
        };
        let decoded = (&mut decoding.task).await;
        let (_, Decoding { chunk, epoch, .. }) = self.decoding.remove(at);
        match decoded {
            Ok(decoded) => self.opened(&chunk, epoch, decoded),
            // The runtime is shutting down.
            Err(_) => return Err(Error::Closed),
        }
        Ok(true)
    }

    /// Decodes a chunk here, or has it decoded.
    fn decode(&mut self, chunk: Chunk, epoch: u64) -> Option<(TopicPartition, Decoding)> {
        let check_crcs = self.engine.config().check_crcs;
        if !chunk.compressed || chunk.size() <= DECODED_INLINE {
            let decoded = chunk.decode(check_crcs);
            self.opened(&chunk, epoch, decoded);
            return None;
        }
        let tp = chunk.tp.clone();
        let work = chunk.clone();
        let runtime = self.engine.runtime().handle();
        let task = runtime.spawn_blocking(move || work.decode(check_crcs));
        Some((tp, Decoding { chunk, epoch, task }))
    }

    fn opened(&mut self, chunk: &Chunk, epoch: u64, decoded: Decoded) {
        let tp = chunk.tp.clone();
        if !self.engine.is_current(self.id, &tp, epoch) {
            return;
        }
        let Some(token) = self.engine.token(&tp, epoch) else {
            return;
        };
        let error = decoded
            .error
            .and_then(|error| self.engine.damaged(&tp, epoch, decoded.next_offset, &error));
        if decoded.rest.is_some() {
            // It unpacks to more than should be held at once: the rest is fetched again in its turn.
            self.engine.refetch(&tp, epoch, decoded.next_offset);
        }
        let open = Open {
            tp: tp.clone(),
            epoch,
            token,
            place: Place {
                cursor: Cursor::default(),
                left: decoded.records.len(),
                yielded: chunk.from_offset,
                next_offset: decoded.next_offset,
            },
            records: decoded.records,
            high_watermark: chunk.high_watermark,
            error: error.map(Error::from),
        };
        self.open.insert(tp, open);
    }

    fn keep_error(&mut self, error: FetchError, epoch: u64) {
        let (tp, offset) = (error.partition().clone(), error.offset());
        if let Some(error) = self.standing_still(error, epoch) {
            let open = Open {
                tp: tp.clone(),
                epoch,
                token: 0,
                place: Place {
                    cursor: Cursor::default(),
                    left: 0,
                    yielded: offset,
                    next_offset: offset,
                },
                records: Records::default(),
                high_watermark: -1,
                error: Some(error),
            };
            self.open.insert(tp, open);
        }
    }

    /// A partition was stopped by the backend: resolved in the background where the policy allows, else an error.
    fn standing_still(&self, error: FetchError, epoch: u64) -> Option<Error> {
        let error = match error {
            FetchError::OffsetOutOfRange { tp, offset } => {
                self.engine.out_of_range(tp, epoch, offset)?
            }
            error => error.into(),
        };
        self.engine.emit(match &error {
            Error::Fetch(FetchError::Corrupt {
                tp, offset, why, ..
            }) => Event::Corrupt {
                tp: tp.clone(),
                offset: *offset,
                why: why.clone(),
            },
            error => Event::Error {
                message: error.to_string(),
            },
        });
        Some(error)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Dropped without having been given back: not finished. A cleared flag lets a revocation go on at once.
        for tp in std::mem::take(&mut self.in_hand) {
            if let Some(open) = self.open.get(&tp) {
                self.engine.abandon(&tp, open.epoch);
            }
        }
        // What was taken out of the queue would be missing for whoever receives the partition next.
        let open = self.open.iter().map(|(tp, open)| (tp, open.epoch));
        let decoding = self
            .decoding
            .iter()
            .map(|(tp, decoding)| (tp, decoding.epoch));
        for (tp, epoch) in open.chain(decoding) {
            self.engine.put_back(self.id, tp, epoch);
        }
    }
}
