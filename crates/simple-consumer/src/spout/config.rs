use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::dead_letters::DeadLetters;
use super::id::fnv;
use crate::error::{Error, Result};

/// How a [`Spout`](super::Spout) hands out, and what happens to messages that fail. Make one with [`SpoutConfig::new`] and change
/// single fields.
#[derive(Clone, Debug)]
pub struct SpoutConfig {
    /// How many messages may be in flight at once: handed out and neither acknowledged nor failed. Storm:
    /// `topology.max.spout.pending`. Default: 1000.
    pub max_in_flight: usize,
    /// How many of them may be of one partition, so that one does not take all. Default: 250.
    pub max_in_flight_per_partition: usize,
    /// How far, in offsets, a partition may be handed out beyond its oldest message that is not finished. A message that is stuck
    /// stops its partition there, with [`Event::Stuck`](crate::Event::Stuck), and not the others. So much comes again, too, when a
    /// member dies. Storm: `maxUncommittedOffsets`. Default: 100,000.
    pub max_uncommitted_span: u64,
    /// After which time in flight a message counts as failed, with [`Event::AckTimeout`](crate::Event::AckTimeout); `None` for
    /// never, and then one message that is forgotten keeps its partition from being committed for ever. It must be longer than the
    /// work takes at its slowest: a message that is still being worked on is handed out a second time. Default: 150 s, which is
    /// five times Storm's `topology.message.timeout.secs`.
    pub in_flight_timeout: Option<Duration>,
    /// How many bytes of messages are kept to be handed out again. Those that find no room are fetched again from the broker when
    /// they fail. Default: 64 MiB.
    pub max_retained_bytes: usize,
    /// What happens to messages that fail.
    pub retry: RetryPolicy,
    /// In which order messages are handed out. Default: [`Ordering::Unordered`].
    pub ordering: Ordering,
    /// How often a message is handed out. Default: [`Guarantee::AtLeastOnce`].
    pub guarantee: Guarantee,
}

/// What happens to messages that fail: they are handed out again after a pause that grows.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// The pause after the first failure. Storm: `retryInitialDelayMs`. Default: 100 ms.
    pub initial: Duration,
    /// By how much each further pause is longer; at least 1. Storm: `retryDelayMultiplier`. Default: 2.
    pub factor: f64,
    /// The longest pause. Storm: `retryDelayMaxMs`. Default: 60 s.
    pub max: Duration,
    /// How often one message is handed out again at most; `None` for as often as it fails. Storm: `retryLimit`. Default: `None`,
    /// because nothing should be left out unless somebody has said so.
    pub limit: Option<u32>,
    /// Which part of each pause is left to chance, 0 to 1, so that messages that failed together do not come again together.
    /// Default: 0.2, and a pause is 80 to 100 % of what the other fields say.
    pub jitter: f64,
    /// What happens when the limit is reached. Default: [`After::Halt`], which loses nothing.
    pub after: After,
}

/// What happens to a message that has failed once more than [`RetryPolicy::limit`] allows.
#[derive(Clone, Default)]
pub enum After {
    /// It counts as finished, with [`Event::GivenUp`](crate::Event::GivenUp).
    Drop,
    /// It counts as finished when this has taken it.
    DeadLetter(Arc<dyn DeadLetters>),
    /// Its partition stands still, with [`Error::RetriesExhausted`], until it is acknowledged by hand. The others go on.
    #[default]
    Halt,
}

/// In which order a [`Spout`](super::Spout) hands messages out. A message that has failed is handed out again behind later ones
/// where the order does not forbid that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ordering {
    /// As they are in their partition, without waiting for each other: as Storm's.
    #[default]
    Unordered,
    /// The next message of a partition when the one before is finished.
    PerPartition,
    /// The next message of a key when the one before is finished. Messages without a key have no order.
    PerKey {
        /// In how many lanes the keys of each partition are sorted by their hash; one lane is one order. More lanes, fewer keys
        /// that wait for each other without need.
        lanes: u32,
    },
}

/// How often a [`Spout`](super::Spout) hands a message out, over crashes too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guarantee {
    /// Until it is acknowledged: nothing is committed beyond a message that is not finished.
    #[default]
    AtLeastOnce,
    /// Once or, when a member dies, never: its offset is committed before it is handed out. Each call commits once, so ask for
    /// many. Failures are counted, and nothing is handed out again. Needs a group.
    AtMostOnce,
    /// As it comes: it counts as finished when it is handed out, and is committed some time. Failures are counted, and nothing is
    /// handed out again.
    None,
}

impl SpoutConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks every field and says which one is wrong. [`Spout::new`](super::Spout::new) does so too.
    pub fn validate(&self) -> Result<()> {
        let at_least_one = [
            ("max_in_flight", self.max_in_flight == 0),
            (
                "max_in_flight_per_partition",
                self.max_in_flight_per_partition == 0,
            ),
            ("max_uncommitted_span", self.max_uncommitted_span == 0),
            ("ordering", self.ordering == Ordering::PerKey { lanes: 0 }),
        ];
        for (field, is_wrong) in at_least_one {
            if is_wrong {
                return Err(Error::config(field, "must be at least 1"));
            }
        }
        if self.in_flight_timeout.is_some_and(|age| age.is_zero()) {
            let why = "must be longer than zero";
            return Err(Error::config("in_flight_timeout", why));
        }
        self.retry.validate()
    }
}

impl Default for SpoutConfig {
    fn default() -> Self {
        Self {
            max_in_flight: 1000,
            max_in_flight_per_partition: 250,
            max_uncommitted_span: 100_000,
            in_flight_timeout: Some(Duration::from_secs(150)),
            max_retained_bytes: 64 << 20,
            retry: RetryPolicy::default(),
            ordering: Ordering::default(),
            guarantee: Guarantee::default(),
        }
    }
}

impl RetryPolicy {
    fn validate(&self) -> Result<()> {
        if !(self.factor.is_finite() && self.factor >= 1.0) {
            return Err(Error::config("retry.factor", "must be 1 or more"));
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(Error::config("retry.jitter", "must be 0 to 1"));
        }
        if self.initial > self.max {
            let why = "must not be longer than retry.max";
            return Err(Error::config("retry.initial", why));
        }
        Ok(())
    }

    /// Whether a message that was handed out so often is not handed out again.
    pub(super) fn is_exhausted(&self, attempts: u32) -> bool {
        self.limit.is_some_and(|limit| attempts > limit)
    }

    /// How long to wait with a message that was handed out `attempts` times. What is left to chance follows from `salt`, so that
    /// the same calls give the same pauses.
    pub(super) fn pause(&self, attempts: u32, salt: u64) -> Duration {
        let exponent = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.initial.as_secs_f64() * self.factor.powi(exponent);
        let longest = self.max.as_secs_f64();
        // Zero times infinity is not a number, and means zero here: without a first pause there is none.
        let whole = if grown.is_nan() {
            0.0
        } else {
            grown.min(longest)
        };
        let mut seed = [0; 12];
        seed[..8].copy_from_slice(&salt.to_le_bytes());
        seed[8..].copy_from_slice(&attempts.to_le_bytes());
        let chance = f64::from((fnv(&seed) >> 32) as u32) / f64::from(u32::MAX);
        let pause = whole * (1.0 - self.jitter * chance);
        Duration::try_from_secs_f64(pause).unwrap_or(self.max)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(100),
            factor: 2.0,
            max: Duration::from_secs(60),
            limit: None,
            jitter: 0.2,
            after: After::default(),
        }
    }
}

impl fmt::Debug for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drop => "Drop",
            Self::DeadLetter(_) => "DeadLetter",
            Self::Halt => "Halt",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest_and_are_spread() {
        let policy = RetryPolicy {
            jitter: 0.0,
            ..RetryPolicy::default()
        };
        let pauses: Vec<u128> = (1..=12)
            .map(|attempts| policy.pause(attempts, 9).as_millis())
            .collect();
        assert_eq!(pauses[..4], [100, 200, 400, 800]);
        assert_eq!(pauses[10..], [60_000, 60_000]);
        assert_eq!(policy.pause(u32::MAX, 0), policy.max);

        let spread = RetryPolicy::default();
        let pauses: Vec<Duration> = (0..1000).map(|salt| spread.pause(2, salt)).collect();
        let (least, most) = (pauses.iter().min(), pauses.iter().max());
        let range = Duration::from_millis(160)..=Duration::from_millis(200);
        assert!(pauses.iter().all(|pause| range.contains(pause)));
        assert!(
            least < Some(&Duration::from_millis(164)) && most > Some(&Duration::from_millis(196))
        );

        let at_once = RetryPolicy {
            initial: Duration::ZERO,
            ..policy
        };
        assert_eq!(at_once.pause(u32::MAX, 0), Duration::ZERO);
    }

    #[test]
    fn the_limit_counts_what_comes_after_the_first_time() {
        let policy = |limit| RetryPolicy {
            limit,
            ..RetryPolicy::default()
        };
        assert!(policy(Some(0)).is_exhausted(1));
        assert!(!policy(Some(2)).is_exhausted(2) && policy(Some(2)).is_exhausted(3));
        assert!(!policy(None).is_exhausted(u32::MAX));
    }

    #[test]
    fn says_which_field_is_wrong() {
        let good = SpoutConfig::new;
        good().validate().unwrap();
        let retry = |change: fn(&mut RetryPolicy)| {
            let mut config = good();
            change(&mut config.retry);
            config
        };
        for (field, config) in [
            (
                "max_in_flight",
                SpoutConfig {
                    max_in_flight: 0,
                    ..good()
                },
            ),
            (
                "max_in_flight_per_partition",
                SpoutConfig {
                    max_in_flight_per_partition: 0,
                    ..good()
                },
            ),
            (
                "max_uncommitted_span",
                SpoutConfig {
                    max_uncommitted_span: 0,
                    ..good()
                },
            ),
            (
                "ordering",
                SpoutConfig {
                    ordering: Ordering::PerKey { lanes: 0 },
                    ..good()
                },
            ),
            (
                "in_flight_timeout",
                SpoutConfig {
                    in_flight_timeout: Some(Duration::ZERO),
                    ..good()
                },
            ),
            ("retry.factor", retry(|retry| retry.factor = 0.5)),
            ("retry.factor", retry(|retry| retry.factor = f64::NAN)),
            ("retry.jitter", retry(|retry| retry.jitter = 1.5)),
            ("retry.initial", retry(|retry| retry.max = Duration::ZERO)),
        ] {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
