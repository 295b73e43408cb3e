//! How long what a session holds is certainly nobody else's.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::clock::{BootTime, Clock};

#[cfg(test)]
mod tests;

/// How long [`Lease::ended`] sleeps at most before it reads the clock again: tokio's clock stands still while the machine is
/// suspended, the lease's does not.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The delivery lease of a session: while it is current, the servers have not expired the session, so nobody else can have taken
/// over what belongs to it.
///
/// It runs for a fraction of the session timeout, counted from the moment at which the last request was *sent* that the
/// ensemble's leader acknowledged: a write or a `sync`. Reads and pings prove nothing, because a follower that is cut off from
/// its leader answers them for longer than a session lives.
///
/// It ends by itself, without anybody noticing: ask [`Lease::is_current`] whenever it matters, which costs one reading of the
/// clock and one load. A lease that has ended may be renewed when the servers kept the session after all; what was held may have
/// gone meanwhile, so [`Lease::lapses`] counts how often that happened.
///
/// Cheap to clone; all clones are the same lease.
#[derive(Clone)]
pub struct Lease {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    /// How long it runs from the sending of a request on, in nanoseconds.
    length: AtomicU64,
    /// In nanoseconds of the clock; 0 before the first renewal.
    end: AtomicU64,
    lapses: AtomicU64,
    connected: AtomicBool,
    /// Renewals come one after the other. Holds whether the session is over, so that none follows.
    over: Mutex<bool>,
    /// Tells those who wait that something has changed.
    changes: watch::Sender<()>,
}

/// What a request proves when it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// Any server answers it: nothing.
    Read,
    /// Any server answers it: nothing.
    Ping,
    /// The leader carried it out: the session lived when it was sent, and since.
    Write,
    /// The leader answered it: likewise.
    Sync,
}

/// That a request was about to be sent; see [`Lease::sent`].
#[derive(Clone, Copy, Debug)]
#[must_use = "the lease is renewed when the answer is acknowledged with it"]
pub struct Sent {
    at: BootTime,
    kind: RequestKind,
}

impl Lease {
    /// The usual fraction of the session timeout: two thirds.
    pub const FRACTION: f64 = 2.0 / 3.0;
    /// The fraction where the servers chose another session timeout than was asked for, so that their tick may be large compared
    /// with it: one half.
    pub const CAUTIOUS_FRACTION: f64 = 0.5;

    /// A lease that has not begun yet. It runs for `fraction` of `session_timeout`; what is no number between 0 and 1 counts as
    /// the nearest one, or as 0.
    pub fn new(clock: Arc<dyn Clock>, session_timeout: Duration, fraction: f64) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock,
                length: AtomicU64::new(length(session_timeout, fraction)),
                end: AtomicU64::new(0),
                lapses: AtomicU64::new(0),
                connected: AtomicBool::new(false),
                over: Mutex::new(false),
                changes: watch::Sender::new(()),
            }),
        }
    }

    /// Takes another session timeout for what is acknowledged from now on.
    pub(crate) fn renegotiated(&self, session_timeout: Duration, fraction: f64) {
        let length = length(session_timeout, fraction);
        self.inner.length.store(length, Ordering::Release);
    }

    /// Notes that a request is about to be sent. Call it *before* its first byte is written: the server may have heard of the
    /// session no earlier than that, and no later is certain.
    pub fn sent(&self, kind: RequestKind) -> Sent {
        Sent {
            at: self.inner.clock.now(),
            kind,
        }
    }

    /// Renews the lease from the moment of sending, where the answer proves that the leader keeps the session. Never shortens it.
    pub fn acknowledged(&self, sent: Sent) {
        if !sent.is_proof() {
            return;
        }
        let inner = &self.inner;
        let over = inner.over.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, end) = (inner.end(), sent.at + inner.length());
        if *over || before.is_some_and(|before| end <= before) {
            return;
        }
        let now = inner.clock.now();
        if now < end && before.is_some_and(|before| before <= now) {
            // Before the new end, so that whoever sees the lease current again can see that it had lapsed.
            inner.lapses.fetch_add(1, Ordering::Release);
        }
        inner.end.store(end.as_nanos().max(1), Ordering::Release);
        drop(over);
        inner.changes.send_replace(());
    }

    /// Whether what the session holds is certainly nobody else's at this moment.
    pub fn is_current(&self) -> bool {
        let end = self.inner.end.load(Ordering::Acquire);
        self.inner.clock.now().as_nanos() < end
    }

    /// When it ends unless it is renewed, or when it has ended; none before it has begun.
    pub fn end(&self) -> Option<BootTime> {
        self.inner.end()
    }

    /// How long it still runs unless it is renewed; zero where it has ended.
    pub fn remaining(&self) -> Duration {
        let end = BootTime::from_nanos(self.inner.end.load(Ordering::Acquire));
        end.saturating_since(self.inner.clock.now())
    }

    /// How often it was renewed after it had ended. Whoever relies on what the session held must look at it again when this has
    /// grown. Read it *after* [`Lease::is_current`]: a lapse is counted before the lease is current again.
    pub fn lapses(&self) -> u64 {
        self.inner.lapses.load(Ordering::Acquire)
    }

    /// Waits until the lease has ended, with all renewals until then; at once where it is not current. Safe to be dropped.
    pub async fn ended(&self) {
        let mut changes = self.inner.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let remaining = self.remaining();
            if remaining.is_zero() {
                return;
            }
            tokio::select! {
                biased;
                // The lease keeps the sender, so it is always a change.
                _ = changes.changed() => {}
                () = sleep(remaining.min(LOOK_AGAIN)) => {}
            }
        }
    }

    /// Waits until the lease is current; at once where it is. Never, where the session is over. Safe to be dropped.
    pub async fn renewed(&self) {
        self.until(Self::is_current).await;
    }

    /// Whether a server answers at the moment, for those who stop at once where none does.
    pub fn is_connected(&self) -> bool {
        self.inner.connected.load(Ordering::Acquire)
    }

    /// Waits until no server answers; at once where none does. Safe to be dropped.
    pub async fn disconnected(&self) {
        self.until(|lease| !lease.is_connected()).await;
    }

    /// Waits until a server answers; at once where one does. Never, where the session is over. Safe to be dropped.
    pub async fn connected(&self) {
        self.until(Self::is_connected).await;
    }

    /// Says whether a server answers.
    pub fn set_connected(&self, connected: bool) {
        let over = self
            .inner
            .over
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let connected = connected && !*over;
        self.inner.connected.store(connected, Ordering::Release);
        drop(over);
        self.inner.changes.send_replace(());
    }

    /// Ends the lease now and for good, because the session is over.
    pub fn revoke(&self) {
        let mut over = self
            .inner
            .over
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *over = true;
        let now = self.inner.clock.now().as_nanos();
        self.inner.end.fetch_min(now, Ordering::AcqRel);
        self.inner.connected.store(false, Ordering::Release);
        drop(over);
        self.inner.changes.send_replace(());
    }

    async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let mut changes = self.inner.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if condition(self) {
                return;
            }
            // The lease keeps the sender, so it is always a change.
            let _ = changes.changed().await;
        }
    }
}

impl Sent {
    /// That a request was about to be sent at that moment.
    pub(crate) fn at(at: BootTime, kind: RequestKind) -> Self {
        Self { at, kind }
    }

    /// Whether the answer renews the lease.
    pub(crate) fn is_proof(self) -> bool {
        matches!(self.kind, RequestKind::Write | RequestKind::Sync)
    }
}

impl Inner {
    fn length(&self) -> Duration {
        Duration::from_nanos(self.length.load(Ordering::Acquire))
    }

    fn end(&self) -> Option<BootTime> {
        match self.end.load(Ordering::Acquire) {
            0 => None,
            end => Some(BootTime::from_nanos(end)),
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("remaining", &self.remaining())
            .field("lapses", &self.lapses())
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}

fn length(session_timeout: Duration, fraction: f64) -> u64 {
    if fraction.is_nan() {
        return 0;
    }
    let length = session_timeout.mul_f64(fraction.clamp(0.0, 1.0));
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}
