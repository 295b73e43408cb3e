use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use divvy_client::TopicPartition;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::time::timeout;

use crate::batch::Batch;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::message::{Message, OwnedMessage};
use crate::receiver::Receiver;

/// A line of messages out of a consumer: its own, that of one of its streams, or that of a single partition. Can be moved to a
/// task of its own.
#[derive(Debug)]
pub struct Handle {
    receiver: Receiver,
}

impl Handle {
    pub(crate) fn new(engine: &Arc<Engine>, receiver: usize) -> Self {
        Self {
            receiver: Receiver::new(Arc::clone(engine), receiver),
        }
    }

    /// As [`Consumer::next_batch`](crate::Consumer::next_batch).
    pub async fn next_batch(&mut self) -> Result<Batch<'_>> {
        self.receiver.next_batch(None).await
    }

    /// As [`Handle::next_batch`], of these partitions only.
    pub(crate) async fn next_batch_of(
        &mut self,
        tps: Option<&BTreeSet<TopicPartition>>,
    ) -> Result<Batch<'_>> {
        self.receiver.next_batch(tps).await
    }

    /// As [`Consumer::recv`](crate::Consumer::recv).
    pub async fn recv(&mut self) -> Result<Message<'_>> {
        self.receiver.recv(None).await
    }

    /// As [`Consumer::recv_from`](crate::Consumer::recv_from).
    pub async fn recv_from(&mut self, tps: &[TopicPartition]) -> Result<Message<'_>> {
        let wanted: BTreeSet<TopicPartition> = tps.iter().cloned().collect();
        self.receiver.recv(Some(&wanted)).await
    }

    /// As [`Consumer::get_many`](crate::Consumer::get_many).
    pub async fn get_many(&mut self, max: usize, wait: Duration) -> Result<Vec<Message<'_>>> {
        match timeout(wait, self.receiver.get_many(max)).await {
            Ok(messages) => messages,
            Err(_) => Ok(Vec::new()),
        }
    }

    /// As [`Consumer::stream`](crate::Consumer::stream).
    pub fn into_stream(self) -> Result<impl Stream<Item = Result<OwnedMessage>> + Send + 'static> {
        self.explicit()?;
        Ok(unfold(self, |mut handle| async move {
            let next = handle.next_owned(None).await?;
            Some((next, handle))
        }))
    }

    pub(crate) fn stream(
        &mut self,
        idle: Option<Duration>,
    ) -> Result<impl Stream<Item = Result<OwnedMessage>> + '_> {
        self.explicit()?;
        Ok(unfold(self, move |handle| async move {
            let next = handle.next_owned(idle).await?;
            Some((next, handle))
        }))
    }

    fn explicit(&self) -> Result<()> {
        if self.receiver.engine().acks_explicitly() {
            return Ok(());
        }
        Err(Error::config(
            "ack_mode",
            "must be Explicit for streams, because their messages outlive the next call",
        ))
    }

    /// The next message; `None` when the consumer is closed or none came in time.
    async fn next_owned(&mut self, idle: Option<Duration>) -> Option<Result<OwnedMessage>> {
        let next = self.receiver.recv(None);
        let next = match idle {
            Some(idle) => timeout(idle, next).await.ok()?,
            None => next.await,
        };
        match next {
            Ok(message) => Some(Ok(message.into_owned())),
            Err(Error::Closed) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Finishes what was handed out.
    pub fn give_back(&mut self) {
        self.receiver.give_back();
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        self.receiver.engine()
    }

    /// Fetches a partition again from this offset on, under the hold that it has.
    pub(crate) fn fetch_again(&mut self, tp: &TopicPartition, epoch: u64, offset: i64) {
        self.receiver.fetch_again(tp, epoch, offset);
    }

    /// Where a partition's chunk in hand has come to.
    pub(crate) fn position(&self, tp: &TopicPartition) -> Option<i64> {
        self.receiver.position(tp)
    }
}
