//! Many seeds, on all processors.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::host::lock;
use crate::options::Options;
use crate::run::{Outcome, run};
use crate::strikes::Strikes;

/// How many seeds, and how many of them may fail before the rest is left out.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The seeds.
    pub seeds: Range<u64>,
    /// After so many failures the sweep ends early.
    pub most_failures: usize,
}

/// What came of many runs.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// How many seeds were run.
    pub runs: u64,
    /// Which failed, with what was seen in each.
    pub failures: Vec<(u64, Vec<String>)>,
    /// Which faults struck, and when.
    pub strikes: Strikes,
    /// How many messages came into the members' hands.
    pub deliveries: u64,
    /// How much virtual time passed.
    pub virtual_time: Duration,
    /// How long it took.
    pub took: Duration,
}

impl Sweep {
    /// Runs the seeds, on as many threads as there are processors.
    pub fn run(&self) -> Swept {
        let started = Instant::now();
        let next = AtomicU64::new(self.seeds.start);
        let enough = AtomicBool::new(false);
        let swept = Mutex::new(Swept::default());
        let work = || {
            while !enough.load(Ordering::Relaxed) {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= self.seeds.end {
                    return;
                }
                let outcome = run(Options::from_seed(seed), false);
                let mut swept = lock(&swept);
                swept.add(seed, outcome);
                if swept.failures.len() >= self.most_failures {
                    enough.store(true, Ordering::Relaxed);
                }
            }
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        let mut swept = std::mem::take(&mut *lock(&swept));
        swept.failures.sort();
        swept.took = started.elapsed();
        swept
    }
}

impl Swept {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        self.runs += 1;
        self.deliveries += outcome.deliveries;
        self.virtual_time += Duration::from_millis(outcome.virtual_ms);
        self.strikes.add(&outcome.strikes);
        if !outcome.violations.is_empty() {
            self.failures.push((seed, outcome.violations));
        }
    }

    /// In a few lines.
    pub fn summary(&self) -> String {
        let faults: u64 = self.strikes.counts.values().map(|(all, _)| all).sum();
        let hours = self.virtual_time.as_secs_f64() / 3600.0;
        let mut lines = vec![format!(
            "{} seeds in {:.1} s: {} failed; {faults} faults, {} deliveries, {hours:.0} virtual hours",
            self.runs,
            self.took.as_secs_f64(),
            self.failures.len(),
            self.deliveries,
        )];
        lines.push("struck: in all, inside a claim, a commit, a release".to_owned());
        for (kind, (all, [claim, commit, release])) in &self.strikes.counts {
            lines.push(format!(
                "  {kind:<16} {all:>8} {claim:>8} {commit:>8} {release:>8}"
            ));
        }
        lines.join("\n")
    }
}

/// A seed that failed, as somebody wants to see it who is to mend it: what was seen, what the seed stands for, and what happened
/// up to the first violation.
pub fn report(seed: u64) -> String {
    let options = Options::from_seed(seed);
    let outcome = run(options.clone(), true);
    describe(&format!("seed {seed}"), &options, &outcome)
}

/// How many lines before the first violation are shown.
const SHOWN: usize = 60;

/// [`report`] for any run.
pub fn describe(name: &str, options: &Options, outcome: &Outcome) -> String {
    let mut lines = vec![format!("{name}: {} violations", outcome.violations.len())];
    lines.extend(outcome.violations.iter().take(10).cloned());
    lines.push(format!("as a script:\n{options}"));
    let first = |line: &String| line.contains("VIOLATION");
    let until = outcome.timeline.iter().position(first);
    let until = until.map_or(outcome.timeline.len(), |at| at + 1);
    let shown = outcome.timeline.get(until.saturating_sub(SHOWN)..until);
    lines.push("what happened:".to_owned());
    lines.extend(shown.into_iter().flatten().cloned());
    lines.join("\n")
}
