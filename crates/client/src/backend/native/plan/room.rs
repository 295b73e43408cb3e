//! How much of a partition there is room for.

use divvy_protocol::TopicPartition;

use super::{Asked, Plan, Position};

/// The smallest amount that is worth a request.
const SMALLEST_FETCH: usize = 4 << 10;

impl Plan {
    /// How much to ask for, or `None` where there is no room. A partition that holds nothing always has a little, so that the
    /// others cannot keep it from being fetched.
    pub(super) fn size(
        &self,
        tp: &TopicPartition,
        position: &Position,
        queued: usize,
    ) -> Option<usize> {
        let fill = self.prefetch.fill(tp);
        let smallest = SMALLEST_FETCH.min(self.config.fetch_message_max_bytes);
        let usual = (self.config.fetch_message_max_bytes)
            .min(fill.share / 2)
            .max(smallest);
        let size = position.grown.map_or(usual, |grown| grown.max(usual));
        if size > fill.share {
            return (fill.held == 0 && self.may_exceed_its_share(tp)).then_some(size);
        }
        if queued + size > self.config.max_queued_bytes {
            return (fill.held == 0).then_some(position.grown.unwrap_or(smallest));
        }
        (fill.held == 0 || fill.held + size <= fill.share).then_some(size)
    }

    /// What the queue holds, without the one message that lies beside it.
    pub(super) fn queued(&self) -> usize {
        let beside = self.oversized.as_ref().map_or(0, |tp| {
            let fill = self.prefetch.fill(tp);
            if fill.held > fill.share { fill.held } else { 0 }
        });
        self.prefetch.bytes().saturating_sub(beside)
    }

    /// One partition at a time, so that the queue stays bounded.
    fn may_exceed_its_share(&self, tp: &TopicPartition) -> bool {
        self.oversized.as_ref().is_none_or(|other| {
            other == tp
                || self.partitions.get(other).is_none_or(|position| {
                    position.in_flight.is_none() && self.prefetch.fill(other).held == 0
                })
        })
    }

    /// Of those that would exceed their share, the one behind the last that did: they take turns.
    pub(super) fn next_oversized(
        &self,
        mut waiting: Vec<(TopicPartition, Asked)>,
    ) -> Option<(TopicPartition, Asked)> {
        if waiting.is_empty() {
            return None;
        }
        let behind = |(tp, _): &(TopicPartition, Asked)| Some(tp) > self.oversized.as_ref();
        let turn = waiting.iter().position(behind).unwrap_or(0);
        Some(waiting.swap_remove(turn))
    }
}
