use crate::{AckMode, Acker, ConsumerConfig, Message, OwnedMessage};

/// The message that an iterator gave last. Being asked for more finishes it, as it would finish a borrowed one, unless messages
/// are acknowledged one by one.
#[derive(Debug)]
pub(super) struct Given {
    explicit: bool,
    last: Option<(Acker, i64)>,
}

impl Given {
    pub(super) fn new(config: &ConsumerConfig) -> Self {
        Self {
            explicit: config.ack_mode == AckMode::Explicit,
            last: None,
        }
    }

    /// The same for a handle, which gives messages of its own.
    pub(super) fn another(&self) -> Self {
        Self {
            explicit: self.explicit,
            last: None,
        }
    }

    pub(super) fn give(&mut self, message: Message<'_>) -> OwnedMessage {
        if !self.explicit {
            self.last = Some((message.acker(), message.offset()));
        }
        message.into_owned()
    }

    pub(super) fn finish(&mut self) {
        if let Some((acker, offset)) = self.last.take() {
            acker.ack(offset);
        }
    }
}
