//! Handing out and giving back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use divvy_client::{Chunk, FetchError, TopicPartition};
use divvy_protocol::records::RecordsError;

use super::{Engine, Held};
use crate::config::AckMode;
use crate::error::Error;
use crate::event::Event;
use crate::gate::Gate;
use crate::metrics::PartitionMeter;
use crate::sync::lock;

/// What a receiver took out of the queue.
#[derive(Debug)]
pub(crate) enum Taken {
    /// A chunk, and the hold under which its messages may be handed out.
    Chunk(Chunk, u64),
    /// A partition stands still.
    Error(FetchError, u64),
}

/// How often a damaged entry is fetched before it is believed: damage on the way is not there the next time.
const CORRUPT_ATTEMPTS: u32 = 3;

/// What a receiver and the engine say to each other about a chunk that is being handed out message by message, without a lock.
///
/// While it stands, the partition counts as being in the application's hands. So a receiver that misses a recall for a moment
/// hands out one message more, and whoever recalled waits for that to be given back as for the others.
#[derive(Debug)]
pub(crate) struct Hand {
    gate: Arc<dyn Gate>,
    /// The engine wants to be asked before the next message.
    recalled: AtomicBool,
    /// Messages below this offset are finished.
    finished: AtomicI64,
    meter: PartitionMeter,
}

impl Hand {
    fn new(held: &Held) -> Arc<Self> {
        Arc::new(Self {
            gate: Arc::clone(&held.gate),
            meter: held.holding.meter.clone(),
            recalled: AtomicBool::new(false),
            finished: AtomicI64::new(i64::MIN),
        })
    }

    /// Whether the next message may be handed out.
    pub(crate) fn is_open(&self) -> bool {
        !self.recalled.load(Ordering::Acquire) && self.gate.is_open()
    }

    /// Finishes the messages below an offset.
    pub(crate) fn finish_below(&self, next_offset: i64) {
        self.finished.store(next_offset, Ordering::Release);
    }

    /// Counts messages that were handed out, so many before the end of the log.
    pub(crate) fn count(&self, messages: usize, lag: i64) {
        self.meter.handed_out(messages);
        // What was recalled may be in other hands already.
        if !self.recalled.load(Ordering::Acquire) {
            self.meter.lag(lag);
        }
    }
}

/// What the application has of a partition.
#[derive(Debug)]
pub(super) struct InHand {
    /// Under which hold it was handed out.
    pub(super) epoch: u64,
    hand: Arc<Hand>,
}

impl Held {
    /// Has receivers ask before they hand out another message.
    pub(super) fn recall(&self) {
        if let Some(in_hand) = &self.in_hand {
            in_hand.hand.recalled.store(true, Ordering::Release);
        }
    }

    /// Takes in what was finished without telling the engine.
    pub(super) fn catch_up(&mut self) {
        if let Some(in_hand) = &self.in_hand {
            let finished = in_hand.hand.finished.load(Ordering::Acquire);
            self.position = self.position.max(finished);
            self.progress.advance(finished);
        }
    }
}

impl Engine {
    /// Takes the next item out of the queue for a receiver, if there is one for it.
    pub(crate) fn take(
        &self,
        receiver: usize,
        mut wanted: impl FnMut(&TopicPartition) -> bool,
    ) -> Option<Taken> {
        let state = lock(&self.state);
        let (tp, item) = self.backend.prefetch().pop(|tp| {
            state
                .partitions
                .get(tp)
                .is_some_and(|held| held.receiver == receiver && !held.paused && held.is_open())
                && wanted(tp)
        })?;
        let held = state.partitions.get(&tp)?;
        Some(match item {
            Ok(chunk) => {
                held.holding.meter.took(chunk.entries.len());
                Taken::Chunk(chunk, held.epoch)
            }
            Err(error) => Taken::Error(error, held.epoch),
        })
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    /// Why nothing is handed out any more, if that is so.
    pub(crate) fn end(&self) -> Option<Error> {
        let state = lock(&self.state);
        let closed = state.closed.then_some(Error::Closed);
        state.failed.clone().or(closed)
    }

    /// Whether what was handed out under this hold is this consumer's alone at this moment.
    pub(crate) fn is_valid(&self, tp: &TopicPartition, epoch: u64) -> bool {
        let mut state = lock(&self.state);
        let held = state.held_since(tp, epoch);
        held.is_some_and(|held| !held.suspended && held.gate.is_open())
    }

    /// Whether nothing has come between since this hold began: neither its end nor a suspension.
    pub(crate) fn is_fresh(&self, tp: &TopicPartition, epoch: u64) -> bool {
        let mut state = lock(&self.state);
        let held = state.held_as(tp, epoch);
        held.is_some_and(|held| !held.suspended && held.gate.is_open())
    }

    /// The fencing token under which a partition is held.
    pub(crate) fn token(&self, tp: &TopicPartition, epoch: u64) -> Option<i64> {
        let mut state = lock(&self.state);
        Some(state.held_as(tp, epoch)?.assignment.token)
    }

    /// Whether a hold has ended for good, so that what was taken under it is worth nothing.
    pub(crate) fn is_stale(&self, tp: &TopicPartition, epoch: u64) -> bool {
        let state = lock(&self.state);
        let held = state.partitions.get(tp).filter(|held| held.epoch == epoch);
        held.is_none_or(|held| held.stopping)
    }

    /// Whether a receiver may still hand out what it took of a partition under this hold.
    pub(crate) fn is_current(&self, receiver: usize, tp: &TopicPartition, epoch: u64) -> bool {
        let mut state = lock(&self.state);
        let held = state.held_as(tp, epoch);
        held.is_some_and(|held| held.receiver == receiver && !held.stopping)
    }

    /// Marks messages of a partition as being in the application's hands. Gives `None` where they must not be handed out.
    pub(crate) fn hand_out(
        &self,
        receiver: usize,
        tp: &TopicPartition,
        epoch: u64,
        high_watermark: i64,
    ) -> Option<Arc<Hand>> {
        let mut state = lock(&self.state);
        let held = state.held_as(tp, epoch)?;
        if held.receiver != receiver || held.paused || !held.is_open() {
            return None;
        }
        held.catch_up();
        let hand = Hand::new(held);
        held.in_hand = Some(InHand {
            epoch,
            hand: Arc::clone(&hand),
        });
        if self.watches_stalls() {
            held.begin_work();
        }
        held.high_watermark = Some(high_watermark);
        Some(hand)
    }

    /// Takes back what was handed out: everything below `next_offset` was yielded to the application.
    pub(crate) fn give_back(&self, tp: &TopicPartition, epoch: u64, next_offset: i64) {
        let mut state = lock(&self.state);
        if let Some(held) = state.held_since(tp, epoch) {
            held.position = held.position.max(next_offset);
            held.progress.advance(next_offset);
            self.taken_back(tp, held);
        }
        drop(state);
        self.settled.notify_waiters();
    }

    /// Takes back what was handed out without finishing any of it.
    pub(crate) fn abandon(&self, tp: &TopicPartition, epoch: u64) {
        let mut state = lock(&self.state);
        if let Some(held) = state.held_since(tp, epoch) {
            self.taken_back(tp, held);
        }
        drop(state);
        self.settled.notify_waiters();
    }

    /// A receiver is gone with what it took of a partition: that is fetched again, from the first message that was not given back.
    pub(crate) fn put_back(&self, receiver: usize, tp: &TopicPartition, epoch: u64) {
        let mut state = lock(&self.state);
        if let Some(held) = state.held_as(tp, epoch)
            && held.receiver == receiver
            && held.is_fetched()
        {
            self.backend.start(tp, held.position);
        }
    }

    /// From now on this message is finished by its acknowledgement alone.
    pub(crate) fn detach(&self, tp: &TopicPartition, epoch: u64, offset: i64) {
        let mut state = lock(&self.state);
        if let Some(held) = state.held_since(tp, epoch) {
            held.progress.detach(offset);
            if self.watches_stalls() {
                held.begin_work();
            }
            if self.acks_explicitly() {
                // Whatever lies below awaits its own acknowledgement, so that nothing has to be given back first.
                held.progress.advance(offset + 1);
                held.position = held.position.max(offset + 1);
            }
        }
    }

    pub(crate) fn acks_explicitly(&self) -> bool {
        self.config.ack_mode == AckMode::Explicit
    }

    /// Finishes one message. Gives `false` where it was finished before, or its partition is in other hands.
    pub(crate) fn ack(&self, tp: &TopicPartition, epoch: u64, offset: i64) -> bool {
        let mut state = lock(&self.state);
        let held = state.held_since(tp, epoch);
        let acked = held.is_some_and(|held| {
            let acked = held.progress.ack(offset);
            if acked {
                held.advance_work();
            }
            acked
        });
        drop(state);
        self.settled.notify_waiters();
        acked
    }

    /// Finishes every message below an offset.
    pub(crate) fn ack_below(&self, tp: &TopicPartition, epoch: u64, next_offset: i64) {
        let mut state = lock(&self.state);
        if let Some(held) = state.held_since(tp, epoch) {
            held.progress.ack_below(next_offset);
            held.advance_work();
        }
        drop(state);
        self.settled.notify_waiters();
    }

    /// A chunk was damaged at this offset. Fetches it anew a few times; gives the error when that did not help.
    pub(crate) fn damaged(
        &self,
        tp: &TopicPartition,
        epoch: u64,
        offset: i64,
        error: &RecordsError,
    ) -> Option<FetchError> {
        let mut state = lock(&self.state);
        let held = state.held_as(tp, epoch)?;
        let attempts = match held.corrupt {
            Some((seen, attempts)) if seen == offset => attempts + 1,
            _ => 1,
        };
        held.corrupt = Some((offset, attempts));
        if attempts < CORRUPT_ATTEMPTS {
            self.backend.start(tp, offset);
            return None;
        }
        // Nothing behind the damage may be handed out before somebody has decided to leave it out.
        self.backend.stop(tp);
        drop(state);
        let (tp, why) = (tp.clone(), error.to_string());
        self.emit(Event::Corrupt {
            tp: tp.clone(),
            offset,
            why: why.clone(),
        });
        let next = offset.saturating_add(1);
        Some(FetchError::Corrupt {
            tp,
            offset,
            skip_to: error.skip_to.map_or(next, |skip_to| skip_to.max(next)),
            why,
        })
    }
}
