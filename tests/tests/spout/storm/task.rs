//! One of Storm's executors: it asks its spout for tuples, lets a topology work them off, and says how that went.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use divvy_tests::Process;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;

use super::ledger::Ledger;
use super::shell::{Shell, Tuple};

/// `topology.max.spout.pending`, as the setup has it.
const MAX_PENDING: usize = 500;
/// One in so many tuples takes [`SLOW`], so that others are acknowledged and committed around it.
const SLOW_ONES: i64 = 50;
/// Longer than commits are apart, and shorter than a partition that is revoked is waited for.
const SLOW: Duration = Duration::from_millis(1500);
/// What a spout that is told to end may take.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// A task on a thread of its own.
pub(crate) struct Task {
    process: Arc<Process>,
    shared: Arc<Shared>,
    thread: JoinHandle<Result<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_to_end: bool,
    /// Whether its process is killed, so that its end is none of its doing.
    is_killed: bool,
    slowest: Duration,
}

impl Task {
    /// Of a hundred tuples, `failures` fail each time.
    pub(crate) fn start(
        number: usize,
        shell: Shell,
        ledger: &Arc<Mutex<Ledger>>,
        failures: u32,
    ) -> Self {
        let process = shell.process();
        let shared = Arc::new(Shared::default());
        let executor = Executor {
            shell,
            ledger: Arc::clone(ledger),
            shared: Arc::clone(&shared),
            pending: Vec::new(),
            slow: VecDeque::new(),
            random: StdRng::seed_from_u64(number as u64),
            failures,
        };
        Self {
            process,
            shared,
            thread: thread::spawn(move || executor.run()),
        }
    }

    /// Whether it goes on: it ends by itself only where something is wrong, which [`Task::end`] tells.
    pub(crate) fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Kills its process, as nobody can prevent.
    pub(crate) fn kill(self) -> Result<()> {
        lock(&self.shared.state).is_killed = true;
        self.process.kill();
        self.join().map(drop)
    }

    /// Ends it as Storm does: nothing more is asked, and its standard input ends. Gives the longest time that an answer took.
    pub(crate) fn end(self) -> Result<Duration> {
        lock(&self.shared.state).is_to_end = true;
        self.join()
    }

    fn join(self) -> Result<Duration> {
        let ended = self.thread.join();
        ended.map_err(|_| anyhow!("a task has panicked"))??;
        let slowest = lock(&self.shared.state).slowest;
        Ok(slowest)
    }
}

struct Executor {
    shell: Shell,
    ledger: Arc<Mutex<Ledger>>,
    shared: Arc<Shared>,
    pending: Vec<Tuple>,
    /// Those of them that are slow, in the order in which they become ready.
    slow: VecDeque<(Instant, Tuple)>,
    random: StdRng,
    failures: u32,
}

impl Executor {
    fn run(mut self) -> Result<()> {
        let worked = self.work();
        let is_killed = lock(&self.shared.state).is_killed;
        if is_killed {
            return Ok(());
        }
        worked?;
        let process = self.shell.process();
        process.close_stdin();
        process.wait_success(ENDED_WITHIN)
    }

    fn work(&mut self) -> Result<()> {
        self.shell.ask(&json!({ "command": "activate" }))?;
        loop {
            {
                let mut state = lock(&self.shared.state);
                state.slowest = self.shell.slowest;
                if state.is_to_end {
                    return Ok(());
                }
            }
            if self.pending.len() + self.slow.len() < MAX_PENDING {
                self.next()?;
            }
            // Any of them, in any order, and soon most of them.
            for _ in 0..self.pending.len().div_ceil(2) {
                let nth = self.random.random_range(0..self.pending.len());
                let tuple = self.pending.swap_remove(nth);
                self.finish(&tuple)?;
            }
            let now = Instant::now();
            while self.slow.front().is_some_and(|(ready, _)| *ready <= now)
                && let Some((_, tuple)) = self.slow.pop_front()
            {
                self.finish(&tuple)?;
            }
        }
    }

    fn next(&mut self) -> Result<()> {
        let answer = self.shell.ask(&json!({ "command": "next" }))?;
        for tuple in answer.tuples {
            // A replay is of what has failed, so nothing is pending twice.
            let slow = self.slow.iter().map(|(_, tuple)| tuple);
            let mut pending = self.pending.iter().chain(slow);
            let twice = pending.any(|pending| pending.id == tuple.id);
            ensure!(!twice, "{} was emitted while it was pending", tuple.id);
            lock(&self.ledger).emitted(&tuple)?;
            if tuple.offset % SLOW_ONES == 7 {
                self.slow.push_back((Instant::now() + SLOW, tuple));
            } else {
                self.pending.push(tuple);
            }
        }
        let errors = answer.log.iter().find(|(level, _)| *level >= 4);
        errors.map_or(Ok(()), |(_, text)| Err(anyhow!("the spout says: {text}")))
    }

    fn finish(&mut self, tuple: &Tuple) -> Result<()> {
        let command = if self.random.random_range(0..100) < self.failures {
            lock(&self.ledger).failed();
            "fail"
        } else {
            lock(&self.ledger).acked(tuple);
            "ack"
        };
        let answer = self
            .shell
            .ask(&json!({ "command": command, "id": tuple.id }))?;
        ensure!(
            answer.tuples.is_empty(),
            "{command} was answered with tuples"
        );
        Ok(())
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
