//! The clock that leases are counted by.

use std::fmt::Debug;
use std::ops::Add;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment, as the time since the machine was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootTime(u64);

impl BootTime {
    /// That many nanoseconds after the start.
    pub fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// How many nanoseconds after the start; those of 584 years fit.
    pub fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero where it was not.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for BootTime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

/// A clock that leases are counted by: it never goes back, and goes on whatever the process is doing.
pub trait Clock: Debug + Send + Sync {
    /// The moment that it is now.
    fn now(&self) -> BootTime;
}

/// The system's clock of the time since it was started (`CLOCK_BOOTTIME`), which goes on while the machine is suspended, and
/// which nobody can set.
#[derive(Clone, Copy, Debug, Default)]
pub struct BootClock;

impl Clock for BootClock {
    fn now(&self) -> BootTime {
        let now = clock_gettime(ClockId::Boottime);
        // Neither is ever negative.
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(now.tv_nsec).unwrap_or(0);
        BootTime(0) + Duration::new(seconds, nanos)
    }
}
