use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::client::Client;
use super::error::Result;
use super::events::Events;
use super::given::Given;
use super::handle::Handle;
use super::runtime::Runtime;
use crate::{
    Assignment, BalancedConsumerConfig, Batch, CommittedOffset, ConsumerConfig, Coordination,
    Everything, Message, OwnedMessage, SeekTo, SimpleConsumerConfig, TopicPartition,
    ZooKeeperGroup,
};

/// A [`divvy::SimpleConsumer`](crate::SimpleConsumer) whose calls wait.
pub type SimpleConsumer = Consumer<Everything>;

/// A [`divvy::BalancedConsumer`](crate::BalancedConsumer) whose calls wait.
pub type BalancedConsumer = Consumer<ZooKeeperGroup>;

/// A [`divvy::Consumer`](crate::Consumer) whose calls wait, and an iterator over its messages.
///
/// The iterator waits for the next message and ends when the consumer is closed. What it gave last is finished when it is asked
/// for more, and when the consumer commits or is closed; with [`AckMode::Explicit`](crate::AckMode::Explicit) by
/// [`OwnedMessage::ack`] alone. An error does not end it: a partition that stands still is reported once, and the others go on.
/// [`Consumer::next_batch`] is faster, because its messages borrow from the fetch buffer.
///
/// Dropping a consumer without [`Consumer::close`] commits nothing: what was not committed comes again.
#[derive(Debug)]
pub struct Consumer<C> {
    inner: crate::Consumer<C>,
    given: Given,
    runtime: Runtime,
}

impl SimpleConsumer {
    /// Makes a consumer on a client's cluster, without any I/O; [`Consumer::start`] begins.
    pub fn new(client: &Client, config: SimpleConsumerConfig) -> Result<Self> {
        let settings = config.consumer.clone();
        let inner = crate::SimpleConsumer::new(client.as_async(), config)?;
        Ok(Self::with(client, inner, &settings))
    }
}

impl BalancedConsumer {
    /// Joins a group with every setting at its default, in one call; see
    /// [`divvy::BalancedConsumer::join`](crate::BalancedConsumer::join).
    pub fn join<S: Into<String>>(
        zookeeper: impl Into<String>,
        group: impl Into<String>,
        topics: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let runtime = Runtime::start()?;
        let inner = runtime.run(crate::BalancedConsumer::join(zookeeper, group, topics))?;
        Ok(Self {
            inner: inner.into(),
            given: Given::new(&ConsumerConfig::default()),
            runtime,
        })
    }

    /// Makes a member of a group on a client's cluster, without any I/O; [`Consumer::start`] joins.
    pub fn new(client: &Client, config: BalancedConsumerConfig) -> Result<Self> {
        let settings = config.consumer.clone();
        let inner = crate::BalancedConsumer::new(client.as_async(), config)?;
        Ok(Self::with(client, inner.into(), &settings))
    }
}

impl<C: Coordination> Consumer<C> {
    fn with(client: &Client, inner: crate::Consumer<C>, settings: &ConsumerConfig) -> Self {
        Self {
            inner,
            given: Given::new(settings),
            runtime: client.runtime().clone(),
        }
    }

    /// Begins: looks positions up and fetches. Errors as for [`divvy::Consumer::start`](crate::Consumer::start).
    pub fn start(&mut self) -> Result<()> {
        self.runtime.run(self.inner.start())
    }

    /// Waits for messages and gives those of one partition that came together. Errors as for
    /// [`divvy::Consumer::next_batch`](crate::Consumer::next_batch).
    pub fn next_batch(&mut self) -> Result<Batch<'_>> {
        self.given.finish();
        self.runtime.run(self.inner.next_batch())
    }

    /// Waits for one message, which borrows from the fetch buffer. PyKafka: `consume(block=True)`.
    pub fn recv(&mut self) -> Result<Message<'_>> {
        self.given.finish();
        self.runtime.run(self.inner.recv())
    }

    /// Waits for one message at most this long; `None` when none came. PyKafka: `consumer_timeout_ms`.
    pub fn recv_timeout(&mut self, wait: Duration) -> Result<Option<Message<'_>>> {
        self.given.finish();
        self.runtime.run(self.inner.recv_timeout(wait))
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

    /// The same messages, as an iterator that ends also when none has come for `idle`.
    pub fn until_idle(&mut self, idle: Duration) -> UntilIdle<'_, C> {
        UntilIdle {
            consumer: self,
            idle,
        }
    }

    /// One handle for each partition that is assigned now, to be moved to threads of their own. From now on these partitions are
    /// received through their handles alone.
    pub fn partition_handles(&mut self) -> Result<BTreeMap<TopicPartition, Handle>> {
        self.given.finish();
        let handles = self.inner.partition_handles()?.into_iter();
        Ok(handles
            .map(|(tp, handle)| (tp, self.handle(handle)))
            .collect())
    }

    /// A handle for one of the member's further streams, from 1; the consumer itself is stream 0.
    pub fn stream_handle(&self, stream: usize) -> Handle {
        self.handle(self.inner.stream_handle(stream))
    }

    fn handle(&self, handle: crate::Handle) -> Handle {
        let given = self.given.another();
        Handle::new(handle, given, self.runtime.clone())
    }

    /// Goes on reading elsewhere.
    pub fn seek(&mut self, tp: &TopicPartition, to: SeekTo) -> Result<()> {
        self.given.finish();
        self.runtime.run(self.inner.seek(tp, to))
    }

    /// Keeps these partitions back until [`Consumer::resume`]. They stay owned, and stay queued as far as they were fetched.
    pub fn pause(&mut self, tps: &[TopicPartition]) -> Result<()> {
        Ok(self.inner.pause(tps)?)
    }

    /// Lets paused partitions go on.
    pub fn resume(&mut self, tps: &[TopicPartition]) -> Result<()> {
        Ok(self.inner.resume(tps)?)
    }

    /// The partitions that are kept back.
    pub fn paused(&self) -> BTreeSet<TopicPartition> {
        self.inner.paused()
    }

    /// The partitions in this consumer's hands. PyKafka: `partitions`.
    pub fn assignments(&self) -> Vec<Assignment> {
        self.inner.assignments()
    }

    /// Whether [`assignments`](Consumer::assignments) are all that this consumer is to own now.
    pub fn is_settled(&self) -> bool {
        self.inner.is_settled()
    }

    /// The offset of the next message that will be handed out.
    pub fn position(&self, tp: &TopicPartition) -> Result<i64> {
        Ok(self.inner.position(tp)?)
    }

    /// How many offsets lie between the position and the end of the log as of the last batch; `None` before the first.
    pub fn lag(&self, tp: &TopicPartition) -> Result<Option<i64>> {
        Ok(self.inner.lag(tp)?)
    }

    /// What is stored for the group, asked for now. PyKafka: `fetch_offsets`.
    pub fn committed(
        &self,
        tps: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<CommittedOffset>>> {
        self.runtime.run(self.inner.committed(tps))
    }

    /// Finishes what is in hand and commits everything that is finished. PyKafka: `commit_offsets`.
    pub fn commit(&mut self) -> Result<()> {
        self.given.finish();
        self.runtime.run(self.inner.commit())
    }

    /// Commits these offsets, each the next one to read, whatever is finished.
    pub fn commit_to(&mut self, offsets: &BTreeMap<TopicPartition, i64>) -> Result<()> {
        self.runtime.run(self.inner.commit_to(offsets))
    }

    /// For each partition the offset of the first message that is not older than a time in milliseconds since 1970.
    pub fn offsets_for_times(
        &self,
        times: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        self.runtime.run(self.inner.offsets_for_times(times))
    }

    /// The first offset of each log. PyKafka: `earliest_available_offsets`.
    pub fn beginning_offsets(
        &self,
        tps: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        self.runtime.run(self.inner.beginning_offsets(tps))
    }

    /// The end of each log. PyKafka: `latest_available_offsets`.
    pub fn end_offsets(&self, tps: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, i64>> {
        self.runtime.run(self.inner.end_offsets(tps))
    }

    /// Sees every event from now on.
    pub fn events(&self) -> Events {
        Events::new(self.inner.events(), self.runtime.clone())
    }

    /// The name under which this consumer commits, and is known in its group.
    pub fn consumer_id(&self) -> &str {
        self.inner.consumer_id()
    }

    /// Finishes what is in hand, commits what is finished (unless
    /// [`auto_commit_interval`](crate::ConsumerConfig::auto_commit_interval) is `None`) and gives everything up: a member leaves
    /// its group. When it returns, another consumer can go on where this one stopped.
    ///
    /// # Errors
    ///
    /// What could not be committed or released; everything is closed all the same, except within a tokio runtime, where nothing
    /// can be waited for: there it ends as if it were dropped.
    pub fn close(mut self) -> Result<()> {
        self.given.finish();
        self.runtime.run(self.inner.close())
    }

    fn next_within(&mut self, idle: Option<Duration>) -> Option<Result<OwnedMessage>> {
        self.given.finish();
        let received = match idle {
            Some(idle) => self.runtime.run(self.inner.recv_timeout(idle)),
            None => self.runtime.run(self.inner.recv()).map(Some),
        };
        match received {
            Ok(message) => Some(Ok(self.given.give(message?))),
            Err(error) if error.is_closed() => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl<C: Coordination> Iterator for Consumer<C> {
    type Item = Result<OwnedMessage>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_within(None)
    }
}

/// The messages of a consumer until none comes for a while; made by [`Consumer::until_idle`].
#[derive(Debug)]
pub struct UntilIdle<'a, C> {
    consumer: &'a mut Consumer<C>,
    idle: Duration,
}

impl<C: Coordination> Iterator for UntilIdle<'_, C> {
    type Item = Result<OwnedMessage>;

    fn next(&mut self) -> Option<Self::Item> {
        self.consumer.next_within(Some(self.idle))
    }
}
