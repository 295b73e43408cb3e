use tokio::time::Instant;

use super::{Accumulator, Plan, Slot, Work};

/// What is on its way to a broker.
#[derive(Debug, Default)]
pub(super) struct BrokerState {
    /// How many requests are on their way, over each connection.
    in_flight: Vec<usize>,
    /// Until then the broker wants none.
    throttled_until: Option<Instant>,
}

impl BrokerState {
    fn all_in_flight(&self) -> usize {
        self.in_flight.iter().sum()
    }

    /// The connections to it, the least busy first.
    fn connections(&mut self, count: usize) -> Vec<usize> {
        self.in_flight.resize(count.max(1), 0);
        let mut connections: Vec<usize> = (0..self.in_flight.len()).collect();
        connections.sort_by_key(|at| self.in_flight.get(*at).copied());
        connections
    }
}

impl Accumulator {
    /// Makes as many requests to a broker as it may be sent, of as many of these partitions as they have room for.
    ///
    /// The partitions are dealt out among the connections, because a broker serves the requests of one connection one by one.
    pub(super) fn fill_requests(
        &mut self,
        broker: i32,
        mut turns: Vec<(u64, Slot)>,
        now: Instant,
        plan: &mut Plan,
    ) {
        let state = self.brokers.entry(broker).or_default();
        if let Some(until) = state.throttled_until.filter(|until| *until > now) {
            plan.wake_by(until);
            return;
        }
        turns.sort_unstable();
        let connections = state.connections(self.limits.connections_per_broker);
        let step = connections.len();
        for (first, connection) in connections.into_iter().enumerate() {
            let share = turns.iter().skip(first).step_by(step).map(|(_, slot)| slot);
            self.fill_connection(broker, connection, share, plan);
        }
    }

    /// Whether nothing is on its way to a broker.
    pub(super) fn is_idle(&self, broker: i32) -> bool {
        let state = self.brokers.get(&broker);
        state.is_none_or(|state| state.all_in_flight() == 0)
    }

    fn fill_connection<'a>(
        &mut self,
        broker: i32,
        connection: usize,
        share: impl Iterator<Item = &'a Slot>,
        plan: &mut Plan,
    ) {
        let mut room = 0;
        let mut request: Option<Work> = None;
        for slot in share {
            let Some(queue) = self.queues.get_mut(slot.0) else {
                continue;
            };
            let Some(size) = queue.batches.front().map(|batch| batch.wire_size) else {
                continue;
            };
            if size > room {
                plan.requests.extend(request.take());
                let state = self.brokers.entry(broker).or_default();
                if state.all_in_flight() >= self.limits.max_in_flight {
                    return;
                }
                if let Some(in_flight) = state.in_flight.get_mut(connection) {
                    *in_flight += 1;
                }
                room = self.limits.max_request_size;
            }
            room = room.saturating_sub(size);
            self.turn += 1;
            queue.turn = self.turn;
            let batches = queue.take_first();
            let work = request.get_or_insert_with(|| Work {
                broker,
                connection,
                batches: Vec::new(),
            });
            work.batches.extend(batches);
        }
        plan.requests.extend(request);
    }

    /// Takes note that a request to a broker has ended, and until when the broker wants no other.
    pub(crate) fn request_ended(
        &mut self,
        broker: i32,
        connection: usize,
        throttled_until: Option<Instant>,
    ) {
        let state = self.brokers.entry(broker).or_default();
        if let Some(in_flight) = state.in_flight.get_mut(connection) {
            *in_flight = in_flight.saturating_sub(1);
        }
        state.throttled_until = state.throttled_until.max(throttled_until);
    }
}
