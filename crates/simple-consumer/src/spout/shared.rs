use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering as Memory};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use divvy_client::{OffsetSpec, TopicPartition};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::config::{After, SpoutConfig};
use super::dead_letters::{DeadLetter, DeadLetters};
use super::id::{MessageId, place};
use super::ledger::{Halt, Hold, Incoming, Ledger, Output, Room, Step};
use super::message::SpoutMessage;
use super::stats::SpoutStats;
use super::{Guarantee, LOOK_AGAIN};
use crate::batch::Batch;
use crate::engine::{Engine, Standing, retry_backoff};
use crate::event::Event;
use crate::sync::lock;

/// What a spout, its ackers and its background work share.
pub(super) struct Shared {
    pub(super) config: Arc<SpoutConfig>,
    pub(super) engine: Arc<Engine>,
    began: Instant,
    state: Mutex<State>,
    active: AtomicBool,
    /// Something was acknowledged or failed, so that there may be more to hand out.
    pub(super) changed: Notify,
}

struct State {
    ledger: Ledger<SpoutMessage>,
    /// When the ledger is to be brought in step with the engine again.
    sweep_at: Duration,
    /// From where partitions are to be fetched again.
    refetches: Vec<(Hold, i64)>,
}

/// Of which partitions messages may be received.
pub(super) enum Wanted {
    All,
    Only(BTreeSet<TopicPartition>),
    None,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("engine", &self.engine)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(engine: Arc<Engine>, config: SpoutConfig) -> Arc<Self> {
        let config = Arc::new(config);
        let state = State {
            ledger: Ledger::new(Arc::clone(&config)),
            sweep_at: Duration::ZERO,
            refetches: Vec::new(),
        };
        Arc::new(Self {
            config,
            engine,
            began: Instant::now(),
            state: Mutex::new(state),
            active: AtomicBool::new(true),
            changed: Notify::new(),
        })
    }

    pub(super) fn standing(&self, hold: &Hold) -> Standing {
        self.engine.standing(&hold.tp, hold.epoch)
    }

    /// Does something with the ledger at this moment, and then what follows from it.
    fn with<R>(&self, act: impl FnOnce(&mut State, Duration) -> R) -> R {
        let mut state = lock(&self.state);
        let result = act(&mut state, self.began.elapsed());
        let outputs = state.ledger.outputs();
        drop(state);
        for output in outputs {
            match output {
                Output::Finished { hold, offset } => {
                    self.engine.ack(&hold.tp, hold.epoch, offset);
                }
                Output::Forsaken { hold } => self.engine.forsake(&hold.tp, hold.epoch),
                Output::Report(event) => self.engine.emit(event),
            }
        }
        result
    }

    pub(super) fn is_active(&self) -> bool {
        self.active.load(Memory::Relaxed)
    }

    pub(super) fn set_active(&self, active: bool) {
        self.active.store(active, Memory::Relaxed);
        self.changed.notify_waiters();
    }

    pub(super) fn ack(&self, id: &MessageId) -> bool {
        self.settle(id, |ledger, _| ledger.ack(id))
    }

    pub(super) fn fail(&self, id: &MessageId) -> bool {
        self.settle(id, |ledger, now| ledger.fail(id, now))
    }

    fn settle(
        &self,
        id: &MessageId,
        act: impl FnOnce(&mut Ledger<SpoutMessage>, Duration) -> bool,
    ) -> bool {
        let settled = self.with(|state, now| {
            let standing = |hold: &Hold| self.standing(hold);
            state.ledger.sweep_one(id.place(), standing);
            let settled = act(&mut state.ledger, now);
            // The last one of a partition that is being given up lets that go on.
            state.ledger.sweep_one(id.place(), standing);
            settled
        });
        self.changed.notify_waiters();
        settled
    }

    /// Counts what is not tracked.
    pub(super) fn count(&self, count: impl FnOnce(&mut SpoutStats)) {
        self.with(|state, _| count(state.ledger.counts()));
    }

    pub(super) fn stats(&self) -> SpoutStats {
        self.with(|state, now| state.ledger.stats(now))
    }

    /// Does what time demands.
    pub(super) fn tend(&self) {
        self.with(|state, now| {
            if now >= state.sweep_at {
                state.ledger.sweep(|hold| self.standing(hold));
                state.sweep_at = now.saturating_add(LOOK_AGAIN);
            }
            state.ledger.expire(now);
        });
    }

    /// Hands nothing out any more.
    pub(super) fn close(&self) {
        self.with(|state, _| {
            state.ledger.close();
            state.ledger.sweep(|hold| self.standing(hold));
        });
    }

    pub(super) fn next_step(&self) -> Option<Step<SpoutMessage>> {
        if !self.is_active() {
            return None;
        }
        self.with(|state, now| state.ledger.next_step(now, |hold| self.standing(hold)))
    }

    pub(super) fn next_halt(&self) -> Option<Halt> {
        self.with(|state, _| state.ledger.next_halt())
    }

    /// Of which partitions messages may be received now.
    pub(super) fn wanted(&self) -> Wanted {
        if !self.is_active() {
            return Wanted::None;
        }
        let state = lock(&self.state);
        if state.ledger.is_open() {
            return Wanted::All;
        }
        if !state.ledger.has_room() {
            return Wanted::None;
        }
        let assigned = self.engine.assignments().into_iter();
        let wanted = assigned
            .map(|assignment| assignment.tp)
            .filter(|tp| state.ledger.room(&place(tp)) != Room::None);
        Wanted::Only(wanted.collect())
    }

    /// When to look again at the latest, whatever comes before.
    pub(super) fn wake_at(&self, wanted: &Wanted) -> Option<Instant> {
        self.with(|state, now| {
            let held_up = state.ledger.is_held_up(now) || matches!(wanted, Wanted::Only(_));
            let again = held_up.then(|| now.saturating_add(LOOK_AGAIN));
            let due = state.ledger.wake_at(now);
            let at = due.into_iter().chain(again).min()?;
            self.began.checked_add(at)
        })
    }

    /// Takes the next message of a batch in, if it may.
    pub(super) fn take(&self, batch: &mut Batch<'_>) -> bool {
        let tp = batch.partition().clone();
        let place = place(&tp);
        let (epoch, token) = (batch.epoch(), batch.token());
        self.with(|state, now| {
            let ledger = &mut state.ledger;
            let known = ledger
                .hold(&place)
                .is_some_and(|hold| hold.token == token && self.standing(hold) != Standing::Gone);
            ledger.open(&place, Hold { tp, epoch, token }, known);
            let from = batch.yielded();
            let Some(offset) = batch.peek_offset() else {
                return false;
            };
            let may_take = match ledger.room(&place) {
                Room::Any => true,
                Room::Known => ledger.is_known(&place, offset),
                Room::None => false,
            };
            if !may_take {
                ledger.passed(&place, from, offset);
                return false;
            }
            let token = batch.token();
            let partition = batch.partition().clone();
            let Some(record) = batch.next_record() else {
                return false;
            };
            let message = SpoutMessage::copied(&partition, token, &record);
            let incoming = Incoming {
                place: &place,
                offset,
                covers_from: from,
                key: record.key,
                size: message.size(),
                message,
            };
            ledger.take(incoming, now);
            // What a batch ends with may be missing in the log, too.
            ledger.passed(&place, offset.saturating_add(1), batch.yielded());
            true
        })
    }

    /// Whether anything is tracked: in flight until it is acknowledged.
    pub(super) fn tracks(&self) -> bool {
        self.config.guarantee == Guarantee::AtLeastOnce
    }
}

/// Work in the background.
impl Shared {
    /// Has a message taken as a dead letter, for as long as it takes.
    pub(super) fn bury(self: &Arc<Self>, message: SpoutMessage) {
        let After::DeadLetter(dead_letters) = &self.config.retry.after else {
            return;
        };
        let dead_letters: Arc<dyn DeadLetters> = Arc::clone(dead_letters);
        let shared = Arc::clone(self);
        let letter = DeadLetter { message };
        self.engine.runtime().spawn(async move {
            let id = &letter.message.id;
            let mut backoff = retry_backoff(shared.engine.consumer_id());
            while shared.is_parting(id) {
                match dead_letters.bury(&letter).await {
                    Ok(()) => {
                        shared.settle(id, |ledger, _| ledger.buried(id));
                        return;
                    }
                    Err(error) => {
                        let message = format!("{letter} was not taken as a dead letter: {error}");
                        shared.engine.emit(Event::Error { message });
                    }
                }
                tokio::time::sleep(backoff.fail()).await;
            }
        });
    }

    fn is_parting(&self, id: &MessageId) -> bool {
        self.with(|state, _| {
            state
                .ledger
                .sweep_one(id.place(), |hold| self.standing(hold));
            state.ledger.is_parting(id)
        })
    }

    /// Finds out from where a partition can be fetched again, so that it is not asked for what is not in its log any more: that
    /// would move its position.
    pub(super) fn prepare_refetch(self: &Arc<Self>, hold: Hold, offset: i64) {
        let shared = Arc::clone(self);
        self.engine.runtime().spawn(async move {
            let wanted = [(hold.tp.clone(), OffsetSpec::Earliest)].into();
            let found = shared.engine.look_up(&wanted).await.remove(&hold.tp);
            match found {
                Some(Ok(first)) => {
                    shared.with(|state, _| {
                        state.ledger.passed(&place(&hold.tp), 0, first);
                        state.refetches.push((hold, offset.max(first)));
                    });
                    shared.changed.notify_waiters();
                }
                // It is asked for again after a while.
                Some(Err(error)) => shared.engine.emit(Event::Error {
                    message: format!(
                        "offset {offset} of {} cannot be fetched again yet: {error}",
                        hold.tp
                    ),
                }),
                None => {}
            }
        });
    }

    /// Where to fetch again from now.
    pub(super) fn refetches(&self) -> Vec<(Hold, i64)> {
        std::mem::take(&mut lock(&self.state).refetches)
    }
}
