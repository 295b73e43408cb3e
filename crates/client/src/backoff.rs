use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Pauses that double from a first one up to a longest, each shortened by a random part so that many clients do not come back
/// at the same moment.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    /// The pause after the last failure.
    last: Duration,
    rng: SmallRng,
}

impl Backoff {
    /// Starts with no failure.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self::seeded(first, longest, rand::random())
    }

    /// [`Backoff::new`] whose random parts follow from a seed.
    pub fn seeded(first: Duration, longest: Duration, seed: u64) -> Self {
        Self {
            first,
            longest,
            failures: 0,
            last: Duration::ZERO,
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    /// The pause after one more failure: between half of the full pause and all of it.
    pub fn fail(&mut self) -> Duration {
        let full = self
            .first
            .saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX))
            .min(self.longest);
        self.failures = self.failures.saturating_add(1);
        self.last = full.mul_f64(self.rng.random_range(0.5..=1.0));
        self.last
    }

    /// The pause after the failure of something that had lasted so long. What lasts longer than the pause before it is no worse
    /// than that pause, so that they do not grow: brokers close connections on which nothing happens.
    pub(crate) fn fail_after(&mut self, lasted: Duration) -> Duration {
        if lasted > self.last {
            self.succeed();
        }
        self.fail()
    }

    /// Forgets the failures.
    pub fn succeed(&mut self) {
        self.failures = 0;
    }

    /// How many failures came since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest_and_starts_over_after_a_success() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(first, longest);
        for full in [100, 200, 400, 800, 1000, 1000] {
            let pause = backoff.fail();
            assert!(pause <= Duration::from_millis(full), "{pause:?}");
            assert!(pause >= Duration::from_millis(full / 2), "{pause:?}");
        }
        backoff.succeed();
        assert!(backoff.fail() <= first);
    }

    #[test]
    fn never_overflows() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(3));
        for _ in 0..100 {
            assert!(backoff.fail() <= Duration::from_secs(3));
        }
    }
}
