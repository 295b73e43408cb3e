//! Runs seeds, or one of them again.
//!
//! `divvy-sim [COUNT] [FIRST]` runs that many seeds (2,000 unless told), and fails if one fails, or if a kind of fault never
//! struck where it should. `SEED=n divvy-sim` repeats one, `SCRIPT=path divvy-sim` runs a script, and both
//! show the end of what happened; with `TIMELINE=1` all of it.
//! With `UNTIL_FAILURE=1` the first failure ends it.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use divvy_sim::{Options, Script, Sweep, describe, report, run};

/// How many failures are enough.
const MOST_FAILURES: usize = 20;

fn main() -> Result<ExitCode> {
    if let Ok(seed) = std::env::var("SEED") {
        let number = seed.parse().context("SEED is no number")?;
        return show(
            &format!("seed {seed}"),
            &Script::from(Options::from_seed(number)),
        );
    }
    match std::env::var("SCRIPT") {
        Ok(path) => {
            let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
            show(&path, &text.parse()?)
        }
        Err(_) => sweep(),
    }
}

/// Runs one script, and shows what came of it.
fn show(name: &str, script: &Script) -> Result<ExitCode> {
    let options = &script.options;
    let mut outcome = run(options.clone(), true);
    outcome.violations = script.complaints(&outcome);
    let mut stdout = stdout().lock();
    if std::env::var_os("TIMELINE").is_some() {
        for line in &outcome.timeline {
            writeln!(stdout, "{line}")?;
        }
    }
    let seen = describe(name, options, &outcome);
    writeln!(stdout, "{seen}")?;
    Ok(code(outcome.violations.is_empty()))
}

fn sweep() -> Result<ExitCode> {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u64>());
    let count = numbers.next().transpose()?.unwrap_or(2_000);
    let first = numbers.next().transpose()?.unwrap_or(0);
    let enough = std::env::var_os("UNTIL_FAILURE").map_or(MOST_FAILURES, |_| 1);
    let swept = Sweep {
        seeds: first..first + count,
        most_failures: enough,
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
