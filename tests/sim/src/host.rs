//! What a member's process and machine are to it: a scheduler that may stop and end it, and a clock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use divvy_zookeeper::{BootTime, Clock, Host};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// A process. Its tasks run while it is not frozen.
#[derive(Debug, Default)]
pub(crate) struct Process {
    frozen: AtomicBool,
    held: Mutex<Vec<Waker>>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Process {
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Relaxed)
    }

    pub(crate) fn freeze(&self) {
        self.frozen.store(true, Ordering::Relaxed);
    }

    pub(crate) fn thaw(&self) {
        self.frozen.store(false, Ordering::Relaxed);
        for waker in std::mem::take(&mut *lock(&self.held)) {
            waker.wake();
        }
    }

    /// Ends every task where it stands.
    pub(crate) fn kill(&self) {
        for task in std::mem::take(&mut *lock(&self.tasks)) {
            task.abort();
        }
    }
}

impl Host for Process {
    fn may_run(&self, waker: &Waker) -> bool {
        if !self.is_frozen() {
            return true;
        }
        let mut held = lock(&self.held);
        if !held.iter().any(|other| other.will_wake(waker)) {
            held.push(waker.clone());
        }
        false
    }

    fn spawned(&self, task: AbortHandle) {
        let mut tasks = lock(&self.tasks);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }
}

/// A machine's clock of the time since it was started, which runs a little too fast or too slow.
#[derive(Debug)]
pub(crate) struct MachineClock {
    pub(crate) origin: Instant,
    /// What it showed at the origin.
    pub(crate) offset_ns: u64,
    /// How many thousandths of a second it counts in a second.
    pub(crate) rate: u64,
}

impl Clock for MachineClock {
    fn now(&self) -> BootTime {
        let elapsed = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        BootTime::from_nanos(self.offset_ns + elapsed / 1000 * self.rate)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For those who need a host that is nobody's.
pub(crate) type SharedProcess = Arc<Process>;
