//! A producer's way to the brokers through librdkafka.

mod config;
mod failure;
mod flight;
mod poller;

use std::fmt;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use divvy_client::{Client, Error, Result, TopicPartition};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

pub use self::config::RdkafkaProducerConfig;
pub use self::failure::DeliveryFailure;
pub use self::flight::{Delivered, Run, Stored};
use self::poller::{Command, Poller};
use crate::bare::{Records, Waker};
use crate::cluster::Cluster;

/// Carries batches of records of one partition to its leader through librdkafka.
///
/// A batch is one request where librdkafka's limits allow. librdkafka looks for leaders by itself and sends again what a broker
/// said it did not take because it does not lead the partition; of everything else the outcome is told, and nothing is sent twice.
/// Records are copied into librdkafka's memory while they are on their way.
///
/// A thread of its own does everything with librdkafka. It ends with [`RdkafkaProducer::close`], and soon after this was dropped.
pub struct RdkafkaProducer<R> {
    line: Mutex<Line<R>>,
    waker: Waker,
    finder: AbortHandle,
}

struct Line<R> {
    /// `None` once it is closed.
    commands: Option<Sender<Command<R>>>,
    thread: Option<JoinHandle<()>>,
}

impl<R> fmt::Debug for RdkafkaProducer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RdkafkaProducer").finish_non_exhaustive()
    }
}

impl<R: Records + Send + 'static> RdkafkaProducer<R> {
    /// Takes a client into use, from which librdkafka's settings follow. librdkafka is made when it is known what the brokers speak.
    ///
    /// # Errors
    ///
    /// A configuration error that names the field; [`RdkafkaProducerConfig::properties`] with librdkafka's own text.
    pub fn new(client: &Client, config: RdkafkaProducerConfig) -> Result<Self> {
        config.validate()?;
        let (sender, commands) = channel();
        let waker = Waker::default();
        let poller = Poller::new(commands, waker.clone(), client.config().clone(), config);
        let thread = thread::Builder::new()
            .name("divvy-rdkafka".to_owned())
            .spawn(move || poller.run())
            .map_err(|error| Error::config("use_rdkafka", format!("no thread: {error}")))?;
        let find = tell_cluster(client.clone(), sender.clone());
        let finder = client.runtime().spawn(find).abort_handle();
        let line = Line {
            commands: Some(sender),
            thread: Some(thread),
        };
        Ok(Self {
            line: Mutex::new(line),
            waker,
            finder,
        })
    }

    /// Sends a batch and waits until all of it is stored or has failed; that takes the request's timeout at most, and a little.
    /// The records come back with what became of them.
    ///
    /// Of one partition only one batch may be on its way at a time.
    ///
    /// `None` if it was closed meanwhile: the records are gone, and may have been stored.
    pub async fn deliver(&self, tp: &TopicPartition, records: R) -> Option<Delivered<R>> {
        let (reply, delivered) = oneshot::channel();
        self.tell(Command::Deliver {
            tp: tp.clone(),
            records,
            reply,
        });
        delivered.await.ok()
    }

    /// Waits until the leaders of these partitions have read everything that was sent to them before, each so long at most. Gives
    /// those that cannot be reached, with the reason.
    ///
    /// Without acks nothing else tells that what was written has arrived.
    pub async fn reach(
        &self,
        partitions: Vec<TopicPartition>,
        within: Duration,
    ) -> Vec<(TopicPartition, String)> {
        let (reply, reached) = oneshot::channel();
        self.tell(Command::Reach {
            partitions,
            within,
            reply,
        });
        reached.await.unwrap_or_default()
    }

    /// Forgets what is on its way, and waits until librdkafka's threads have ended.
    pub async fn close(&self) {
        let Some(thread) = self.end() else { return };
        // librdkafka waits for its own threads.
        let ended = tokio::task::spawn_blocking(move || thread.join());
        if !matches!(ended.await, Ok(Ok(()))) {
            tracing::error!("the thread of librdkafka has panicked");
        }
    }

    fn tell(&self, command: Command<R>) {
        if let Some(commands) = &self.line().commands {
            // It fails only if the thread has ended, and then the command's sender learns of it by the end of its reply.
            let _ = commands.send(command);
        }
        self.waker.wake();
    }
}

impl<R> RdkafkaProducer<R> {
    fn line(&self) -> MutexGuard<'_, Line<R>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the thread to end, and nothing any more.
    fn end(&self) -> Option<JoinHandle<()>> {
        self.finder.abort();
        let mut line = self.line();
        if let Some(commands) = line.commands.take() {
            // It fails only if the thread has ended.
            let _ = commands.send(Command::Close);
        }
        self.waker.wake();
        line.thread.take()
    }
}

impl<R> Drop for RdkafkaProducer<R> {
    fn drop(&mut self) {
        // The thread ends by itself; waiting for it would hold up a runtime.
        drop(self.end());
    }
}

/// Finds out what the brokers speak, and tells the thread.
async fn tell_cluster<R>(client: Client, commands: Sender<Command<R>>) {
    let cluster = Cluster::find(&client).await;
    tracing::debug!(?cluster, "librdkafka produces");
    // It fails only if the thread has ended. Until now the thread waits for commands alone, so that nothing has to wake it.
    let _ = commands.send(Command::Cluster(cluster));
}

/// Text that is shared by all records that fail for the same reason.
type Why = Arc<str>;

#[cfg(test)]
mod tests;
