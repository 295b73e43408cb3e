use std::sync::Arc;

use divvy_client::TopicPartition;

use crate::engine::Engine;

/// Finishes messages of one partition that left the consumer in another form than as [`OwnedMessage`](crate::OwnedMessage)s:
/// as lines of text, or written to a file. Made by [`Batch::acker`](crate::Batch::acker) and [`Message::acker`](crate::Message::acker); cheap to clone and to send.
#[derive(Clone, Debug)]
pub struct Acker {
    engine: Arc<Engine>,
    tp: TopicPartition,
    epoch: u64,
    token: i64,
}

impl Acker {
    pub(crate) fn new(engine: &Arc<Engine>, tp: &TopicPartition, epoch: u64, token: i64) -> Self {
        Self {
            engine: Arc::clone(engine),
            tp: tp.clone(),
            epoch,
            token,
        }
    }

    /// The partition.
    pub fn partition(&self) -> &TopicPartition {
        &self.tp
    }

    /// Finishes the message at this offset. Gives `false` where that has no effect any more.
    pub fn ack(&self, offset: i64) -> bool {
        self.engine.ack(&self.tp, self.epoch, offset)
    }

    /// Finishes the message at this offset and all before it in its partition.
    pub fn ack_through(&self, offset: i64) {
        self.engine.ack_below(&self.tp, self.epoch, offset + 1);
    }

    /// The fencing token of the claim under which the messages were handed out, as [`Assignment::token`](crate::Assignment::token).
    pub fn token(&self) -> i64 {
        self.token
    }

    /// Whether the partition is this consumer's alone at this moment, as when the messages were handed out. After `false` others
    /// may have them already. While a consumer is suspended this is `false`; acknowledgements count all the same, and it is `true`
    /// again when the consumer was resumed without having lost the partition.
    pub fn is_current(&self) -> bool {
        self.engine.is_valid(&self.tp, self.epoch)
    }

    /// Whether the partition has been this consumer's alone without any interruption since the messages were handed out. Whoever
    /// buffers messages on their way to somewhere else asks this before each is passed on, and [gives up](Acker::give_up) what is
    /// not fresh any more.
    pub fn is_fresh(&self) -> bool {
        self.engine.is_fresh(&self.tp, self.epoch)
    }

    /// Gives up, unfinished, the message at this offset and all that were handed out behind it in its partition: they are handed
    /// out again, here or by the next owner. Earlier acknowledgements of them are forgotten, later ones have no effect.
    pub fn give_up(&self, offset: i64) {
        self.engine.give_up(&self.tp, self.epoch, offset);
    }
}
