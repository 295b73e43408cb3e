//! Where reading begins and goes on: stored offsets, the reset policy, seeking.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use divvy_client::{Backoff, OffsetSpec, PerPartition, TopicPartition};

use super::{Engine, held};
use crate::config::OffsetReset;
use crate::error::{Error, Result};
use crate::event::{Event, ResetReason};
use crate::progress::Progress;
use crate::sync::lock;

/// How long to wait before a position is tried again that the log's ends do not show to be out of range.
const DISAGREEMENT_PAUSE: Duration = Duration::from_millis(200);

/// Where to go on reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeekTo {
    /// At this offset.
    Offset(i64),
    /// At the first message of the log.
    Beginning,
    /// At the end of the log, where the next message will be.
    End,
    /// At the stored offset of the group.
    Committed,
    /// At the first message that is not older, in milliseconds since 1970. See [`OffsetSpec::Time`] for old brokers.
    Time(i64),
}

/// Where a partition starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The offset of the first message to hand out.
    pub offset: i64,
    /// What is stored for the group.
    pub committed: Option<i64>,
}

impl Engine {
    /// Finds where each partition starts: at its stored offset, or where `policy` says. An answer that says "nothing is stored"
    /// and no answer are different things: the latter is an error and never leads to a reset.
    pub async fn starts(
        &self,
        tps: &[TopicPartition],
        policy: OffsetReset,
    ) -> BTreeMap<TopicPartition, Result<Start>> {
        let mut stored = match &self.store {
            Some(store) => match store.fetch(tps).await {
                Ok(stored) => stored,
                Err(error) => tps
                    .iter()
                    .map(|tp| (tp.clone(), Err(error.clone())))
                    .collect(),
            },
            None => tps.iter().map(|tp| (tp.clone(), Ok(None))).collect(),
        };
        let mut starts = BTreeMap::new();
        let mut missing = BTreeMap::new();
        for tp in tps.iter().cloned() {
            let stored = stored.remove(&tp);
            match stored.unwrap_or_else(|| Err(unanswered(&tp, "offset store"))) {
                Ok(Some(committed)) => {
                    let start = Start {
                        offset: committed.offset,
                        committed: Some(committed.offset),
                    };
                    starts.insert(tp, Ok(start));
                }
                Ok(None) => {
                    match policy {
                        OffsetReset::Earliest => missing.insert(tp, OffsetSpec::Earliest),
                        OffsetReset::Latest => missing.insert(tp, OffsetSpec::Latest),
                        OffsetReset::Error => {
                            let error = Error::NoOffset {
                                tp: tp.clone(),
                                offset: None,
                            };
                            starts.insert(tp, Err(error));
                            continue;
                        }
                    };
                }
                Err(error) => {
                    starts.insert(tp, Err(error.into()));
                }
            }
        }
        if !missing.is_empty() {
            let found = self.look_up(&missing).await;
            for (tp, offset) in found {
                let start = offset.map(|offset| {
                    if self.store.is_some() {
                        self.report_reset(&tp, None, offset, ResetReason::NoStoredOffset);
                    }
                    Start {
                        offset,
                        committed: None,
                    }
                });
                starts.insert(tp, start);
            }
        }
        starts
    }

    /// Where a partition begins for which nothing is stored, as `policy` says; the choice is reported.
    ///
    /// # Errors
    ///
    /// [`Error::NoOffset`] with [`OffsetReset::Error`], and that the log could not be asked.
    pub async fn first_offset(&self, tp: &TopicPartition, policy: OffsetReset) -> Result<i64> {
        let spec = match policy {
            OffsetReset::Earliest => OffsetSpec::Earliest,
            OffsetReset::Latest => OffsetSpec::Latest,
            OffsetReset::Error => {
                return Err(Error::NoOffset {
                    tp: tp.clone(),
                    offset: None,
                });
            }
        };
        let offset = self.look_up_one(tp, spec).await?;
        self.report_reset(tp, None, offset, ResetReason::NoStoredOffset);
        Ok(offset)
    }

    /// Looks up offsets, again where that may help.
    pub(crate) async fn look_up(
        &self,
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
    ) -> BTreeMap<TopicPartition, Result<i64>> {
        let mut results = BTreeMap::new();
        let mut open = wanted.clone();
        let mut backoff = retry_backoff(&self.consumer_id);
        loop {
            let mut found: PerPartition<Option<i64>> = self.backend.list_offsets(&open).await;
            let last = backoff.failures() >= self.config.offsets_max_retries;
            for (tp, spec) in std::mem::take(&mut open) {
                let result = match (found.remove(&tp), spec) {
                    (Some(Ok(Some(offset))), _) => Ok(offset),
                    (Some(Ok(None)), OffsetSpec::Time(time)) => Err(Error::NoMessageSince {
                        tp: tp.clone(),
                        time,
                    }),
                    (Some(Err(error)), _) if error.is_retriable() && !last => {
                        open.insert(tp, spec);
                        continue;
                    }
                    (Some(Err(error)), _) => Err(error.into()),
                    (Some(Ok(None)) | None, _) => Err(unanswered(&tp, "log").into()),
                };
                results.insert(tp, result);
            }
            if open.is_empty() {
                return results;
            }
            tokio::time::sleep(backoff.fail()).await;
        }
    }

    /// Moves a partition's position.
    pub(crate) async fn seek(&self, tp: &TopicPartition, to: SeekTo) -> Result<()> {
        held(&mut lock(&self.state), tp)?;
        let offset = match to {
            SeekTo::Offset(offset) if offset < 0 => {
                return Err(Error::config("offset", format!("{offset} is negative")));
            }
            SeekTo::Offset(offset) => offset,
            SeekTo::Beginning => self.look_up_one(tp, OffsetSpec::Earliest).await?,
            SeekTo::End => self.look_up_one(tp, OffsetSpec::Latest).await?,
            SeekTo::Time(time) => self.look_up_one(tp, OffsetSpec::Time(time)).await?,
            SeekTo::Committed => self.committed_offset(tp).await?.ok_or(Error::NoOffset {
                tp: tp.clone(),
                offset: None,
            })?,
        };
        self.move_to(tp, None, offset);
        Ok(())
    }

    async fn committed_offset(&self, tp: &TopicPartition) -> Result<Option<i64>> {
        let store = self.store.as_ref().ok_or(Error::NoGroup)?;
        let mut stored = store.fetch(std::slice::from_ref(tp)).await?;
        let stored = stored.remove(tp).unwrap_or(Ok(None))?;
        Ok(stored.map(|stored| stored.offset))
    }

    async fn look_up_one(&self, tp: &TopicPartition, spec: OffsetSpec) -> Result<i64> {
        let wanted = BTreeMap::from([(tp.clone(), spec)]);
        let mut found = self.look_up(&wanted).await;
        found
            .remove(tp)
            .unwrap_or_else(|| Err(Error::NotAssigned { tp: tp.clone() }))
    }

    /// Goes on at another offset, unless the partition was moved by somebody else since `epoch`.
    fn move_to(&self, tp: &TopicPartition, epoch: Option<u64>, offset: i64) -> bool {
        let mut state = lock(&self.state);
        let next_epoch = state.next_epoch();
        let Some(held) = state.partitions.get_mut(tp) else {
            return false;
        };
        if held.stopping || epoch.is_some_and(|epoch| epoch != held.epoch) {
            return false;
        }
        held.epoch = next_epoch;
        held.since = next_epoch;
        held.position = offset;
        held.progress = Progress::new(offset);
        held.recall();
        held.in_hand = None;
        held.advance_work();
        held.corrupt = None;
        if held.is_fetched() {
            self.backend.start(tp, offset);
        }
        drop(state);
        self.settled.notify_waiters();
        true
    }

    /// A partition's position lies outside of its log: finds out on which side, and goes on where the policy says. Gives an error
    /// where the policy forbids that; what cannot be asked yet is asked again for ever.
    pub(crate) fn out_of_range(
        self: &Arc<Self>,
        tp: TopicPartition,
        epoch: u64,
        offset: i64,
    ) -> Option<Error> {
        if self.config.auto_offset_reset == OffsetReset::Error {
            return Some(Error::NoOffset {
                tp,
                offset: Some(offset),
            });
        }
        let engine = Arc::clone(self);
        self.runtime.spawn(async move {
            let mut backoff = retry_backoff(&engine.consumer_id);
            while engine.reset(&tp, epoch, offset).await.is_none() {
                tokio::time::sleep(backoff.fail()).await;
            }
        });
        None
    }

    /// One attempt. `None` when it should be made again.
    async fn reset(&self, tp: &TopicPartition, epoch: u64, offset: i64) -> Option<()> {
        if self.is_stale(tp, epoch) {
            return Some(());
        }
        let ends = async {
            let first = self.look_up_one(tp, OffsetSpec::Earliest).await?;
            let end = self.look_up_one(tp, OffsetSpec::Latest).await?;
            Ok::<_, Error>((first, end))
        };
        let (first, end) = match ends.await {
            Ok(ends) => ends,
            Err(error) => {
                let message = format!(
                    "{tp}: offset {offset} is out of range, and the log's ends cannot be looked up: {error}"
                );
                self.emit(Event::Error { message });
                return None;
            }
        };
        let (to, reason) = if offset > end {
            // What lay between the log's end and the position was cut off and is not there to be read again.
            (end, Some(ResetReason::AboveLogEnd))
        } else if offset >= first {
            (offset, None)
        } else {
            let to = match self.config.auto_offset_reset {
                OffsetReset::Latest => end,
                OffsetReset::Earliest | OffsetReset::Error => first,
            };
            (to, Some(ResetReason::BelowLogStart))
        };
        if reason.is_none() {
            // The broker that refused and the one that was asked see the log differently for the moment.
            tokio::time::sleep(DISAGREEMENT_PAUSE).await;
        }
        if self.move_to(tp, Some(epoch), to)
            && let Some(reason) = reason
        {
            self.report_reset(tp, Some(offset), to, reason);
        }
        Some(())
    }

    fn report_reset(&self, tp: &TopicPartition, from: Option<i64>, to: i64, reason: ResetReason) {
        self.emit(Event::Reset {
            tp: tp.clone(),
            from,
            to,
            reason,
        });
    }

    /// The offset of the next message to hand out.
    pub(crate) fn position(&self, tp: &TopicPartition) -> Result<i64> {
        let mut state = lock(&self.state);
        let held = held(&mut state, tp)?;
        held.catch_up();
        Ok(held.position)
    }

    /// The end of the log as of the last batch.
    pub(crate) fn high_watermark(&self, tp: &TopicPartition) -> Result<Option<i64>> {
        Ok(held(&mut lock(&self.state), tp)?.high_watermark)
    }
}

/// What was asked about a partition was not answered, which is the fault of whoever was asked.
pub(super) fn unanswered(tp: &TopicPartition, asked: &str) -> divvy_client::Error {
    divvy_client::Error::Peer {
        broker: format!("the partition's {asked}"),
        why: format!("the answer leaves {tp} out"),
    }
}

/// Pauses between attempts at what may pass. They differ from one consumer to the next, and follow from nothing but its name.
pub(crate) fn retry_backoff(consumer_id: &str) -> Backoff {
    let mix = |seed: u64, byte: u8| (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let seed = consumer_id.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
    Backoff::seeded(
        std::time::Duration::from_millis(100),
        std::time::Duration::from_secs(5),
        seed,
    )
}
