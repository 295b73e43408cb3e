//! Messages with acknowledgements and failures, as Storm's spouts have them.

mod acker;
mod config;
mod dead_letters;
mod id;
mod ledger;
mod message;
mod shared;
mod stats;
mod untracked;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until};

pub use self::acker::SpoutAcker;
pub use self::config::{After, Guarantee, Ordering, RetryPolicy, SpoutConfig};
pub use self::dead_letters::{DeadLetter, DeadLetters};
pub use self::id::{MessageId, ParseMessageIdError};
use self::ledger::{Halt, Step};
pub use self::message::SpoutMessage;
use self::shared::{Shared, Wanted};
pub use self::stats::{SpoutPartitionStats, SpoutStats};
use self::untracked::Untracked;
use crate::config::AckMode;
use crate::error::{Error, Result};
use crate::handle::Handle;

/// How long to wait at most before looking whether partitions that are kept back may go on.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// What waiting without an end means: sixty years from now is too far for some clocks.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Hands out messages that are acknowledged or failed one by one and in any order: a source for Storm-like topologies and for
/// worker pools. Made by [`Consumer::spout`](crate::Consumer::spout), for a simple consumer or a member of a group alike.
///
/// - [`Spout::next`] waits for a message for a bounded time. What is handed out is in flight until [`Spout::ack`] or
///   [`Spout::fail`] is told its [`MessageId`]; other tasks do so through [`Spout::acker`].
/// - Only what is acknowledged is committed, up to the first message of its partition that is not. So a crash loses nothing
///   ([`Guarantee`] has other choices), and a successor begins there.
/// - What fails is handed out again, after a pause ([`RetryPolicy`]). What is neither acknowledged nor failed in time has failed.
/// - When a partition is revoked, its messages are handed out no more, acknowledgements are waited for
///   ([`drain_timeout`](crate::ConsumerConfig::drain_timeout)), and what is finished is committed before the partition is released.
///   Later acknowledgements are stale: ignored and counted ([`SpoutStats::stale`]).
///
/// A spout does nothing on its own while nobody asks it: retries that are due and messages that are too old are seen to by the next
/// call of [`Spout::next`]. A cancelled call loses nothing. The consumer keeps the membership alive whatever a spout waits for, and
/// is closed on its own; drop the spout first, so that retries which will not come are not waited for.
///
/// ```no_run
/// use std::time::Duration;
/// use divvy_client::{Client, ClientConfig};
/// use divvy_simple_consumer::{AckMode, SimpleConsumer, SimpleConsumerConfig, SpoutConfig};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let client = Client::connect(ClientConfig::bootstrap(["127.0.0.1:9092"])).await?;
/// let mut config = SimpleConsumerConfig::new(["clicks"]);
/// config.consumer.group = Some("billing".to_owned());
/// config.consumer.ack_mode = AckMode::Explicit;
/// let mut consumer = SimpleConsumer::new(&client, config)?;
/// consumer.start().await?;
/// let mut spout = consumer.spout(SpoutConfig::new())?;
/// while let Some(message) = spout.next(Duration::from_secs(5)).await? {
///     match String::from_utf8(message.value.unwrap_or_default().to_vec()) {
///         Ok(_) => spout.ack(&message.id),
///         Err(_) => spout.fail(&message.id),
///     };
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Spout {
    shared: Arc<Shared>,
    handle: Handle,
    /// What was taken to be handed out without being tracked.
    untracked: Untracked,
    /// To be reported by the next call: it came behind messages that were handed out.
    error: Option<Error>,
}

impl Spout {
    /// A spout over one line of a consumer: that of a stream of a member
    /// ([`Consumer::stream_handle`](crate::Consumer::stream_handle)), or of a single partition. Several spouts of one consumer are
    /// several tasks of a topology.
    ///
    /// # Errors
    ///
    /// What [`SpoutConfig::validate`] finds. The consumer does not have [`AckMode::Explicit`]. [`Error::NoGroup`] where
    /// [`Guarantee::AtMostOnce`] has nowhere to commit to.
    pub fn new(handle: Handle, config: SpoutConfig) -> Result<Self> {
        config.validate()?;
        let engine = handle.engine();
        if engine.config().ack_mode != AckMode::Explicit {
            let why = "must be Explicit for a spout, because its messages are finished one by one";
            return Err(Error::config("ack_mode", why));
        }
        if config.guarantee == Guarantee::AtMostOnce && engine.store().is_none() {
            return Err(Error::NoGroup);
        }
        Ok(Self {
            shared: Shared::new(Arc::clone(engine), config),
            handle,
            untracked: Untracked::default(),
            error: None,
        })
    }

    /// The next message; `None` when none came within `max_wait`, which may be zero.
    ///
    /// # Errors
    ///
    /// As for [`Consumer::next_batch`](crate::Consumer::next_batch), and [`Error::RetriesExhausted`] for a partition that stands
    /// still by [`After::Halt`]; others go on with the next call. With [`Guarantee::AtMostOnce`] also what could not be committed:
    /// these messages come with a later call.
    pub async fn next(&mut self, max_wait: Duration) -> Result<Option<SpoutMessage>> {
        Ok(self.next_many(1, max_wait).await?.pop())
    }

    /// Waits until there is a message, at most `max_wait`, and gives up to `max` of those that are there. Errors as for
    /// [`Spout::next`].
    pub async fn next_many(&mut self, max: usize, max_wait: Duration) -> Result<Vec<SpoutMessage>> {
        let deadline = Instant::now() + max_wait.min(LONGEST_WAIT);
        let shared = Arc::clone(&self.shared);
        loop {
            // Watched from before the look, so that nothing is missed in between.
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let given = if shared.tracks() {
                self.collect(max)?
            } else {
                self.untracked
                    .collect(&shared, &mut self.handle, max)
                    .await?
            };
            if !given.is_empty() || max == 0 {
                return Ok(given);
            }
            let wanted = shared.wanted();
            let until = self.look_again_at(&wanted, deadline);
            tokio::select! {
                biased;
                received = self.receive(&wanted) => { received?; }
                () = changed => {}
                () = sleep_until(until) => {
                    if until == deadline {
                        return Ok(Vec::new());
                    }
                }
            }
        }
    }

    /// Finishes a message; see [`SpoutAcker::ack`].
    pub fn ack(&self, id: &MessageId) -> bool {
        self.acker().ack(id)
    }

    /// Says that a message was not worked off; see [`SpoutAcker::fail`].
    pub fn fail(&self, id: &MessageId) -> bool {
        self.acker().fail(id)
    }

    /// What acknowledges and fails messages in other tasks.
    pub fn acker(&self) -> SpoutAcker {
        SpoutAcker::new(Arc::clone(&self.shared))
    }

    /// What it has done, and what it has in hand.
    pub fn stats(&self) -> SpoutStats {
        self.shared.stats()
    }

    /// Hands nothing out until [`Spout::activate`]: [`Spout::next`] waits and gives nothing. The partitions stay owned, their
    /// messages are fetched until the queue is full, and what is in flight can be acknowledged, and failed.
    pub fn deactivate(&self) {
        self.shared.set_active(false);
    }

    /// Goes on after [`Spout::deactivate`].
    pub fn activate(&self) {
        self.shared.set_active(true);
    }
}

impl Spout {
    /// What can be handed out without waiting. Nothing is awaited once a message is in flight, so a cancelled call loses none.
    fn collect(&mut self, max: usize) -> Result<Vec<SpoutMessage>> {
        for (hold, offset) in self.shared.refetches() {
            self.handle.fetch_again(&hold.tp, hold.epoch, offset);
        }
        self.shared.tend();
        let mut given = Vec::new();
        while given.len() < max {
            match self.shared.next_step() {
                Some(Step::Deliver {
                    mut message,
                    attempt,
                }) => {
                    message.attempt = attempt;
                    given.push(message);
                }
                Some(Step::Bury {
                    mut message,
                    attempt,
                }) => {
                    message.attempt = attempt;
                    self.shared.bury(message);
                }
                Some(Step::Refetch { hold, offset }) => self.shared.prepare_refetch(hold, offset),
                None => {
                    let wanted = self.shared.wanted();
                    match self.receive(&wanted).now_or_never() {
                        Some(Ok(true)) => {}
                        Some(Err(error)) => {
                            self.error.get_or_insert(error);
                            break;
                        }
                        Some(Ok(false)) | None => break,
                    }
                }
            }
        }
        if given.is_empty() {
            self.report()?;
        }
        Ok(given)
    }

    /// Says what came behind messages that were handed out, or that a partition has come to stand still.
    fn report(&mut self) -> Result<()> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let Some(Halt { tp, attempts, id }) = self.shared.next_halt() else {
            return Ok(());
        };
        Err(Error::RetriesExhausted {
            tp,
            offset: id.offset(),
            attempts,
            id,
        })
    }

    /// Waits for a message and takes it in. Gives whether one was taken.
    async fn receive(&mut self, wanted: &Wanted) -> Result<bool> {
        let filter = match wanted {
            Wanted::All => None,
            Wanted::Only(tps) => Some(tps),
            Wanted::None => std::future::pending().await,
        };
        let mut batch = self.handle.next_batch_of(filter).await?;
        let taken = if self.shared.tracks() {
            self.shared.take(&mut batch)
        } else {
            self.untracked.take(&mut batch, 1)
        };
        // Nothing stays in hand: what was taken is finished by its acknowledgement alone.
        self.handle.give_back();
        Ok(taken)
    }

    fn look_again_at(&self, wanted: &Wanted, deadline: Instant) -> Instant {
        let held_up = !self.untracked.is_empty();
        let again = held_up.then(|| Instant::now() + LOOK_AGAIN);
        let due = self.shared.wake_at(wanted);
        let times = due.into_iter().chain(again);
        times.min().map_or(deadline, |at| at.min(deadline))
    }
}

impl Drop for Spout {
    fn drop(&mut self) {
        self.shared.close();
        self.untracked.close(&self.shared);
    }
}
