//! Noticing that the application does not go on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::{Engine, Held};
use crate::config::StallPolicy;
use crate::event::Event;
use crate::sync::lock;

/// How many times within the interval the engine looks.
const LOOKS: u32 = 8;

/// How long the application has had messages of a partition without finishing any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Busy {
    since: Instant,
    /// When it was reported last.
    reported: Option<Instant>,
}

impl Busy {
    fn now() -> Self {
        Self {
            since: Instant::now(),
            reported: None,
        }
    }
}

impl Held {
    /// Notes that the application got messages.
    pub(super) fn begin_work(&mut self) {
        self.busy.get_or_insert_with(Busy::now);
    }

    /// Notes that the application finished something.
    pub(super) fn advance_work(&mut self) {
        if self.busy.is_none() {
            return;
        }
        let busy = self.in_hand.is_some() || !self.progress.is_settled();
        self.busy = busy.then(Busy::now);
    }
}

impl Engine {
    pub(crate) fn watches_stalls(&self) -> bool {
        self.config.max_processing_interval.is_some()
    }

    /// Looks regularly for partitions with which the application does not go on, if that is asked for; until the engine is dropped
    /// or closed.
    pub(crate) fn watch_stalls(self: &Arc<Self>) -> Option<JoinHandle<()>> {
        let limit = self.config.max_processing_interval?;
        let engine = Arc::downgrade(self);
        Some(self.runtime.spawn(async move {
            loop {
                sleep(limit / LOOKS).await;
                let Some(engine) = engine.upgrade().filter(|engine| !engine.is_closed()) else {
                    return;
                };
                engine.report_stalls(limit);
            }
        }))
    }

    /// Reports each stalled partition once in an interval.
    fn report_stalls(&self, limit: Duration) {
        let now = Instant::now();
        let mut stalled = Vec::new();
        for held in lock(&self.state).partitions.values_mut() {
            if let Some(busy) = &mut held.busy
                && now - busy.reported.unwrap_or(busy.since) >= limit
            {
                busy.reported = Some(now);
                stalled.push((held.assignment.clone(), now - busy.since));
            }
        }
        if stalled.is_empty() {
            return;
        }
        for (assignment, age) in stalled {
            self.emit(Event::Stalled {
                assignment,
                age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            });
        }
        if self.config.on_stall == StallPolicy::Release {
            self.stalled.notify_one();
        }
    }

    /// Waits until the application is found not to go on, where a member gives its partitions up for that.
    pub async fn stalled(&self) {
        loop {
            self.stalled.notified().await;
            // What was noticed of partitions that are given up meanwhile is over.
            let state = lock(&self.state);
            let reported = |held: &Held| held.busy.is_some_and(|busy| busy.reported.is_some());
            if state.partitions.values().any(reported) {
                return;
            }
        }
    }

    /// Notes that the application asks for messages, until what is given is dropped.
    pub(crate) fn asking(&self) -> Asking<'_> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.asking.fetch_add(1, Ordering::Relaxed);
        Asking(self)
    }

    /// Whether the application asks for messages now, or has done so since [`Engine::calls`] gave this.
    pub fn goes_on_since(&self, calls: u64) -> bool {
        self.asking.load(Ordering::Relaxed) > 0 || self.calls() != calls
    }

    /// How often the application has asked for messages.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

/// That the application asks for messages.
#[derive(Debug)]
pub(crate) struct Asking<'a>(&'a Engine);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.asking.fetch_sub(1, Ordering::Relaxed);
    }
}
