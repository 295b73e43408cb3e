//! `divvy demo` as a process: what it tells, that it leaves nobody behind, and what it looks like on a terminal.

mod ends;
mod lines;
mod processes;
mod terminal;

use std::time::Duration;

/// How long something may take that is waited for and not measured.
const PATIENCE: Duration = Duration::from_secs(60);
