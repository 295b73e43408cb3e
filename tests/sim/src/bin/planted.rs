//! Plants bugs in a copy of the product, one after the other, and sees whether the simulation finds each of them.
//!
//! `planted [NAME…]` plants those whose file name begins so, or all; `planted --check [NAME…]` only sees whether they can be
//! planted. Each bug is a patch below `tests/sim/planted` to the sources as they are. The copy and what is built of it lie below
//! `planted` in the target directory.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

/// Within how many seeds a bug must be found.
const SEEDS: &str = "1000";
/// What the copy needs of the workspace.
const PARTS: [&str; 4] = ["Cargo.toml", "Cargo.lock", "crates", "tests/sim"];

fn main() -> Result<ExitCode> {
    let mut wanted: Vec<String> = env::args().skip(1).collect();
    let only_check = wanted.first().is_some_and(|first| first == "--check");
    if only_check {
        wanted.remove(0);
    }
    let garden = Garden::new()?;
    let mut stdout = stdout().lock();
    let patches = garden.patches(&wanted)?;
    let all = patches.len();
    let mut good = 0;
    for patch in patches {
        let started = Instant::now();
        let seen = match only_check {
            true => garden
                .prepare(&patch)
                .map(|()| Some("can be planted".to_owned())),
            false => garden.plant(&patch),
        };
        let name = name(&patch);
        let took = started.elapsed().as_secs();
        match seen {
            Ok(Some(seen)) => {
                good += 1;
                writeln!(stdout, "{name:<26} {took:>4} s: {seen}")?;
            }
            Ok(None) => writeln!(stdout, "{name:<26} {took:>4} s: NOT FOUND in {SEEDS} seeds")?,
            Err(why) => writeln!(stdout, "{name:<26} {took:>4} s: NOT PLANTED: {why:#}")?,
        }
    }
    garden.refresh()?;
    writeln!(stdout, "{good} of {all}")?;
    Ok(match good == all {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The copy of the workspace.
struct Garden {
    workspace: PathBuf,
    copy: PathBuf,
    target: PathBuf,
}

impl Garden {
    fn new() -> Result<Garden> {
        // What cargo says now, not what it said when it built this: the sources may have moved since.
        let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let workspace = manifest
            .as_deref()
            .and_then(|folder| folder.ancestors().nth(2))
            .context("run it with `cargo run`, which says where the sources are")?;
        let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let garden = target
            .unwrap_or_else(|| workspace.join("target"))
            .join("planted");
        Ok(Garden {
            workspace: workspace.to_owned(),
            copy: garden.join("workspace"),
            target: garden.join("target"),
        })
    }

    /// The patches whose name begins as one of these, or all, in order.
    fn patches(&self, wanted: &[String]) -> Result<Vec<PathBuf>> {
        let folder = self.workspace.join("tests/sim/planted");
        let mut patches: Vec<PathBuf> = fs::read_dir(&folder)
            .with_context(|| folder.display().to_string())?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        patches.retain(|patch| {
            let is_patch = patch.extension() == Some(OsStr::new("patch"));
            let is_wanted = wanted.iter().any(|wanted| name(patch).starts_with(wanted));
            is_patch && (wanted.is_empty() || is_wanted)
        });
        patches.sort();
        ensure!(!patches.is_empty(), "there is nothing to plant");
        Ok(patches)
    }

    /// Makes the copy what the workspace is. Files that are equal stay as they are, so that nothing is built twice.
    fn refresh(&self) -> Result<()> {
        for part in PARTS {
            copy(&self.workspace.join(part), &self.copy.join(part))?;
        }
        let manifest = fs::read_to_string(self.workspace.join("Cargo.toml"))?;
        let lines = manifest
            .lines()
            .map(|line| match line.starts_with("members") {
                true => "members = [\"crates/*\", \"tests/sim\"]",
                false => line,
            });
        let lines: Vec<&str> = lines.collect();
        write_if_other(
            &self.copy.join("Cargo.toml"),
            (lines.join("\n") + "\n").as_bytes(),
        )
    }

    /// Makes the copy what the workspace is with the bug.
    fn prepare(&self, patch: &Path) -> Result<()> {
        self.refresh()?;
        let applied = Command::new("git")
            // Lines around a change may change without the bug being another one.
            .args(["apply", "-C1"])
            .arg(patch)
            .current_dir(&self.copy)
            // The copy may lie within the repository, and is not a part of it.
            .env(
                "GIT_CEILING_DIRECTORIES",
                self.copy.parent().unwrap_or(&self.copy),
            )
            .output()?;
        if !applied.status.success() {
            bail!(
                "does not apply: {}",
                String::from_utf8_lossy(&applied.stderr).trim()
            );
        }
        Ok(())
    }

    /// Gives what was seen of a bug, if anything was.
    fn plant(&self, patch: &Path) -> Result<Option<String>> {
        self.prepare(patch)?;
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--profile",
                "sim",
                "--package",
                "divvy-sim",
                "--bin",
                "divvy-sim",
                "--quiet",
            ])
            .current_dir(&self.copy)
            .env("CARGO_TARGET_DIR", &self.target)
            // What is left of another bug's build must not get into this one's.
            .env("CARGO_INCREMENTAL", "0")
            .output()?;
        if !built.status.success() {
            bail!(
                "does not compile: {}",
                String::from_utf8_lossy(&built.stderr)
            );
        }
        let swept = Command::new(self.target.join("sim/divvy-sim"))
            .arg(SEEDS)
            .env("UNTIL_FAILURE", "1")
            .output()?;
        let said = String::from_utf8_lossy(&swept.stdout);
        Ok(said
            .lines()
            .find(|line| line.starts_with("SEED="))
            .map(str::to_owned))
    }
}

fn name(patch: &Path) -> &str {
    patch
        .file_stem()
        .and_then(OsStr::to_str)
        .unwrap_or_default()
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        return write_if_other(to, &fs::read(from)?);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        copy(&from.join(&name), &to.join(&name))?;
    }
    for entry in fs::read_dir(to)? {
        let name = entry?.file_name();
        if !from.join(&name).exists() {
            let gone = to.join(&name);
            match gone.is_dir() {
                true => fs::remove_dir_all(gone)?,
                false => fs::remove_file(gone)?,
            }
        }
    }
    Ok(())
}

fn write_if_other(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content).with_context(|| path.display().to_string())
}
