//! What a spout asks and tells: it keeps messages that were handed to it, and hands them out again.

use divvy_client::TopicPartition;

use super::{Engine, Held};
use crate::sync::lock;

/// How a hold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its messages may be handed out.
    Open,
    /// They may not for the moment.
    Shut,
    /// Nothing more is handed out, and what was is waited for.
    Ending,
    /// What was handed out cannot be finished any more.
    Gone,
}

impl Engine {
    /// How the hold stands under which messages of a partition were handed out.
    pub(crate) fn standing(&self, tp: &TopicPartition, epoch: u64) -> Standing {
        let mut state = lock(&self.state);
        match state.held_since(tp, epoch) {
            None => Standing::Gone,
            Some(held) if held.stopping => Standing::Ending,
            Some(held) if held.paused || !held.is_open() => Standing::Shut,
            Some(_) => Standing::Open,
        }
    }

    /// Nobody will acknowledge what of a partition is outstanding: whoever stops it need not wait for that.
    pub(crate) fn forsake(&self, tp: &TopicPartition, epoch: u64) {
        let mut state = lock(&self.state);
        if let Some(held) = state.held_since(tp, epoch) {
            held.progress.forsake();
        }
        drop(state);
        self.settled.notify_waiters();
    }

    /// Fetches a partition again from this offset on. What was handed out before is as it is.
    pub(crate) fn fetch_again(
        &self,
        receiver: usize,
        tp: &TopicPartition,
        epoch: u64,
        offset: i64,
    ) {
        let mut state = lock(&self.state);
        if let Some(held) = state.held_since(tp, epoch)
            && held.receiver == receiver
            && Held::is_fetched(held)
        {
            self.backend.start(tp, offset);
        }
    }
}
