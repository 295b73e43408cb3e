use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::metrics::Gauge;
use tokio::sync::Notify;

use crate::metrics;

/// The bytes that records may take for as long as they have no outcome.
#[derive(Debug)]
pub(crate) struct Budget {
    free: AtomicUsize,
    /// Some of it was given back.
    room: Notify,
    reserved: Gauge,
}

/// A part of a [`Budget`]; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            free: AtomicUsize::new(bytes),
            room: Notify::new(),
            reserved: metrics::buffered(),
        })
    }

    /// What nobody has reserved.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.free.load(Ordering::Relaxed)
    }

    /// Told whenever somebody gives back.
    pub(crate) fn room(&self) -> &Notify {
        &self.room
    }

    fn take(&self, bytes: usize) -> bool {
        let taken = self
            .free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| {
                free.checked_sub(bytes)
            });
        if taken.is_ok() {
            self.reserved.increment(metrics::number(bytes));
        }
        taken.is_ok()
    }
}

impl Reservation {
    /// Nothing yet.
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            bytes: 0,
        }
    }

    /// Reserves more, where there is so much left.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let taken = self.budget.take(bytes);
        if taken {
            self.bytes = self.bytes.saturating_add(bytes);
        }
        taken
    }

    /// Takes so many bytes of it apart, or all where it has less.
    pub(crate) fn split_off(&mut self, bytes: usize) -> Self {
        let bytes = self.bytes.min(bytes);
        self.bytes -= bytes;
        Self {
            budget: Arc::clone(&self.budget),
            bytes,
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // Who has nothing must wake nobody: it may be the one who waits, in vain.
        if self.bytes > 0 {
            self.budget.free.fetch_add(self.bytes, Ordering::Relaxed);
            self.budget.reserved.decrement(metrics::number(self.bytes));
            self.budget.room.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_comes_back_when_it_is_dropped() {
        let budget = Budget::new(10);
        let mut first = Reservation::new(&budget);
        assert!(first.grow(4) && first.grow(5));
        assert!(!first.grow(2), "one is left");
        assert_eq!(budget.free(), 1);
        let second = first.split_off(3);
        assert_eq!(budget.free(), 1, "split, not given back");
        drop(first);
        assert_eq!(budget.free(), 7);
        drop(second);
        assert_eq!(budget.free(), 10);
    }
}
