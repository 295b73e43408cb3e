//! Who builds the program as it is needs no C compiler but to link with.

use std::process::Command;

use anyhow::{Result, ensure};
use divvy_tests::paths;

#[test]
fn the_plain_program_has_no_c_in_it() -> Result<()> {
    let plain = packages(&[])?;
    let builds_c =
        |name: &&String| name.ends_with("-sys") && *name != "linux-raw-sys" || *name == "cc";
    let found: Vec<&String> = plain.iter().filter(builds_c).collect();
    ensure!(found.is_empty(), "built with C: {found:?}");
    // What the same look sees in a build that has it.
    let other = packages(&["--features", "rdkafka"])?;
    for name in ["rdkafka-sys", "cc"] {
        ensure!(other.iter().any(|package| package == name), "{other:?}");
    }
    Ok(())
}

/// What is built for the program, by name.
fn packages(options: &[&str]) -> Result<Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = Command::new(cargo)
        .args(["tree", "--package", "divvy-cli", "--edges", "normal,build"])
        .args(["--prefix", "none", "--format", "{p}", "--locked"])
        .args(options)
        .current_dir(paths::workspace())
        .output()?;
    let said = String::from_utf8_lossy(&tree.stderr);
    ensure!(tree.status.success(), "{said}");
    let tree = String::from_utf8_lossy(&tree.stdout);
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    Ok(names.map(str::to_owned).collect())
}
