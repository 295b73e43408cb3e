//! Nothing stays behind, however the test process ends.
//!
//! The first thing that needs cleaning up starts the warden (`tests/bin/warden.sh`), a shell that waits for
//! the end of a pipe whose other end only this process holds. When this process ends (returns, panics, aborts,
//! is killed), the kernel closes the pipe, and the warden kills the processes and removes the directories that
//! it was told of. That is also how shared clusters end, which live in statics and are never dropped.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::paths;

static WARDEN: Mutex<Option<ChildStdin>> = Mutex::new(None);

/// Starts `command` under the warden's eyes.
///
/// # Errors
///
/// When it cannot be started, or the warden cannot.
pub(crate) fn spawn(command: &mut Command) -> Result<Child> {
    let program = command.get_program().to_string_lossy().into_owned();
    // Its own group, so that a terminal's Ctrl-C goes to the tests alone and they decide who stops when.
    let mut child = command
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    if let Err(error) = order(&format!("process {}", child.id())) {
        // Killing and reaping fail only for a process that is gone already.
        let _ = child.kill();
        let _ = child.wait();
        return Err(error);
    }
    Ok(child)
}

/// Takes a process off the warden's list, because it is about to be reaped.
pub(crate) fn forget(pid: u32) {
    // A warden that is gone has nothing to forget.
    let _ = order(&format!("forget {pid}"));
}

/// A directory that is removed when dropped, and by the warden at the latest.
///
/// With `DIVVY_TEST_KEEP=1` it is kept, to be looked at.
///
/// # Errors
///
/// When it cannot be created, or the warden cannot be started.
pub fn temporary_directory() -> Result<TempDir> {
    let mut directory = tempfile::Builder::new()
        .prefix("divvy-")
        .tempdir()
        .context("cannot create a temporary directory")?;
    if std::env::var_os("DIVVY_TEST_KEEP").is_some() {
        directory.disable_cleanup(true);
    } else {
        entrust_directory(directory.path())?;
    }
    Ok(directory)
}

fn entrust_directory(path: &Path) -> Result<()> {
    order(&format!("directory {}", path.display()))
}

fn order(line: &str) -> Result<()> {
    let mut warden = WARDEN.lock().unwrap_or_else(PoisonError::into_inner);
    if warden.is_none() {
        *warden = Some(start()?);
    }
    let pipe = warden.as_mut().context("the warden has no pipe")?;
    writeln!(pipe, "{line}").context("the warden is gone")
}

fn start() -> Result<ChildStdin> {
    let script = paths::tests().join("bin/warden.sh");
    let mut child = Command::new(&script)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", script.display()))?;
    child.stdin.take().context("the warden has no pipe")
}
