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
}

impl Acker {
    pub(crate) fn new(engine: &Arc<Engine>, tp: &TopicPartition, epoch: u64) -> Self {
        Self {
            engine: Arc::clone(engine),
            tp: tp.clone(),
            epoch,
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

    /// Whether the partition is still in this consumer's hands as it was when the messages were handed out. After `false` others
    /// may have them already, and acknowledging has no effect.
    pub fn is_current(&self) -> bool {
        self.engine.is_held(&self.tp, self.epoch)
    }
}
