//! The `divvy` program as a child process.

use std::ffi::OsStr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

use crate::{Line, Process, paths};

#[cfg(test)]
mod tests;

/// A running `divvy`. It is killed when this is dropped.
///
/// Derefs to its [`Process`], for its output, signals and end.
#[derive(Debug)]
pub struct Divvy {
    process: Process,
}

/// A `divvy` that is about to be started. Made by [`Divvy::command`].
#[derive(Debug)]
pub struct DivvyCommand {
    command: Command,
    hold_stdout: bool,
}

/// An event that `divvy --events json` printed to stderr.
#[derive(Clone, Debug)]
pub struct Event {
    /// When its line was read.
    pub at: Instant,
    /// Its name, such as `assigned`.
    pub name: String,
    /// The whole object.
    pub fields: Value,
}

impl Divvy {
    /// A `divvy` with these arguments, and none of the environment's settings for its log.
    ///
    /// One that reads or produces does so through librdkafka where [`use_rdkafka`] says so.
    pub fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> DivvyCommand {
        let mut command = Self::native(arguments);
        let mut arguments = command.command.get_args();
        let moves = match arguments.next().and_then(OsStr::to_str) {
            Some("consume" | "produce" | "tail") => true,
            Some("bench") => matches!(
                arguments.next().and_then(OsStr::to_str),
                Some("consume" | "produce")
            ),
            _ => false,
        };
        let chosen = command
            .command
            .get_args()
            .any(|chosen| chosen == USE_RDKAFKA || chosen == "--compare-backends");
        if moves && !chosen && use_rdkafka() {
            command.command.arg(USE_RDKAFKA);
        }
        command
    }

    /// [`Divvy::command`] that reads and produces as its arguments say, whatever [`use_rdkafka`] says.
    pub fn native<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> DivvyCommand {
        let mut command = Command::new("divvy");
        command.args(arguments).env_remove("RUST_LOG");
        DivvyCommand {
            command,
            hold_stdout: false,
        }
    }

    /// Where the program is. Builds it, with the profile of the tests, when it is first asked for;
    /// `DIVVY_BIN` names one to be used instead.
    ///
    /// # Errors
    ///
    /// When it cannot be built.
    pub fn program() -> Result<&'static Path> {
        static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        PROGRAM
            .get_or_init(|| build().map_err(|error| format!("{error:#}")))
            .as_deref()
            .map_err(|error| anyhow!("{error}"))
    }

    /// The events so far.
    pub fn events(&self) -> Vec<Event> {
        self.stderr()
            .lines()
            .iter()
            .filter_map(Event::parse)
            .collect()
    }

    /// The events so far that have this name.
    pub fn events_named(&self, name: &str) -> Vec<Event> {
        let mut events = self.events();
        events.retain(|event| event.name == name);
        events
    }

    /// Waits for an event of this name that `wanted` accepts, and returns the first one, which may be there already.
    ///
    /// # Errors
    ///
    /// When there is none within `within`; the error shows the end of stderr.
    pub fn wait_for_event(
        &self,
        within: Duration,
        name: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Event> {
        let accept = |event: &Event| event.name == name && wanted(&event.fields);
        let at = Instant::now();
        let line = self
            .stderr()
            .wait_for(within, &format!("the event {name}"), |text| {
                let line = Line {
                    at,
                    since: at,
                    bytes: text.as_bytes().to_vec(),
                };
                Event::parse(&line).is_some_and(|event| accept(&event))
            })?;
        Event::parse(&line).context("a line that is no event after all")
    }
}

impl Deref for Divvy {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DivvyCommand {
    /// Sets a variable of its environment.
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Starts it with a reader that is stuck: nothing of its stdout is read until it is
    /// [released](crate::Captured::release).
    pub fn hold_stdout(mut self) -> Self {
        self.hold_stdout = true;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When it cannot be built or started.
    pub fn spawn(self) -> Result<Divvy> {
        let mut command = Command::new(Divvy::program()?);
        command.args(self.command.get_args());
        for (key, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        let name = format!(
            "divvy {}",
            self.command
                .get_args()
                .next()
                .unwrap_or_default()
                .to_string_lossy()
        );
        Ok(Divvy {
            process: Process::spawn_holding(&name, &mut command, self.hold_stdout)?,
        })
    }

    /// Starts it, gives it `input` as its stdin, and waits for its end, whatever its exit code.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or takes longer than `within`.
    pub fn run(self, input: &[u8], within: Duration) -> Result<(std::process::ExitStatus, Divvy)> {
        let divvy = self.spawn()?;
        // It may end before it has read everything, which its exit code tells better.
        let _ = divvy.write(input);
        divvy.close_stdin();
        let status = divvy.wait(within)?;
        Ok((status, divvy))
    }
}

impl Event {
    /// The partitions of its field `partitions`, in ascending order.
    pub fn partitions(&self) -> Vec<i32> {
        let partitions = self.fields["partitions"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut partitions: Vec<i32> = partitions
            .iter()
            .filter_map(Value::as_i64)
            .filter_map(|id| i32::try_from(id).ok())
            .collect();
        partitions.sort_unstable();
        partitions
    }

    fn parse(line: &Line) -> Option<Event> {
        let fields: Value = serde_json::from_slice(&line.bytes).ok()?;
        let name = fields.get("event")?.as_str()?.to_owned();
        Some(Event {
            at: line.at,
            name,
            fields,
        })
    }
}

/// The option that has `divvy` talk to the brokers through librdkafka.
const USE_RDKAFKA: &str = "--use-rdkafka";

/// Whether consumers and producers under test read and write through librdkafka: `DIVVY_TEST_BACKEND=rdkafka` in the environment, and not `native` or
/// nothing. `tests/run` runs what consumes with both.
pub fn use_rdkafka() -> bool {
    std::env::var_os("DIVVY_TEST_BACKEND").is_some_and(|backend| backend == "rdkafka")
}

/// Builds one of the programs in `examples/`, with the profile of the tests, and says where it is.
///
/// # Errors
///
/// When it cannot be built.
pub fn example(name: &str) -> Result<PathBuf> {
    build_program("divvy-examples", name, &[])
}

/// The target folder of the workspace, in which this program lies.
///
/// # Errors
///
/// When it lies elsewhere.
pub fn target_folder() -> Result<PathBuf> {
    Ok(OutputDirectory::of_this_program()?.target)
}

fn build() -> Result<PathBuf> {
    match std::env::var_os("DIVVY_BIN") {
        Some(program) => Ok(program.into()),
        None => build_program("divvy-cli", "divvy", &["rdkafka"]),
    }
}

fn build_program(package: &str, name: &str, features: &[&str]) -> Result<PathBuf> {
    let output = OutputDirectory::of_this_program()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args([
            "build",
            "--quiet",
            "--package",
            package,
            "--bin",
            name,
            "--profile",
            output.profile(),
            "--features",
            &features.join(","),
        ])
        .arg("--target-dir")
        .arg(&output.target)
        .current_dir(paths::workspace());
    if let Some(triple) = &output.triple {
        command.args(["--target", triple]);
    }
    let built = command.output().context("cannot run cargo")?;
    if !built.status.success() {
        bail!(
            "{name} cannot be built:\n{}",
            String::from_utf8_lossy(&built.stderr)
        );
    }
    Ok(output.directory.join(name))
}

/// Where cargo put this program, and so where it will put `divvy`: `<target>/[<triple>/]<profile>`.
struct OutputDirectory {
    target: PathBuf,
    triple: Option<String>,
    directory: PathBuf,
}

impl OutputDirectory {
    fn of_this_program() -> Result<OutputDirectory> {
        let program = std::env::current_exe().context("this program does not know its place")?;
        // Tests and examples are one folder deeper.
        let directory = program
            .ancestors()
            .skip(1)
            .find(|folder| !folder.ends_with("deps") && !folder.ends_with("examples"))
            .context("this program has no folder")?;
        let target = directory
            .ancestors()
            .find(|folder| folder.join("CACHEDIR.TAG").exists())
            .with_context(|| {
                format!(
                    "{} is not in a target folder of cargo's; set DIVVY_BIN",
                    program.display()
                )
            })?;
        let triple = directory
            .parent()
            .filter(|parent| *parent != target)
            .and_then(Path::file_name);
        Ok(OutputDirectory {
            target: target.to_path_buf(),
            triple: triple.map(|name| name.to_string_lossy().into_owned()),
            directory: directory.to_path_buf(),
        })
    }

    fn profile(&self) -> &str {
        match self.directory.file_name().and_then(OsStr::to_str) {
            Some("debug") | None => "dev",
            Some(profile) => profile,
        }
    }
}
