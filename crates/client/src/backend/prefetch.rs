use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use divvy_protocol::TopicPartition;
use tokio::sync::Notify;

use super::{Chunk, FetchError};
use crate::metrics::QueueMeter;
use crate::sync::lock;

/// One start of one partition. What was fetched for an earlier start is not taken into the queue any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

/// The queue between a backend, which fetches, and a consumer, which hands out: one line of chunks per partition, bounded in
/// bytes in total, drained in turns.
///
/// Whoever fills it keeps a part of the budget free for each partition, so that neither a hot partition nor one that nobody reads
/// can keep the others from being fetched.
#[derive(Debug)]
pub struct Prefetch {
    budget: usize,
    meter: QueueMeter,
    state: Mutex<State>,
    /// Something can be taken out.
    ready: Notify,
    /// Something may be fetched: a partition was started or stopped, or has room again.
    demand: Notify,
}

#[derive(Debug, Default)]
struct State {
    generations: u64,
    lines: BTreeMap<TopicPartition, Line>,
    /// The partitions that hold something, in the order of their turns.
    turns: VecDeque<TopicPartition>,
}

#[derive(Debug)]
struct Line {
    generation: Generation,
    items: VecDeque<Result<Chunk, FetchError>>,
    /// How many bytes they are; also where a backend sees it without the lock.
    bytes: Arc<AtomicUsize>,
    ready: Arc<Notify>,
    meter: QueueMeter,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.meter.took(self.bytes.load(Ordering::Relaxed));
    }
}

impl Prefetch {
    /// A queue for at most `budget` bytes.
    pub fn new(budget: usize) -> Arc<Self> {
        Arc::new(Self {
            budget,
            meter: QueueMeter::new(),
            state: Mutex::default(),
            ready: Notify::new(),
            demand: Notify::new(),
        })
    }

    /// Begins a line for a partition, or begins it anew: whatever it held is dropped.
    pub fn open(&self, tp: &TopicPartition) -> Generation {
        let mut state = self.lock();
        state.generations += 1;
        let generation = Generation(state.generations);
        state.turns.retain(|other| other != tp);
        let ready = match state.lines.remove(tp) {
            Some(line) => Arc::clone(&line.ready),
            None => Arc::default(),
        };
        let line = Line {
            generation,
            items: VecDeque::new(),
            bytes: Arc::default(),
            ready,
            meter: self.meter.clone(),
        };
        state.lines.insert(tp.clone(), line);
        drop(state);
        self.demand.notify_waiters();
        generation
    }

    /// Ends a partition's line and drops what it held.
    pub fn close(&self, tp: &TopicPartition) {
        let mut state = self.lock();
        state.turns.retain(|other| other != tp);
        let closed = state.lines.remove(tp);
        drop(state);
        if let Some(line) = closed {
            line.ready.notify_waiters();
        }
        self.demand.notify_waiters();
    }

    /// Puts something at the end of a partition's line. Gives `false`, and drops it, where the line was closed or begun anew
    /// since this generation.
    pub fn push(
        &self,
        tp: &TopicPartition,
        generation: Generation,
        item: Result<Chunk, FetchError>,
    ) -> bool {
        let mut state = self.lock();
        let State { lines, turns, .. } = &mut *state;
        let Some(line) = lines
            .get_mut(tp)
            .filter(|line| line.generation == generation)
        else {
            return false;
        };
        if line.items.is_empty() {
            turns.push_back(tp.clone());
        }
        line.bytes.fetch_add(size(&item), Ordering::Relaxed);
        let fetched = item.as_ref().map_or(0, |chunk| chunk.entries.len());
        self.meter.put(fetched, size(&item));
        line.items.push_back(item);
        let ready = Arc::clone(&line.ready);
        drop(state);
        ready.notify_waiters();
        self.ready.notify_waiters();
        true
    }

    /// Takes the next item of the partition whose turn it is, among those that `wanted` accepts. The partition goes to the end
    /// of the turns.
    pub fn pop(
        &self,
        mut wanted: impl FnMut(&TopicPartition) -> bool,
    ) -> Option<(TopicPartition, Result<Chunk, FetchError>)> {
        let mut state = self.lock();
        let State { lines, turns, .. } = &mut *state;
        let turn = turns.iter().position(&mut wanted)?;
        let tp = turns.remove(turn)?;
        let line = lines.get_mut(&tp)?;
        let item = line.items.pop_front()?;
        line.bytes.fetch_sub(size(&item), Ordering::Relaxed);
        self.meter.took(size(&item));
        if !line.items.is_empty() {
            turns.push_back(tp.clone());
        }
        drop(state);
        self.demand.notify_waiters();
        Some((tp, item))
    }

    /// How many bytes a partition holds, and its equal share of the budget.
    pub fn fill(&self, tp: &TopicPartition) -> Fill {
        let state = self.lock();
        Fill {
            held: state
                .lines
                .get(tp)
                .map_or(0, |line| line.bytes.load(Ordering::Relaxed)),
            share: self.budget / state.lines.len().max(1),
        }
    }

    /// How many bytes are held in all.
    pub fn bytes(&self) -> usize {
        let state = self.lock();
        let lines = state.lines.values();
        lines.map(|line| line.bytes.load(Ordering::Relaxed)).sum()
    }

    /// How many bytes a partition's line holds, as long as it is not begun anew: to be read without a lock.
    pub fn gauge(&self, tp: &TopicPartition) -> Arc<AtomicUsize> {
        let state = self.lock();
        let line = state.lines.get(tp);
        line.map(|line| Arc::clone(&line.bytes)).unwrap_or_default()
    }

    /// Woken whenever something is put in.
    pub fn ready(&self) -> &Notify {
        &self.ready
    }

    /// Woken whenever something is put into this partition's line, or the line ends. `None` where there is no such line.
    pub fn ready_for(&self, tp: &TopicPartition) -> Option<Arc<Notify>> {
        self.lock()
            .lines
            .get(tp)
            .map(|line| Arc::clone(&line.ready))
    }

    /// Woken whenever a backend may have something to fetch.
    pub fn demand(&self) -> &Notify {
        &self.demand
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// How full a partition's line is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// What it holds.
    pub held: usize,
    /// What it would have if all held the same.
    pub share: usize,
}

fn size(item: &Result<Chunk, FetchError>) -> usize {
    item.as_ref().map_or(0, Chunk::size)
}

#[cfg(test)]
mod tests;
