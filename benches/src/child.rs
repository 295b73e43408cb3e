//! Programs that run to their end, and what they take.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Process, wait_some};
use rustix::param::clock_ticks_per_second;

/// What a program has left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) stdout: String,
    /// The time that it was on a processor, in user and kernel mode, with the programs that it waited for.
    pub(crate) cpu: Duration,
    /// The most memory that was resident, as far as was seen.
    pub(crate) peak_rss: u64,
}

/// Runs a program to its end, which must be a good one. Only one at a time, because what it takes is seen by what this process's
/// ended children have taken in all.
pub(crate) fn run(name: &str, command: &mut Command, within: Duration) -> Result<Ended> {
    let before = children_cpu()?;
    let process = Process::spawn(name, command)?;
    process.close_stdin();
    let mut peak_rss = 0;
    wait_some(within, "the program to end", || {
        peak_rss = peak_rss.max(peak_rss_of(process.pid()).unwrap_or(0));
        (!process.is_running()).then_some(())
    })
    .with_context(|| format!("{name} is still running:\n{}", process.stderr().tail(20)))?;
    let status = process.wait(within)?;
    ensure!(
        status.success(),
        "{name} ended with {status}:\n{}",
        process.stderr().tail(20)
    );
    Ok(Ended {
        stdout: process.stdout().texts().join("\n"),
        cpu: children_cpu()?.saturating_sub(before),
        peak_rss,
    })
}

/// What the children that have ended took, in hundredths of seconds at best.
fn children_cpu() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which may hold anything, the third field is the first one.
    let (_, fields) = stat.rsplit_once(')').context("an unexpected stat")?;
    let mut fields = fields.split_whitespace().skip(13);
    let mut ticks = || -> Result<u64> { Ok(fields.next().context("a short stat")?.parse()?) };
    let ticks = ticks()? + ticks()?;
    Ok(Duration::from_millis(
        ticks * 1000 / clock_ticks_per_second(),
    ))
}

fn peak_rss_of(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
