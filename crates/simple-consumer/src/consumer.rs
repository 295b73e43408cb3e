use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use divvy_client::{CommittedOffset, OffsetSpec, TopicPartition};
use futures_util::Stream;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::assignment::Assignment;
use crate::batch::Batch;
use crate::coordination::Coordination;
use crate::engine::{Engine, SeekTo};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::handle::Handle;
use crate::message::{Message, OwnedMessage};
use crate::spout::{Spout, SpoutConfig};

/// A consumer: receives the messages of the partitions that its [`Coordination`] assigns, and keeps track of what is finished.
///
/// What is finished is what may be committed. A message is finished when it was handed out and the consumer was then asked for
/// more, or committed, or closed; a message that was made to outlive that is finished by its acknowledgement alone. So a crash
/// at any moment loses nothing: whatever was not finished comes again.
///
/// A cancelled receive loses nothing. Dropping a consumer without [`Consumer::close`] commits nothing.
pub struct Consumer<C> {
    engine: Arc<Engine>,
    coordination: C,
    handle: Handle,
    /// What runs in the background while it is started.
    tasks: Vec<JoinHandle<()>>,
    started: bool,
}

impl<C> fmt::Debug for Consumer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

impl<C: Coordination> Consumer<C> {
    /// Puts a consumer together, without any I/O.
    pub fn with(engine: Arc<Engine>, coordination: C) -> Self {
        Self {
            handle: Handle::new(&engine, 0),
            engine,
            coordination,
            tasks: Vec::new(),
            started: false,
        }
    }

    /// Begins: looks positions up and fetches. A consumer that is started already goes on.
    ///
    /// # Errors
    ///
    /// What keeps it from ever working (an unknown topic, no broker, no ZooKeeper), within 10 s by default. Once it has started,
    /// the same faults are retried for ever and reported as events.
    pub async fn start(&mut self) -> Result<()> {
        if !self.started {
            self.coordination.start(&self.engine).await?;
            self.tasks.extend(self.engine.commit_regularly());
            self.tasks.extend(self.engine.watch_stalls());
            self.started = true;
        }
        Ok(())
    }

    fn started(&self) -> Result<()> {
        if self.started {
            Ok(())
        } else {
            Err(Error::NotStarted)
        }
    }

    /// Waits for messages and gives those of one partition that came together. Partitions take turns.
    ///
    /// # Errors
    ///
    /// [`Error::Fetch`] for a partition that stands still until it is sought elsewhere, and [`Error::NoOffset`]; the others go on
    /// with the next call. [`Error::Closed`].
    pub async fn next_batch(&mut self) -> Result<Batch<'_>> {
        self.started()?;
        self.handle.next_batch().await
    }

    /// Waits for one message. PyKafka: `consume(block=True)`. Errors as for [`Consumer::next_batch`].
    pub async fn recv(&mut self) -> Result<Message<'_>> {
        self.started()?;
        self.handle.recv().await
    }

    /// Waits for one message at most this long; `None` when none came. PyKafka: `consumer_timeout_ms`.
    pub async fn recv_timeout(&mut self, wait: Duration) -> Result<Option<Message<'_>>> {
        self.started()?;
        match timeout(wait, self.handle.recv()).await {
            Ok(message) => message.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Waits for a message of one of these partitions; the others keep theirs until they are asked for.
    pub async fn recv_from(&mut self, tps: &[TopicPartition]) -> Result<Message<'_>> {
        self.started()?;
        self.handle.recv_from(tps).await
    }

    /// Waits until there is a message, at most `wait`, and gives up to `max` of those that are there. aiokafka: `getmany`.
    pub async fn get_many(&mut self, max: usize, wait: Duration) -> Result<Vec<Message<'_>>> {
        self.started()?;
        self.handle.get_many(max, wait).await
    }

    /// The messages as a stream that ends when the consumer is closed. It needs
    /// [`AckMode::Explicit`](crate::AckMode::Explicit): what leaves the consumer is finished by [`OwnedMessage::ack`].
    pub fn stream(&mut self) -> Result<impl Stream<Item = Result<OwnedMessage>> + '_> {
        self.started()?;
        self.handle.stream(None)
    }

    /// [`Consumer::stream`] that ends when no message has come for `idle`.
    pub fn stream_until_idle(
        &mut self,
        idle: Duration,
    ) -> Result<impl Stream<Item = Result<OwnedMessage>> + '_> {
        self.started()?;
        self.handle.stream(Some(idle))
    }

    /// The messages with acknowledgements and failures, as Storm's spouts have them. It receives in the consumer's stead, and needs
    /// [`AckMode::Explicit`](crate::AckMode::Explicit). See [`Spout::new`](crate::spout::Spout::new) for single streams.
    pub fn spout(&self, config: SpoutConfig) -> Result<Spout> {
        self.started()?;
        Spout::new(Handle::new(&self.engine, 0), config)
    }

    /// One handle for each partition that is assigned now, to be moved to tasks of their own. From now on these partitions are
    /// received through their handles alone.
    pub fn partition_handles(&mut self) -> Result<BTreeMap<TopicPartition, Handle>> {
        self.started()?;
        self.handle.give_back();
        let assigned = self.engine.assignments();
        let handles = assigned.into_iter().map(|assignment| {
            let receiver = self.engine.give_receiver(&assignment.tp)?;
            Ok((assignment.tp, Handle::new(&self.engine, receiver)))
        });
        handles.collect()
    }

    /// [`Consumer::partition_handles`] as streams; needs [`AckMode::Explicit`](crate::AckMode::Explicit).
    pub fn partition_streams(
        &mut self,
    ) -> Result<BTreeMap<TopicPartition, impl Stream<Item = Result<OwnedMessage>> + use<C>>> {
        let handles = self.partition_handles()?;
        let streams = handles
            .into_iter()
            .map(|(tp, handle)| Ok((tp, handle.into_stream()?)));
        streams.collect()
    }

    /// A handle for one of the member's further streams, from 1; the consumer itself is stream 0.
    pub fn stream_handle(&self, stream: usize) -> Handle {
        Handle::new(&self.engine, stream)
    }

    /// Goes on reading elsewhere. What was handed out before and is not finished stays unfinished for good: its offset was
    /// left behind on purpose.
    pub async fn seek(&mut self, tp: &TopicPartition, to: SeekTo) -> Result<()> {
        self.started()?;
        self.handle.give_back();
        self.engine.seek(tp, to).await
    }

    /// Keeps these partitions back until [`Consumer::resume`]. They stay owned, and stay queued as far as they were fetched.
    pub fn pause(&mut self, tps: &[TopicPartition]) -> Result<()> {
        self.engine.set_paused(tps, true)
    }

    /// Lets paused partitions go on.
    pub fn resume(&mut self, tps: &[TopicPartition]) -> Result<()> {
        self.engine.set_paused(tps, false)
    }

    /// The partitions that are kept back.
    pub fn paused(&self) -> BTreeSet<TopicPartition> {
        self.engine.paused()
    }

    /// The partitions in this consumer's hands. PyKafka: `partitions`.
    pub fn assignments(&self) -> Vec<Assignment> {
        self.engine.assignments()
    }

    /// Whether [`assignments`](Consumer::assignments) are all that this consumer is to own now: a member of a group gets its share
    /// one by one, and waits for others to give theirs up.
    pub fn is_settled(&self) -> bool {
        self.coordination.is_settled()
    }

    /// The offset of the next message that will be handed out. PyKafka's `held_offsets` is one less.
    pub fn position(&self, tp: &TopicPartition) -> Result<i64> {
        self.handle
            .position(tp)
            .map_or_else(|| self.engine.position(tp), Ok)
    }

    /// What is stored for the group, asked for now. PyKafka: `fetch_offsets`.
    pub async fn committed(
        &self,
        tps: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<CommittedOffset>>> {
        let store = self.engine.store().ok_or(Error::NoGroup)?;
        let stored = store.fetch(tps).await?;
        stored
            .into_iter()
            .map(|(tp, stored)| Ok((tp, stored?)))
            .collect()
    }

    /// Finishes what is in hand and commits everything that is finished. PyKafka: `commit_offsets`.
    pub async fn commit(&mut self) -> Result<()> {
        self.handle.give_back();
        self.engine.commit_finished(None).await
    }

    /// Commits these offsets, each the next one to read, whatever is finished.
    pub async fn commit_to(&mut self, offsets: &BTreeMap<TopicPartition, i64>) -> Result<()> {
        self.engine.commit_to(offsets).await
    }

    /// For each partition the offset of the first message that is not older than a time in milliseconds since 1970; see
    /// [`OffsetSpec::Time`] for old brokers. A partition without one is left out.
    pub async fn offsets_for_times(
        &self,
        times: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        let specs = times
            .iter()
            .map(|(tp, time)| (tp.clone(), OffsetSpec::Time(*time)))
            .collect();
        let mut offsets = BTreeMap::new();
        for (tp, found) in self.engine.look_up(&specs).await {
            match found {
                Ok(offset) => {
                    offsets.insert(tp, offset);
                }
                Err(Error::NoMessageSince { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(offsets)
    }

    /// The first offset of each log. PyKafka: `earliest_available_offsets`.
    pub async fn beginning_offsets(
        &self,
        tps: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        self.log_ends(tps, OffsetSpec::Earliest).await
    }

    /// The end of each log. PyKafka: `latest_available_offsets`.
    pub async fn end_offsets(
        &self,
        tps: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        self.log_ends(tps, OffsetSpec::Latest).await
    }

    async fn log_ends(
        &self,
        tps: &[TopicPartition],
        spec: OffsetSpec,
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        let wanted = tps.iter().map(|tp| (tp.clone(), spec)).collect();
        let found = self.engine.look_up(&wanted).await;
        found
            .into_iter()
            .map(|(tp, found)| Ok((tp, found?)))
            .collect()
    }

    /// How many offsets lie between the position and the end of the log as of the last batch; `None` before the first.
    pub fn lag(&self, tp: &TopicPartition) -> Result<Option<i64>> {
        let end = self.engine.high_watermark(tp)?;
        let position = self.position(tp)?;
        Ok(end.map(|end| (end - position).max(0)))
    }

    /// Sees every event from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.engine.events().subscribe()
    }

    /// The name under which this consumer commits, and is known in its group.
    pub fn consumer_id(&self) -> &str {
        self.engine.consumer_id()
    }

    /// Stops handing out, finishes what is in hand, commits what is finished (unless
    /// [`auto_commit_interval`](crate::ConsumerConfig::auto_commit_interval) is `None`) and gives everything up. When it returns,
    /// another consumer can go on where this one stopped.
    ///
    /// # Errors
    ///
    /// What could not be committed or released; everything is closed all the same.
    pub async fn close(mut self) -> Result<()> {
        self.handle.give_back();
        for task in self.tasks.drain(..) {
            task.abort();
        }
        let result = if self.started {
            self.coordination.close(&self.engine).await
        } else {
            Ok(())
        };
        self.engine.close().await;
        result
    }
}

impl<C> Drop for Consumer<C> {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
