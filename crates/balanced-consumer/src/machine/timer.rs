use std::ops::Add;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

/// A moment, told as the time since an origin that the caller chose once for the machine.
///
/// The clock behind it must never step back; the machine takes an earlier moment than the last for the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The moment that lies this long after the origin.
    pub const fn since_origin(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long this moment lies after the origin.
    pub const fn elapsed(self) -> Duration {
        self.0
    }

    /// How long this moment lies after an earlier one, zero if it does not.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// What the machine as a whole waits for, beside its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// Opening a session again.
    Session,
    /// Registering again.
    Register,
    /// Reading the group's nodes again.
    Look,
    /// Giving up an orderly close.
    Close,
    /// Looking at the member's own nodes whether or not a watch fired.
    Audit,
    /// Reporting what was resumed.
    Resumed,
    /// Looking at what the others own.
    Survey,
}

/// The pending timers, at most one of each kind.
#[derive(Debug, Default)]
pub(super) struct Timers([Option<Time>; 7]);

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Time) {
        self.0[timer as usize] = Some(at);
    }

    /// Keeps the earlier of two moments.
    pub(super) fn bring_forward(&mut self, timer: Timer, at: Time) {
        let pending = &mut self.0[timer as usize];
        *pending = Some(pending.map_or(at, |pending| pending.min(at)));
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// Takes a timer that is due.
    pub(super) fn take_due(&mut self, timer: Timer, now: Time) -> bool {
        self.0[timer as usize].take_if(|at| *at <= now).is_some()
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.0.iter().flatten().copied().min()
    }
}

/// Pauses that double from a first one up to a longest, each shortened by a random part, at most half, so that members that failed
/// together do not come back together.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// The pause after one more failure.
    pub(super) fn fail(&mut self, rng: &mut StdRng) -> Duration {
        let doubled = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let full = self.first.saturating_mul(doubled).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        full.mul_f64(rng.random_range(0.5..=1.0))
    }

    pub(super) fn succeed(&mut self) {
        self.failures = 0;
    }
}
