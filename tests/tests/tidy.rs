//! The rules of the house, as a test.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use divvy_tests::paths;

/// What a file may have at most. Most have a third of it.
const MOST_LINES: usize = 600;

// In two parts each, so that this file keeps the rules that it states.
const UNFINISHED: [&str; 4] = [
    concat!("#[ign", "ore"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("db", "g!("),
];
const SLEEPS: [&str; 2] = [concat!("thread::sl", "eep"), concat!("time::sl", "eep(")];
const PLACES: [&str; 2] = [concat!("/ho", "me/"), concat!("/tm", "p/")];

/// The one place that sleeps, for all tests.
const WAIT_HELPER: &str = "tests/src/wait.rs";
/// What the tree must have, for people who come to it.
const PAGES: [&str; 3] = ["README.md", "CHANGELOG.md", "docs/guarantees.md"];
/// The one crate that calls C, whose table of lints differs from the workspace's in unsafe code alone.
const OWN_LINTS: &str = "crates/rdkafka-backend/Cargo.toml";
/// Folders that are not the project's.
const FOREIGN: [&str; 2] = ["target", ".git"];

struct Source {
    /// Relative to the workspace.
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: impl Into<String>) -> Source {
        Source {
            path: path.to_owned(),
            text: text.into(),
        }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("tests.rs")
    }

    fn is_manifest(&self) -> bool {
        self.path.ends_with("/Cargo.toml")
    }

    /// Every rule that the file breaks.
    fn violations(&self) -> Vec<String> {
        let mut violations = Vec::new();
        let lines = self.text.lines().count();
        if self.is_rust() && lines > MOST_LINES {
            violations.push(format!(
                "{}: {lines} lines, more than {MOST_LINES}",
                self.path
            ));
        }
        for (line, text) in (1..).zip(self.text.lines()) {
            for word in self.forbidden_words().filter(|word| text.contains(word)) {
                violations.push(format!("{}:{line}: {word}", self.path));
            }
        }
        if self.is_manifest() && self.path != OWN_LINTS && !inherits_lints(&self.text) {
            violations.push(format!(
                "{}: does not inherit the lints of the workspace",
                self.path
            ));
        }
        violations
    }

    fn forbidden_words(&self) -> impl Iterator<Item = &'static str> {
        let unfinished = UNFINISHED.iter().filter(|_| self.is_rust());
        let sleeps = SLEEPS
            .iter()
            .filter(|_| self.is_rust() && self.is_test() && self.path != WAIT_HELPER);
        unfinished.chain(sleeps).chain(&PLACES).copied()
    }

    /// The relative links of a page, without what is in its code blocks.
    fn links(&self) -> Vec<String> {
        let prose = self.text.split("```").step_by(2);
        let targets = prose
            .flat_map(|text| text.split("](").skip(1))
            .filter_map(|rest| rest.split(')').next());
        let relative = targets.filter(|target| !target.contains(':') && !target.starts_with('#'));
        relative
            .filter_map(|target| target.split(['#', ' ']).next())
            .map(str::to_owned)
            .collect()
    }
}

fn inherits_lints(manifest: &str) -> bool {
    manifest
        .split_once("[lints]")
        .is_some_and(|(_, rest)| rest.trim_start().starts_with("workspace = true"))
}

/// Every text file of the project.
fn sources() -> Result<Vec<Source>> {
    let root = paths::workspace();
    let mut sources = Vec::new();
    for file in files(&root)? {
        // What is no text has no lines to look at.
        if let Ok(text) = fs::read_to_string(&file) {
            let path = file.strip_prefix(&root)?.to_string_lossy().into_owned();
            sources.push(Source { path, text });
        }
    }
    Ok(sources)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            if !FOREIGN.iter().any(|foreign| path.ends_with(foreign)) {
                found.extend(files(&path)?);
            }
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

#[test]
fn every_file_keeps_the_rules() -> Result<()> {
    let sources = sources()?;
    assert!(
        sources.iter().filter(|source| source.is_rust()).count() > 20,
        "these cannot be all files"
    );
    let violations: Vec<String> = sources.iter().flat_map(Source::violations).collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
    Ok(())
}

#[test]
fn the_workspace_forbids_unsafe_code() -> Result<()> {
    let manifest = fs::read_to_string(paths::workspace().join("Cargo.toml"))?;
    assert!(
        manifest
            .lines()
            .any(|line| line == "unsafe_code = \"forbid\"")
    );
    Ok(())
}

#[test]
fn the_pages_are_there_and_their_links_lead_somewhere() -> Result<()> {
    let root = paths::workspace();
    let mut broken: Vec<String> = PAGES
        .iter()
        .filter(|page| !root.join(page).exists())
        .map(|page| format!("{page} is missing"))
        .collect();
    for page in sources()?
        .iter()
        .filter(|source| source.path.ends_with(".md"))
    {
        let folder = root
            .join(&page.path)
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default();
        let dead = page
            .links()
            .into_iter()
            .filter(|link| !folder.join(link).exists());
        broken.extend(dead.map(|link| format!("{}: nothing at {link}", page.path)));
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    Ok(())
}

#[test]
fn the_tests_that_pages_name_are_there() -> Result<()> {
    let root = paths::workspace();
    let (mut named, mut missing) = (0, Vec::new());
    for page in sources()? {
        if !page.path.ends_with(".md") {
            continue;
        }
        let path = root.join(&page.path);
        let folder = path.parent().context("a page without a folder")?;
        for (name, file) in named_tests(&page.text) {
            named += 1;
            let test = fs::read_to_string(folder.join(file)).unwrap_or_default();
            if !test.contains(&format!("fn {name}(")) {
                missing.push(format!("{}: there is no {name} in {file}", page.path));
            }
        }
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
    assert!(named > 0, "no page names a test");
    Ok(())
}

/// What a page links as "[`name`](file.rs)".
fn named_tests(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split("[`").skip(1).filter_map(|link| {
        let (name, rest) = link.split_once("`](")?;
        let (file, _) = rest.split_once(')')?;
        file.ends_with(".rs").then_some((name, file))
    })
}

#[test]
fn scripts_can_be_run() -> Result<()> {
    let root = paths::workspace();
    let mut scripts = 0;
    for source in sources()?
        .iter()
        .filter(|source| source.text.starts_with("#!"))
    {
        let path = root.join(&source.path);
        scripts += 1;
        assert!(
            fs::metadata(&path)?.permissions().mode() & 0o111 != 0,
            "{} is not executable",
            source.path
        );
        if source
            .text
            .lines()
            .next()
            .is_some_and(|first| first.ends_with("sh"))
        {
            let checked = Command::new("bash").arg("-n").arg(&path).output()?;
            assert!(
                checked.status.success(),
                "{}",
                String::from_utf8_lossy(&checked.stderr)
            );
        }
    }
    assert!(scripts > 3, "these cannot be all scripts");
    Ok(())
}

/// A rule that finds nothing where something was planted is none.
#[test]
fn broken_rules_are_noticed() {
    let long = "// a line\n".repeat(MOST_LINES + 1);
    let sleep = format!("std::{}(d);", SLEEPS[0]);
    let planted = [
        Source::new("crates/a/src/lib.rs", long),
        Source::new(
            "crates/a/src/lib.rs",
            format!("fn f() {{ {}) }}", UNFINISHED[1]),
        ),
        Source::new("crates/a/tests/a.rs", format!("{}]", UNFINISHED[0])),
        Source::new("crates/a/src/b/tests.rs", sleep.as_str()),
        Source::new(
            "tests/tests/live.rs",
            format!("tokio::{}d).await;", SLEEPS[1]),
        ),
        Source::new("docker/README.md", format!("cd {}me", PLACES[0])),
        Source::new("crates/a/Cargo.toml", "[package]\nname = \"a\"\n[lints]\n"),
    ];
    for source in planted {
        assert_eq!(source.violations().len(), 1, "{}", source.path);
    }

    let allowed = [
        Source::new("crates/a/src/backoff.rs", sleep.as_str()),
        Source::new(WAIT_HELPER, sleep.as_str()),
        Source::new("crates/a/Cargo.toml", "[lints]\nworkspace = true\n"),
    ];
    for source in allowed {
        assert_eq!(source.violations(), [""; 0]);
    }

    let page = Source::new(
        "README.md",
        "[a](docs/a.md#part) [b](https://example.org) [c](#here)\n```\n[d](no)\n```\n[e](e.md \"title\")",
    );
    assert_eq!(page.links(), ["docs/a.md", "e.md"]);
}
