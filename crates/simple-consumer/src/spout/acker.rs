use std::sync::Arc;

use super::id::MessageId;
use super::shared::Shared;
use super::stats::SpoutStats;

/// Acknowledges and fails the messages of a [`Spout`](super::Spout), from any task. Made by [`Spout::acker`](super::Spout::acker);
/// cheap to clone. It outlives its spout: what was in flight then can still be finished.
#[derive(Clone, Debug)]
pub struct SpoutAcker {
    shared: Arc<Shared>,
}

impl SpoutAcker {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Finishes a message: when all before it are finished too, the next commit goes beyond it. Where the message has failed
    /// meanwhile, by its age, it is not handed out again.
    ///
    /// Gives `false` where that has no effect any more, which is counted and no error: it was finished before, or its partition has
    /// been in other hands since.
    pub fn ack(&self, id: &MessageId) -> bool {
        if !self.shared.tracks() {
            self.shared.count(|counts| counts.acked += 1);
            return true;
        }
        self.shared.ack(id)
    }

    /// Says that a message was not worked off: it is handed out again when its pause is over, or meets its fate
    /// ([`RetryPolicy`](super::RetryPolicy)).
    ///
    /// Gives `false` where that has no effect: the message is not in flight.
    pub fn fail(&self, id: &MessageId) -> bool {
        if !self.shared.tracks() {
            self.shared.count(|counts| counts.failed += 1);
            return false;
        }
        self.shared.fail(id)
    }

    /// What the spout has done, and what it has in hand.
    pub fn stats(&self) -> SpoutStats {
        self.shared.stats()
    }
}
