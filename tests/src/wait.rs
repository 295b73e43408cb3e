//! Waiting for conditions, and the size of a test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

#[cfg(test)]
mod tests;

/// How long a poll rests. Short enough for tests that measure a second, long enough to cost no processor.
const REST: Duration = Duration::from_millis(15);

/// Polls until `condition` holds.
///
/// # Errors
///
/// When it does not hold within `within`; the error names `what` was waited for.
pub fn wait_for(within: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
    wait_some(within, what, || condition().then_some(()))
}

/// Polls until `value` gives something, and returns that.
///
/// `value` is asked at least once, and once more after the deadline, so that a machine under load is not
/// mistaken for a condition that never came.
///
/// # Errors
///
/// When there is nothing within `within`; the error names `what` was waited for.
pub fn wait_some<T>(
    within: Duration,
    what: &str,
    mut value: impl FnMut() -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        let late = Instant::now() >= deadline;
        if let Some(value) = value() {
            return Ok(value);
        }
        if late {
            bail!("waited {within:?} in vain for {what}");
        }
        thread::sleep(REST);
    }
}

/// As [`wait_for`], for a test that is a task itself.
///
/// # Errors
///
/// As for [`wait_for`].
pub async fn wait_until(
    within: Duration,
    what: &str,
    mut condition: impl FnMut() -> bool,
) -> Result<()> {
    let deadline = Instant::now() + within;
    loop {
        let late = Instant::now() >= deadline;
        if condition() {
            return Ok(());
        }
        if late {
            bail!("waited {within:?} in vain for {what}");
        }
        tokio::time::sleep(REST).await;
    }
}

/// Lets so much time pass, for what is about time that passes and nothing else. Everything else waits for a condition.
pub async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Whether the tests run with their full figures: `DIVVY_TEST_LONG=1`, which `tests/run-long` sets.
pub fn is_long() -> bool {
    std::env::var_os("DIVVY_TEST_LONG").is_some_and(|value| !value.is_empty() && value != "0")
}

/// A figure of a test (messages, rounds, seconds): `short` in everyday runs, `full` in long ones.
///
/// A test may do less in a short run, and never nothing.
pub fn scale<T>(short: T, full: T) -> T {
    if is_long() { full } else { short }
}

/// A name that nobody else in this process uses, for topics and groups on a shared cluster.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
