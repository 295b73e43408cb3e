//! How much of a partition is asked for, so that the queue keeps within its budget and nobody is left out.
//!
//! Half of the budget at least is everybody's: a partition of which more is there takes a large piece of it at a time, because a
//! broker's cost is per partition and request, and asks for its next one while it holds no more than one. The rest is shared out,
//! so that a partition which holds nothing always has its part, whatever the others keep.

use std::sync::atomic::Ordering;

use divvy_protocol::TopicPartition;

use super::{Asked, Plan, Position};

/// The smallest amount that is worth a request.
const SMALLEST_FETCH: usize = 4 << 10;

/// What the queue has left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// The most of one partition that is asked for at a time.
    piece: usize,
    /// The least that is worth a request.
    smallest: usize,
    /// What each partition has of its own.
    own: usize,
    /// The most that one may hold.
    most: usize,
    /// What is left of everybody's.
    common: usize,
    /// What is left in all.
    left: usize,
}

impl Room {
    pub(super) fn smallest(&self) -> usize {
        self.smallest
    }

    fn borrowed(&self, held: usize) -> usize {
        held.saturating_sub(self.own)
    }

    /// Whether a partition that holds so much may have so much more.
    fn has(&self, held: usize, size: usize) -> bool {
        let more = self.borrowed(held + size) - self.borrowed(held);
        held + size <= self.most.max(size) && size <= self.left && more <= self.common
    }

    pub(super) fn take(&mut self, held: usize, size: usize) {
        let more = self.borrowed(held + size) - self.borrowed(held);
        self.common = self.common.saturating_sub(more);
        self.left = self.left.saturating_sub(size);
    }
}

impl Position {
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// What it has in the queue, or may get there.
    fn used(&self) -> usize {
        let in_flight = self.in_flight.map_or(0, |in_flight| in_flight.size);
        self.held() + in_flight
    }

    /// What to ask for, or `None` where there is no room.
    pub(super) fn wanted(&self, room: &Room) -> Option<Asked> {
        let held = self.held();
        let asked = |size, beside| Asked {
            generation: self.generation,
            from_offset: self.next_offset,
            size,
            beside,
        };
        if let Some(grown) = self.grown {
            let size = grown.max(room.own);
            return (held == 0).then(|| asked(size, !room.has(0, size)));
        }
        let usual = if self.behind { room.piece } else { room.own };
        if room.has(held, usual) {
            return Some(asked(usual, false));
        }
        let least = if room.own <= room.left {
            room.own
        } else {
            room.smallest
        };
        (held == 0).then(|| asked(least, false))
    }
}

impl Plan {
    pub(super) fn room(&self) -> Room {
        let budget = self.config.max_queued_bytes;
        let partitions = self.partitions.len().max(1);
        let largest = self.config.fetch_message_max_bytes;
        let smallest = SMALLEST_FETCH.min(largest);
        let piece = largest.min(budget / 4).max(smallest);
        let own = (budget / 2 / partitions).clamp(smallest, piece);
        let mut room = Room {
            piece,
            smallest,
            own,
            most: (budget / partitions).max(2 * piece),
            common: budget.saturating_sub(partitions.saturating_mul(own)),
            left: budget,
        };
        for position in self.partitions.values().filter(|position| !position.beside) {
            room.take(0, position.used());
        }
        room
    }

    /// Of those that the queue has no room for, the one behind the last that was fetched beside it: they take turns, one at a
    /// time, so that what lies there stays bounded.
    pub(super) fn next_oversized<'a>(
        &self,
        waiting: &[(&'a TopicPartition, Asked)],
    ) -> Option<(&'a TopicPartition, Asked)> {
        let lies = |position: &Position| position.beside && position.used() > 0;
        if self.partitions.values().any(lies) {
            return None;
        }
        let behind = |(tp, _): &&(&TopicPartition, Asked)| Some(*tp) > self.oversized.as_ref();
        waiting.iter().find(behind).or(waiting.first()).copied()
    }
}
