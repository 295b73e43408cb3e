//! What a process takes of the machine's memory.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::process::Process;
use crate::wait_for;

const MIB: usize = 1 << 20;
/// When nothing has changed for so long, the process has what it wants.
const SETTLED: Duration = Duration::from_secs(1);

/// The memory of a process, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// What it takes.
    pub now: usize,
    /// The most that it ever took.
    pub peak: usize,
}

impl Memory {
    /// Asks the system.
    ///
    /// # Errors
    ///
    /// When the process has ended.
    pub fn of(process: &Process) -> Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", process.pid()))?;
        let field = |name: &str| -> Result<usize> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
            let kilobytes: usize = kilobytes.context("no such field")?.parse()?;
            Ok(kilobytes << 10)
        };
        Ok(Memory {
            now: field("VmRSS:")?,
            peak: field("VmHWM:")?,
        })
    }

    /// Waits until a process takes as much memory as it did a moment ago, and at least this many bytes.
    ///
    /// # Errors
    ///
    /// When it still changes after `within`.
    pub fn settled(process: &Process, least: usize, within: Duration) -> Result<Memory> {
        let mut last = (Memory::of(process)?.now, Instant::now());
        wait_for(within, "the process's memory to settle", || {
            let now = Memory::of(process).map_or(0, |memory| memory.now);
            if now.abs_diff(last.0) > MIB / 4 {
                last = (now, Instant::now());
            }
            now >= least && last.1.elapsed() > SETTLED
        })?;
        Memory::of(process)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Memory { now, peak } = self;
        write!(f, "{} MiB, {} at most", now / MIB, peak / MIB)
    }
}
