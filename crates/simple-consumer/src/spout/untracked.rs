use std::collections::{BTreeSet, VecDeque};

use divvy_client::TopicPartition;
use futures_util::FutureExt;

use super::Guarantee;
use super::ledger::Hold;
use super::message::SpoutMessage;
use super::shared::Shared;
use crate::batch::Batch;
use crate::engine::Standing;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::handle::Handle;

/// The messages of a spout that counts them as finished when it hands them out, or before: nothing of them is remembered then.
#[derive(Debug, Default)]
pub(super) struct Untracked {
    /// What was taken and not handed out yet. Kept here, so that a cancelled call loses none.
    taken: VecDeque<Taken>,
    /// To be reported when what was taken before it is handed out.
    error: Option<Error>,
}

#[derive(Debug)]
struct Taken {
    hold: Hold,
    message: SpoutMessage,
    /// It counts as finished, so it may be committed at any time.
    finished: bool,
}

impl Untracked {
    pub(super) fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// Takes up to so many messages out of a batch. Gives whether there was one.
    pub(super) fn take(&mut self, batch: &mut Batch<'_>, max: usize) -> bool {
        let hold = Hold {
            tp: batch.partition().clone(),
            epoch: batch.epoch(),
            token: batch.token(),
        };
        let before = self.taken.len();
        let messages = batch.records().take(max).map(|record| Taken {
            message: SpoutMessage::copied(&hold.tp, hold.token, &record),
            hold: hold.clone(),
            finished: false,
        });
        self.taken.extend(messages);
        self.taken.len() > before
    }

    /// What can be handed out now, committed first where that is the promise.
    pub(super) async fn collect(
        &mut self,
        shared: &Shared,
        handle: &mut Handle,
        max: usize,
    ) -> Result<Vec<SpoutMessage>> {
        if !shared.is_active() {
            return Ok(Vec::new());
        }
        while self.taken.len() < max {
            match handle.next_batch().now_or_never() {
                Some(Ok(mut batch)) => {
                    self.take(&mut batch, max - self.taken.len());
                }
                Some(Err(error)) => {
                    self.error.get_or_insert(error);
                    break;
                }
                None => break,
            }
            handle.give_back();
        }
        if self.taken.is_empty()
            && let Some(error) = self.error.take()
        {
            return Err(error);
        }
        self.finish(shared);
        if shared.config.guarantee == Guarantee::AtMostOnce && !self.commit(shared).await? {
            return Ok(Vec::new());
        }
        let (given, kept) = std::mem::take(&mut self.taken)
            .into_iter()
            .partition(|taken| taken.finished);
        self.taken = kept;
        let given: VecDeque<Taken> = given;
        let given: Vec<SpoutMessage> = given
            .into_iter()
            // What was taken away meanwhile comes again elsewhere, unless it was committed in time.
            .filter(|taken| shared.standing(&taken.hold) != Standing::Gone)
            .map(|taken| taken.message)
            .collect();
        shared.count(|counts| counts.delivered += given.len() as u64);
        Ok(given)
    }

    /// Counts as finished what may be handed out, and leaves out what will not be.
    fn finish(&mut self, shared: &Shared) {
        self.taken.retain_mut(|taken| {
            let Hold { tp, epoch, .. } = &taken.hold;
            match shared.standing(&taken.hold) {
                _ if taken.finished => true,
                Standing::Open => {
                    taken.finished = true;
                    shared.engine.ack(tp, *epoch, taken.message.offset)
                }
                Standing::Shut => true,
                Standing::Ending => {
                    shared.engine.forsake(tp, *epoch);
                    false
                }
                Standing::Gone => false,
            }
        });
    }

    /// Commits what counts as finished. Gives `false` where that is to be tried again.
    async fn commit(&self, shared: &Shared) -> Result<bool> {
        let finished = self.taken.iter().filter(|taken| taken.finished);
        let tps: BTreeSet<&TopicPartition> = finished.map(|taken| &taken.hold.tp).collect();
        if tps.is_empty() {
            return Ok(true);
        }
        let tps: Vec<TopicPartition> = tps.into_iter().cloned().collect();
        match shared.engine.commit_finished(Some(&tps)).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_retriable() => {
                let message =
                    format!("messages are kept back until their offsets are stored: {error}");
                shared.engine.emit(Event::Error { message });
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Nothing is handed out any more.
    pub(super) fn close(&mut self, shared: &Shared) {
        for taken in self.taken.drain(..) {
            shared.engine.forsake(&taken.hold.tp, taken.hold.epoch);
        }
    }
}
