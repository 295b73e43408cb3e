use std::collections::BTreeMap;

/// How far one partition is finished: the offsets that were handed out and still await their acknowledgement, as ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Everything below is handed out and given back, or acknowledged, unless it is outstanding.
    horizon: i64,
    /// Half-open ranges, disjoint, by their start. Offsets that the log does not hold may lie within.
    outstanding: BTreeMap<i64, i64>,
    /// Nobody will acknowledge what is outstanding.
    forsaken: bool,
}

impl Progress {
    pub(crate) fn new(position: i64) -> Self {
        Self {
            horizon: position,
            outstanding: BTreeMap::new(),
            forsaken: false,
        }
    }

    /// The next offset to commit: the first that is not finished.
    pub(crate) fn finished(&self) -> i64 {
        self.outstanding
            .keys()
            .next()
            .copied()
            .unwrap_or(self.horizon)
    }

    /// Whether no acknowledgement is worth waiting for.
    pub(crate) fn is_settled(&self) -> bool {
        self.forsaken || self.outstanding.is_empty()
    }

    /// Nobody will acknowledge what is outstanding now. It stays unfinished.
    pub(crate) fn forsake(&mut self) {
        self.forsaken = true;
    }

    /// Everything up to here is handed out and, unless outstanding, finished.
    pub(crate) fn advance(&mut self, next_offset: i64) {
        self.horizon = self.horizon.max(next_offset);
    }

    /// From now on this offset is finished by its acknowledgement alone. What was handed out before is as it is, also when it
    /// comes again.
    pub(crate) fn detach(&mut self, offset: i64) {
        if offset < self.horizon {
            return;
        }
        self.forsaken = false;
        let end = offset + 1;
        if let Some((_, last_end)) = self.outstanding.range_mut(..=offset).next_back()
            && *last_end >= offset
        {
            *last_end = (*last_end).max(end);
            return;
        }
        self.outstanding.insert(offset, end);
    }

    /// Finishes one offset. Gives whether it was outstanding.
    pub(crate) fn ack(&mut self, offset: i64) -> bool {
        let Some((&start, &end)) = self.outstanding.range(..=offset).next_back() else {
            return false;
        };
        if offset >= end {
            return false;
        }
        self.outstanding.remove(&start);
        if start < offset {
            self.outstanding.insert(start, offset);
        }
        if offset + 1 < end {
            self.outstanding.insert(offset + 1, end);
        }
        true
    }

    /// Forgets what was handed out from this offset on.
    pub(crate) fn rewind(&mut self, offset: i64) {
        let _ = self.outstanding.split_off(&offset);
        if let Some((_, end)) = self.outstanding.iter_mut().next_back() {
            *end = (*end).min(offset);
        }
        self.horizon = self.horizon.min(offset);
    }

    /// Finishes everything below an offset.
    pub(crate) fn ack_below(&mut self, next_offset: i64) {
        while let Some(first) = self.outstanding.first_entry() {
            if *first.key() >= next_offset {
                return;
            }
            let end = first.remove();
            if end > next_offset {
                self.outstanding.insert(next_offset, end);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_back_is_finished() {
        let mut progress = Progress::new(5);
        assert_eq!(progress.finished(), 5);
        progress.advance(9);
        assert_eq!(progress.finished(), 9);
        assert!(progress.is_settled());
    }

    #[test]
    fn detached_messages_hold_the_commit_back_until_they_are_acknowledged() {
        let mut progress = Progress::new(0);
        for offset in [0, 1, 2, 5, 6] {
            progress.detach(offset);
            progress.advance(offset + 1);
        }
        assert_eq!(progress.finished(), 0);
        assert!(progress.ack(1));
        assert_eq!(progress.finished(), 0);
        assert!(progress.ack(0));
        assert_eq!(progress.finished(), 2);
        assert!(!progress.ack(0), "an acknowledgement counts once");
        assert!(progress.ack(2));
        assert_eq!(
            progress.finished(),
            5,
            "a gap in the log holds nothing back"
        );
        progress.ack_below(6);
        assert_eq!(progress.finished(), 6);
        progress.ack_below(100);
        assert_eq!(progress.finished(), 7);
        assert!(progress.is_settled());
    }

    #[test]
    fn what_comes_again_is_as_it_was() {
        let mut progress = Progress::new(0);
        for offset in 0..3 {
            progress.detach(offset);
            progress.advance(offset + 1);
        }
        assert!(progress.ack(0));
        progress.detach(0);
        assert_eq!(progress.finished(), 1);
    }

    #[test]
    fn what_is_forsaken_is_not_waited_for_and_not_finished() {
        let mut progress = Progress::new(0);
        progress.detach(0);
        progress.advance(1);
        progress.forsake();
        assert!(progress.is_settled());
        assert_eq!(progress.finished(), 0);
        progress.detach(1);
        assert!(!progress.is_settled(), "somebody goes on");
    }

    #[test]
    fn what_is_given_up_is_not_finished() {
        let mut progress = Progress::new(0);
        for offset in 0..8 {
            progress.detach(offset);
            progress.advance(offset + 1);
        }
        progress.ack_below(3);
        progress.rewind(5);
        assert_eq!(progress.finished(), 3);
        progress.ack_below(100);
        assert_eq!(progress.finished(), 5, "nothing behind was handed out");
    }

    #[test]
    fn agrees_with_a_set_of_offsets() {
        use std::collections::BTreeSet;

        let mut random = rand::rngs::SmallRng::seed_from_u64(7);
        use rand::{Rng, SeedableRng};
        for _ in 0..200 {
            let (mut progress, mut set) = (Progress::new(0), BTreeSet::new());
            let mut next = 0;
            for _ in 0..200 {
                match random.random_range(0..4) {
                    0 | 1 => {
                        next += random.random_range(0..3);
                        progress.detach(next);
                        set.insert(next);
                        next += 1;
                        progress.advance(next);
                    }
                    2 => {
                        let offset = random.random_range(0..=next);
                        assert_eq!(progress.ack(offset), set.remove(&offset));
                    }
                    _ => {
                        let below = random.random_range(0..=next);
                        progress.ack_below(below);
                        set.retain(|offset| *offset >= below);
                    }
                }
                let expected = set.first().copied().unwrap_or(next);
                assert_eq!(progress.finished(), expected);
                assert_eq!(progress.is_settled(), set.is_empty());
            }
        }
    }
}
