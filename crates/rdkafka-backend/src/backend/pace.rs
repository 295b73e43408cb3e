//! How much more messages take than their bytes in a log.

use super::sizes::Sizes;

/// What is assumed before anything has come: little is asked for at first, because what comes may be compressed.
const ASSUMED: usize = 16;
/// How often everything that is asked for at a time has to have come before that is believed.
const LOOKS: usize = 4;

/// Watches how much librdkafka holds. It unpacks what is compressed as it comes, all of it at once, so that what is asked for has
/// to be less where messages are compressed well.
#[derive(Debug)]
pub(super) struct Pace {
    /// How many times more messages take.
    expansion: usize,
    /// `expansion` was seen and not assumed.
    seen: bool,
    /// What came since the last change, in bytes and messages.
    came: usize,
    messages: usize,
    /// The most messages that were waiting.
    waiting: usize,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            expansion: ASSUMED,
            seen: false,
            came: 0,
            messages: 0,
            waiting: 0,
        }
    }

    pub(super) fn expansion(&self) -> usize {
        self.expansion
    }

    /// So many messages of so many bytes came, and so many were waiting behind them.
    pub(super) fn came(&mut self, messages: usize, bytes: usize, waiting: usize) {
        self.came = self.came.saturating_add(bytes);
        self.messages = self.messages.saturating_add(messages);
        self.waiting = self.waiting.max(messages.saturating_add(waiting));
    }

    /// Looks at what has come while so many partitions were fetched. Gives whether something else is to be asked for.
    pub(super) fn changes(&mut self, sizes: &Sizes, partitions: usize) -> bool {
        if self.messages == 0 {
            return false;
        }
        let asked = sizes.fetch.saturating_mul(partitions.max(1));
        let waiting = self.waiting.saturating_mul(self.came / self.messages);
        // As much again may be waiting while an answer is read.
        let times = waiting / asked.saturating_mul(2).max(1);
        let expansion = times.clamp(1, 1 << 20).next_power_of_two();
        let looked = self.came >= asked.saturating_mul(LOOKS) || expansion > self.expansion;
        let believed = match self.seen {
            // Never up again: it may be another partition's turn.
            true => times > 2 && expansion > 1,
            false => looked,
        };
        if !believed {
            return false;
        }
        self.expansion = match self.seen {
            true => self.expansion.saturating_mul(expansion),
            false => expansion,
        };
        self.seen = true;
        (self.came, self.messages, self.waiting) = (0, 0, 0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn sizes(pace: &Pace) -> Sizes {
        Sizes::new(64 * MIB, MIB, 8, pace.expansion())
    }

    #[test]
    fn more_is_asked_for_once_it_is_seen_that_nothing_is_compressed() {
        let mut pace = Pace::new();
        assert_eq!(sizes(&pace).fetch, MIB / 16);
        // All eight partitions' messages, as they are asked for.
        let batch = 8 * (MIB / 16);
        for _ in 0..LOOKS - 1 {
            pace.came(batch / 100, batch, 0);
            assert!(!pace.changes(&sizes(&pace), 8));
        }
        pace.came(batch / 100, batch, batch / 100);
        pace.came(batch / 100, batch, 0);
        assert!(pace.changes(&sizes(&pace), 8));
        assert_eq!(sizes(&pace).fetch, MIB);
    }

    #[test]
    fn less_is_asked_for_where_much_more_waits() {
        let mut pace = Pace::new();
        let asked = 8 * sizes(&pace).fetch;
        pace.came(1000, MIB, 100 * asked / 1048);
        assert!(pace.changes(&sizes(&pace), 8));
        assert_eq!(sizes(&pace).fetch, MIB / 64);
    }

    #[test]
    fn less_is_asked_for_where_messages_become_compressed_later() {
        let mut pace = Pace::new();
        for _ in 0..LOOKS {
            pace.came(500, MIB / 2, 0);
        }
        assert!(pace.changes(&sizes(&pace), 8));
        assert_eq!(pace.expansion(), 1);
        // Twice what is asked for waits at times, and an answer lies beside it.
        pace.came(16_000, 16 * MIB, 8_000);
        assert!(!pace.changes(&sizes(&pace), 8));
        pace.came(1000, MIB, 80_000);
        assert!(pace.changes(&sizes(&pace), 8));
        assert_eq!(sizes(&pace).fetch, MIB / 8);
    }

    #[test]
    fn nothing_follows_from_nothing() {
        let mut pace = Pace::new();
        assert!(!pace.changes(&sizes(&pace), 8));
        pace.came(0, 0, 0);
        assert!(!pace.changes(&sizes(&pace), 0));
    }
}
