use std::time::Duration;

use super::error::Result;
use super::given::Given;
use super::runtime::Runtime;
use crate::{Batch, Message, OwnedMessage, TopicPartition};

/// A line of messages out of a consumer, for a thread of its own: one of its streams, or a single partition. It is an iterator, as
/// the [`Consumer`](super::Consumer) is.
#[derive(Debug)]
pub struct Handle {
    inner: crate::Handle,
    given: Given,
    runtime: Runtime,
}

impl Handle {
    pub(super) fn new(inner: crate::Handle, given: Given, runtime: Runtime) -> Self {
        Self {
            inner,
            given,
            runtime,
        }
    }

    /// Waits for messages and gives those of one partition that came together.
    pub fn next_batch(&mut self) -> Result<Batch<'_>> {
        self.given.finish();
        self.runtime.run(self.inner.next_batch())
    }

    /// Waits for one message.
    pub fn recv(&mut self) -> Result<Message<'_>> {
        self.given.finish();
        self.runtime.run(self.inner.recv())
    }

    /// Waits for a message of one of these partitions; the others keep theirs until they are asked for.
    pub fn recv_from(&mut self, tps: &[TopicPartition]) -> Result<Message<'_>> {
        self.given.finish();
        self.runtime.run(self.inner.recv_from(tps))
    }

    /// Waits until there is a message, at most `wait`, and gives up to `max` of those that are there.
    pub fn get_many(&mut self, max: usize, wait: Duration) -> Result<Vec<Message<'_>>> {
        self.given.finish();
        self.runtime.run(self.inner.get_many(max, wait))
    }

    /// Finishes what was handed out.
    pub fn give_back(&mut self) {
        self.given.finish();
        self.inner.give_back();
    }
}

impl Iterator for Handle {
    type Item = Result<OwnedMessage>;

    /// As the [`Consumer`](super::Consumer)'s.
    fn next(&mut self) -> Option<Self::Item> {
        self.given.finish();
        match self.runtime.run(self.inner.recv()) {
            Ok(message) => Some(Ok(self.given.give(message))),
            Err(error) if error.is_closed() => None,
            Err(error) => Some(Err(error)),
        }
    }
}
