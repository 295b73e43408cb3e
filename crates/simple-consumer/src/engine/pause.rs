//! Holding partitions without handing them out, while it is not known whether they are still this consumer's.

use divvy_client::TopicPartition;

use super::{Engine, Held};
use crate::sync::lock;

impl Engine {
    /// Hands nothing of these partitions out until [`Engine::resume`], and drops what was fetched of them. Positions stay, and
    /// what is in the application's hands can still be finished; it is committed when the partition is resumed.
    pub fn suspend(&self, tps: &[TopicPartition]) {
        let mut state = lock(&self.state);
        for tp in tps {
            // A hold of its own, so that what receivers took already is not handed out either.
            let epoch = state.next_epoch();
            if let Some(held) = state.partitions.get_mut(tp) {
                held.epoch = epoch;
                held.suspended = true;
                held.recall();
                self.backend.stop(tp);
            }
        }
        drop(state);
        self.wake();
    }

    /// Goes on with suspended partitions where they stood.
    pub fn resume(&self, tps: &[TopicPartition]) {
        let mut state = lock(&self.state);
        for tp in tps {
            if let Some(held) = state.partitions.get_mut(tp).filter(|held| held.suspended) {
                held.suspended = false;
                // How far the messages in hand are finished is known when they are given back; fetching begins behind them.
                if held.in_hand.is_none() && held.is_fetched() {
                    self.backend.start(tp, held.position);
                }
            }
        }
        drop(state);
        self.wake();
    }

    /// Notes that the application has given back what it had of a partition.
    pub(super) fn taken_back(&self, tp: &TopicPartition, held: &mut Held) {
        held.catch_up();
        let in_hand = held.in_hand.take();
        let suspended_since = in_hand.is_some_and(|in_hand| in_hand.epoch < held.epoch);
        held.advance_work();
        if suspended_since && held.is_fetched() {
            self.backend.start(tp, held.position);
        }
    }

    /// Gives up unfinished what was handed out from this offset on: it is handed out again. Later acknowledgements of what was
    /// handed out before have no effect.
    pub(crate) fn give_up(&self, tp: &TopicPartition, epoch: u64, offset: i64) {
        let mut state = lock(&self.state);
        let next_epoch = state.next_epoch();
        let Some(held) = state.held_since(tp, epoch) else {
            return;
        };
        held.epoch = next_epoch;
        held.since = next_epoch;
        held.recall();
        held.in_hand = None;
        held.progress.rewind(offset);
        held.advance_work();
        held.position = offset;
        if held.is_fetched() {
            self.backend.start(tp, offset);
        }
        drop(state);
        self.settled.notify_waiters();
        self.wake();
    }
}
