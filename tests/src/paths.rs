//! Where things are in the source tree.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    tests().parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The folder of the tests.
pub fn tests() -> PathBuf {
    // A test finds its sources through cargo's environment, so that a tree that was moved after it was built
    // still works; a program that is run by hand has only the place where it was built.
    std::env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .filter(|package| package.join("bin/warden.sh").exists())
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")))
}

/// A file or folder below `docker/`.
pub fn docker(relative: impl AsRef<Path>) -> PathBuf {
    workspace().join("docker").join(relative)
}

/// Where the tests keep what is expensive to make: `divvy` below the user's cache directory.
///
/// # Errors
///
/// When the user has none.
pub fn cache() -> Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME").filter(|directory| !directory.is_empty()) {
        Some(cache) => cache.into(),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(cache.join("divvy"))
}
