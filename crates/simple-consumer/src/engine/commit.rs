//! Storing how far partitions are finished.

use std::collections::BTreeMap;
use std::sync::Arc;

use divvy_client::{Error as ClientError, TopicPartition};
use tokio::time::Instant;
use tracing::{Instrument, info_span};

use super::position::unanswered;
use super::{Engine, Held};
use crate::assignment::Assignment;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::offsets::OffsetStore;
use crate::sync::lock;

struct Due {
    assignment: Assignment,
    /// The position that it continues.
    since: u64,
    offset: i64,
}

impl Held {
    fn may_commit(&self) -> bool {
        !self.suspended && self.gate.is_open()
    }
}

impl Engine {
    /// Commits what is finished, of these partitions or of all. What is stored already is left out.
    ///
    /// # Errors
    ///
    /// [`Error::Commit`] naming each partition that failed; the others are committed.
    pub async fn commit_finished(&self, only: Option<&[TopicPartition]>) -> Result<()> {
        let store = self.store.as_ref().ok_or(Error::NoGroup)?;
        let _one_at_a_time = self.committing.lock().await;
        let due = self.due(store.as_ref(), |tp, _| {
            only.is_none_or(|only| only.contains(tp))
        });
        self.write(store.as_ref(), due).await
    }

    /// As [`Engine::commit_finished`], of all partitions that may be committed now: the others are committed when they are
    /// resumed.
    async fn commit_open(&self) -> Result<()> {
        let store = self.store.as_ref().ok_or(Error::NoGroup)?;
        let _one_at_a_time = self.committing.lock().await;
        let due = self.due(store.as_ref(), |_, held| held.may_commit());
        self.write(store.as_ref(), due).await
    }

    /// Commits these offsets, whatever is finished.
    pub async fn commit_to(&self, offsets: &BTreeMap<TopicPartition, i64>) -> Result<()> {
        let store = self.store.as_ref().ok_or(Error::NoGroup)?;
        let _one_at_a_time = self.committing.lock().await;
        let due = {
            let state = lock(&self.state);
            let due = offsets.iter().map(|(tp, offset)| {
                let held = state.partitions.get(tp);
                let held = held.ok_or_else(|| Error::NotAssigned { tp: tp.clone() })?;
                Ok(Due {
                    assignment: held.assignment.clone(),
                    since: held.since,
                    offset: *offset,
                })
            });
            due.collect::<Result<Vec<_>>>()?
        };
        self.write(store.as_ref(), due).await
    }

    /// Commits in the background, until the engine is dropped or closed.
    pub(crate) fn commit_regularly(self: &Arc<Self>) -> Option<tokio::task::JoinHandle<()>> {
        let interval = self
            .config
            .auto_commit_interval
            .filter(|_| self.store.is_some())?;
        let engine = Arc::downgrade(self);
        Some(self.runtime.spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                let Some(engine) = engine.upgrade().filter(|engine| !engine.is_closed()) else {
                    return;
                };
                if let Err(error) = engine.commit_open().await {
                    let message = error.to_string();
                    engine.emit(Event::Error { message });
                }
            }
        }))
    }

    fn due(
        &self,
        store: &dyn OffsetStore,
        wanted: impl Fn(&TopicPartition, &Held) -> bool,
    ) -> Vec<Due> {
        let mut state = lock(&self.state);
        let held = state.partitions.iter_mut();
        held.filter(|(tp, held)| wanted(tp, held))
            .filter_map(|(_, held)| {
                held.catch_up();
                let offset = held.progress.finished();
                let stored = held.committed.is_some_and(|(committed, since)| {
                    let forgotten = store
                        .forgets_after()
                        .is_some_and(|age| since.elapsed() >= age);
                    committed == offset && !forgotten
                });
                (!stored).then(|| Due {
                    assignment: held.assignment.clone(),
                    since: held.since,
                    offset,
                })
            })
            .collect()
    }

    /// Takes those out of what is due that must not be stored now.
    fn withhold(&self, due: &mut Vec<Due>) -> Vec<(TopicPartition, ClientError)> {
        let state = lock(&self.state);
        let mut withheld = Vec::new();
        due.retain(|due| {
            let tp = &due.assignment.tp;
            let open = state.partitions.get(tp).is_none_or(Held::may_commit);
            if !open {
                withheld.push((tp.clone(), ClientError::Withheld { tp: tp.clone() }));
            }
            open
        });
        withheld
    }

    async fn write(&self, store: &dyn OffsetStore, mut due: Vec<Due>) -> Result<()> {
        let mut failed = self.withhold(&mut due);
        self.meter.withheld(failed.len());
        if due.is_empty() {
            return if failed.is_empty() {
                Ok(())
            } else {
                Err(Error::Commit { failed })
            };
        }
        let offsets: Vec<(Assignment, i64)> = due
            .iter()
            .map(|due| (due.assignment.clone(), due.offset))
            .collect();
        let (began, withheld) = (Instant::now(), failed.len());
        let span = info_span!(
            "store_offsets",
            group = self.config.group,
            member = self.consumer_id
        );
        let mut results = match store.commit(&offsets).instrument(span).await {
            Ok(results) => results,
            Err(error) => offsets
                .iter()
                .map(|(assignment, _)| (assignment.tp.clone(), Err(error.clone())))
                .collect(),
        };
        let mut done = Vec::new();
        let now = Instant::now();
        let mut state = lock(&self.state);
        for due in due {
            let tp = due.assignment.tp;
            match results.remove(&tp) {
                Some(Err(error)) => failed.push((tp, error)),
                None => failed.push((tp.clone(), unanswered(&tp, "offset store"))),
                Some(Ok(())) => {
                    if let Some(held) = state.partitions.get_mut(&tp)
                        && held.since == due.since
                    {
                        held.committed = Some((due.offset, now));
                    }
                    done.push((tp, due.offset));
                }
            }
        }
        drop(state);
        self.meter
            .committed(done.len(), failed.len() - withheld, now - began);
        if !done.is_empty() {
            self.emit(Event::Committed { offsets: done });
        }
        if failed.is_empty() {
            Ok(())
        } else {
            Err(Error::Commit { failed })
        }
    }
}
