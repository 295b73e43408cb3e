//! Python environments that are kept.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};

use crate::paths;

/// The Python that has what pip was asked for, in `divvy/<name>` below the user's cache directory. Made when it is first asked
/// for; processes that ask at the same time wait for one another.
///
/// # Errors
///
/// When Python with venv and pip is missing, or pip cannot install it.
pub fn environment(name: &str, requirements: &[&str]) -> Result<PathBuf> {
    let cache = paths::cache()?;
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let lock = cache.join(format!("{name}.lock"));
    let lock = File::create(&lock).with_context(|| format!("cannot create {}", lock.display()))?;
    flock(&lock, FlockOperation::LockExclusive).context("cannot lock the cache of Python")?;

    let directory = cache.join(name);
    let python = directory.join("bin/python");
    // Written last: it says what the environment has.
    let made_of = directory.join("requirements.txt");
    let wanted = requirements.join("\n");
    if !fs::read(&made_of).is_ok_and(|made| made == wanted.as_bytes()) {
        if directory.exists() {
            fs::remove_dir_all(&directory)
                .with_context(|| format!("cannot remove {}", directory.display()))?;
        }
        let arguments = ["-m", "venv"];
        run(Command::new("python3").args(arguments).arg(&directory))?;
        let install = ["-m", "pip", "install", "--quiet"];
        run(Command::new(&python).args(install).args(requirements))?;
        fs::write(&made_of, wanted)
            .with_context(|| format!("cannot write {}", made_of.display()))?;
    }
    Ok(python)
}

fn run(command: &mut Command) -> Result<()> {
    let program = Path::new(command.get_program()).display().to_string();
    let output = command.output().with_context(|| {
        format!("cannot run {program}; tests/run installs Python with venv and pip")
    })?;
    if !output.status.success() {
        bail!(
            "{command:?} failed: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
