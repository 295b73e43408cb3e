//! Taking messages out of the queue and handing them to the application.

mod input;
mod open;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use divvy_client::TopicPartition;
use divvy_protocol::records::Cursor;
use tokio::task::coop::consume_budget;

use self::input::Pending;
pub(crate) use self::open::{Open, Origin, Place};
use crate::batch::Batch;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::message::Message;

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
    /// Chunks that were taken and are not open yet. Kept here, so that a cancelled call loses none.
    pending: VecDeque<Pending>,
    /// What the application holds: given back with its next call.
    in_hand: Vec<TopicPartition>,
    /// What the application holds is one message, of the chunk whose turn it is.
    one_in_turn: bool,
}

impl Receiver {
    pub(crate) fn new(engine: Arc<Engine>, id: usize) -> Self {
        Self {
            engine,
            id,
            open: BTreeMap::new(),
            turn: None,
            pending: VecDeque::new(),
            in_hand: Vec::new(),
            one_in_turn: false,
        }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Where the chunk of a partition was yielded to, while it is not handed out to its end.
    pub(crate) fn position(&self, tp: &TopicPartition) -> Option<i64> {
        let open = self.open.get(tp)?;
        self.engine
            .is_current(self.id, tp, open.origin.epoch)
            .then_some(open.place.yielded)
    }

    /// Fetches a partition again from this offset on, instead of what was taken of it and not handed out.
    pub(crate) fn fetch_again(&mut self, tp: &TopicPartition, epoch: u64, offset: i64) {
        self.open.remove(tp);
        self.pending.retain(|pending| pending.tp != *tp);
        self.engine.fetch_again(self.id, tp, epoch, offset);
    }

    /// Takes back everything that the application holds: exactly what was yielded of it is finished.
    pub(crate) fn give_back(&mut self) {
        self.one_in_turn = false;
        for tp in self.in_hand.drain(..) {
            if let Some(open) = self.open.get_mut(&tp) {
                open.count();
                let epoch = open.origin.epoch;
                self.engine.give_back(&tp, epoch, open.place.yielded);
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
        if !(filter.is_none() && self.goes_on().await) {
            self.give_back();
            let tp = self.next_open(filter).await?;
            self.in_hand.push(tp);
            self.one_in_turn = true;
        }
        let open = self.turn.as_ref().and_then(|tp| self.open.get_mut(tp));
        // It was there a moment ago, and `self` is borrowed since.
        let message = open.and_then(|open| open.next_message(&self.engine));
        message.ok_or(Error::Closed)
    }

    /// Whether the chunk in turn goes on where the last message was taken from it, so that the engine need not be asked. That
    /// message is finished then.
    async fn goes_on(&mut self) -> bool {
        if !self.one_in_turn || self.engine.watches_stalls() {
            return false;
        }
        // Messages that are there already are handed out without waiting, and other tasks want their turns all the same.
        consume_budget().await;
        let open = self.turn.as_ref().and_then(|tp| self.open.get(tp));
        let goes_on = open.filter(|open| open.goes_on());
        goes_on.map(Open::finish_yielded).is_some()
    }

    /// Up to `max` messages of what is there already, of several partitions, in turns of a chunk each.
    pub(crate) async fn get_many(&mut self, max: usize) -> Result<Vec<Message<'_>>> {
        self.give_back();
        let mut taken: Vec<(TopicPartition, Cursor, usize)> = Vec::new();
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
            let (before, mut yielded) = (open.place.cursor, 0);
            while count < max && open.yield_one() {
                yielded += 1;
                count += 1;
            }
            taken.push((tp, before, yielded));
        }
        let this = &*self;
        let mut messages = Vec::with_capacity(count);
        for (tp, mut cursor, yielded) in taken {
            let Some(open) = this.open.get(&tp) else {
                continue;
            };
            let records = std::iter::from_fn(|| open.origin.records.next_with_buf(&mut cursor));
            let message =
                |(record, buffer)| Message::new(&this.engine, &open.origin, record, buffer);
            messages.extend(records.take(yielded).map(message));
        }
        Ok(messages)
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
            self.decode_ahead(filter);
            let wanted = |tp: &TopicPartition| filter.is_none_or(|filter| filter.contains(tp));
            if let Some(tp) = self.ready(wanted) {
                return Ok(tp);
            }
            if let Some(at) = self.next_pending(wanted) {
                self.open_pending(at).await?;
            } else if let Some(pending) = self.take_new(wanted) {
                self.pending.push_back(pending);
            } else {
                ready.await;
            }
        }
    }

    /// The partition whose open chunk goes on, if any may be handed out.
    fn ready(&mut self, wanted: impl Fn(&TopicPartition) -> bool) -> Option<TopicPartition> {
        let turn = self.turn.take();
        let mut candidates = turn.iter().chain(self.open.keys()).filter(|tp| wanted(tp));
        let (tp, hand) = candidates.find_map(|tp| {
            let open = self.open.get(tp).filter(|open| !open.is_spent())?;
            let Origin {
                epoch,
                high_watermark,
                ..
            } = open.origin;
            let hand = self.engine.hand_out(self.id, tp, epoch, high_watermark)?;
            Some((tp.clone(), hand))
        })?;
        self.open.get_mut(&tp)?.hand = Some(hand);
        self.turn = Some(tp.clone());
        Some(tp)
    }

    /// Forgets chunks that were handed out to their end, and those whose partition was taken away or sought elsewhere.
    fn drop_stale(&mut self) {
        let (engine, id) = (&self.engine, self.id);
        self.open.retain(|tp, open| {
            let epoch = open.origin.epoch;
            if open.is_spent() && open.error.is_none() {
                // Also what the log leaves out behind the last message is finished.
                engine.give_back(tp, epoch, open.place.next_offset);
                return false;
            }
            engine.is_current(id, tp, epoch)
        });
        let pending = |pending: &Pending| engine.is_current(id, &pending.tp, pending.epoch);
        self.pending.retain(pending);
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
        let mut open = self.open.remove(&tp)?;
        let epoch = open.origin.epoch;
        self.engine.give_back(&tp, epoch, open.place.yielded);
        open.error.take()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Dropped without having been given back: not finished. A cleared flag lets a revocation go on at once.
        for tp in std::mem::take(&mut self.in_hand) {
            if let Some(open) = self.open.get(&tp) {
                self.engine.abandon(&tp, open.origin.epoch);
            }
        }
        // What was taken out of the queue would be missing for whoever receives the partition next.
        let open = self.open.iter().map(|(tp, open)| (tp, open.origin.epoch));
        let pending = self.pending.iter();
        let pending = pending.map(|pending| (&pending.tp, pending.epoch));
        for (tp, epoch) in open.chain(pending) {
            self.engine.put_back(self.id, tp, epoch);
        }
    }
}
