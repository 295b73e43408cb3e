//! Runs seeds, or one of them again.
//!
//! `divvy-sim [COUNT] [FIRST]` runs that many seeds (2,000 unless told), and fails if one fails, or if a kind of fault never
//! struck where it should. `SEED=n divvy-sim` repeats one, and shows the end of what happened; with `TIMELINE=1` all of it.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use divvy_sim::{Options, Sweep, describe, report, run};

/// How many failures are enough.
const MOST_FAILURES: usize = 20;

fn main() -> Result<ExitCode> {
    match std::env::var("SEED") {
        Ok(seed) => replay(seed.parse().context("SEED is no number")?),
        Err(_) => sweep(),
    }
}

fn replay(seed: u64) -> Result<ExitCode> {
    let options = Options::from_seed(seed);
    let outcome = run(options.clone(), true);
    let mut stdout = stdout().lock();
    if std::env::var_os("TIMELINE").is_some() {
        for line in &outcome.timeline {
            writeln!(stdout, "{line}")?;
        }
    }
    let seen = describe(&format!("seed {seed}"), &options, &outcome);
    writeln!(stdout, "{seen}")?;
    Ok(code(outcome.violations.is_empty()))
}

fn sweep() -> Result<ExitCode> {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u64>());
    let count = numbers.next().transpose()?.unwrap_or(2_000);
    let first = numbers.next().transpose()?.unwrap_or(0);
    let swept = Sweep {
        seeds: first..first + count,
        most_failures: MOST_FAILURES,
    }
    .run();
    let mut stdout = stdout().lock();
    writeln!(stdout, "{}", swept.summary())?;
    for (seed, violations) in &swept.failures {
        let first = violations.first().map(String::as_str).unwrap_or_default();
        writeln!(stdout, "SEED={seed} failed: {first}")?;
    }
    if let Some((seed, _)) = swept.failures.first() {
        writeln!(stdout, "\n{}", report(*seed))?;
    }
    let missing = swept.strikes.missing();
    for what in &missing {
        writeln!(stdout, "never struck: {what}")?;
    }
    Ok(code(swept.failures.is_empty() && missing.is_empty()))
}

fn code(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
