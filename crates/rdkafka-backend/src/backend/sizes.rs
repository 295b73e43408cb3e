//! How the budget is shared out.

/// The fewest partitions that a client of librdkafka is made for, so that a few more do not need another client.
const FEWEST: usize = 8;
/// The least that is fetched of a partition at a time.
const SMALLEST_FETCH: usize = 1 << 10;
/// The most that librdkafka can be told to fetch at a time.
const LARGEST_FETCH: usize = 1_000_000_000;

/// How much of the budget goes where. librdkafka asks for the same amount of every partition, so that this amount follows from
/// their number.
///
/// Half of the budget is the queue's lines. An eighth is what answers hold, and with it what librdkafka has queued: it takes
/// several times as much for a small message as the message has bytes, which is what the rest is for. Where messages unpack to
/// more than they take in the log, so much less is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// For how many partitions this is.
    pub(super) partitions: usize,
    /// What is asked for of each partition at a time, in bytes.
    pub(super) fetch: usize,
    /// What is asked for in all, in bytes.
    pub(super) answer: usize,
}

impl Sizes {
    /// For so many partitions, or a few more, whose messages take so many times more than they do in the log.
    pub(super) fn new(
        budget: usize,
        fetch_message_max_bytes: usize,
        partitions: usize,
        expansion: usize,
    ) -> Self {
        let partitions = partitions.max(FEWEST).next_power_of_two();
        let answer = budget / 8 / expansion.max(1);
        let most = fetch_message_max_bytes.min(LARGEST_FETCH);
        let least = SMALLEST_FETCH.min(most);
        Self {
            partitions,
            fetch: (answer / partitions).clamp(least, most),
            answer,
        }
    }

    /// Whether so many partitions are more than this is for.
    pub(super) fn is_outgrown_by(&self, partitions: usize) -> bool {
        partitions > self.partitions
    }

    /// When librdkafka stops fetching because nobody takes messages out of its queue.
    pub(super) fn queue_kib(&self) -> usize {
        (self.answer >> 10).clamp(1, 2_097_151)
    }
}

/// What one partition's line may hold before it is not fetched any more.
pub(super) fn line(budget: usize, partitions: usize) -> usize {
    budget / 2 / partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn what_is_asked_for_follows_from_the_number_of_partitions() {
        let fetch = |partitions| Sizes::new(64 * MIB, MIB, partitions, 1).fetch;
        assert_eq!(fetch(0), MIB);
        assert_eq!(fetch(8), MIB);
        assert_eq!(fetch(9), MIB / 2);
        assert_eq!(fetch(512), 16 << 10);
        assert_eq!(fetch(513), 8 << 10);
        assert_eq!(fetch(1 << 20), 1 << 10);
    }

    #[test]
    fn everything_together_is_within_the_budget() {
        for budget in [64 << 10, MIB, 64 * MIB, 1 << 30] {
            for partitions in [1, 7, 8, 9, 100, 512, 5000] {
                let sizes = Sizes::new(budget, MIB, partitions, 1);
                assert!(!sizes.is_outgrown_by(partitions));
                assert!(sizes.is_outgrown_by(sizes.partitions + 1));
                let lines = line(budget, partitions) * partitions;
                assert!(lines + 2 * sizes.answer <= budget);
                let asked = sizes.fetch * partitions;
                assert!(asked <= sizes.answer.max(SMALLEST_FETCH * partitions));
            }
        }
    }
}
