//! PyKafka's own consumers, from a Python environment that the tests keep.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};

use crate::{Cluster, Process, paths};

/// What pip is asked for: PyKafka's last release, and what it takes for granted that every Python has.
const REQUIREMENTS: [&str; 2] = ["pykafka==2.8.0", "setuptools<80"];

/// A member of a group of PyKafka's `BalancedConsumer`, with offsets in Kafka.
///
/// It prints one message a line as the tests' `divvy` does (see [`FORMAT`](crate::group::FORMAT)), commits each second, and
/// leaves its group on [`term`](Process::term).
#[derive(Clone, Debug)]
pub struct PyKafkaConsumer {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The group's ZooKeeper, where it is not the cluster's.
    pub zookeeper: Option<String>,
    /// `zookeeper_connection_timeout_ms`, which is the session timeout.
    pub session_timeout: Duration,
}

impl PyKafkaConsumer {
    /// Starts it, and does not wait for it to join.
    ///
    /// # Errors
    ///
    /// When PyKafka cannot be installed, or the program cannot be started.
    pub fn spawn(&self, cluster: &Cluster) -> Result<Process> {
        let zookeeper = self.zookeeper.clone();
        let mut command = Command::new(python()?);
        command
            .arg(paths::tests().join("python/balanced_consumer.py"))
            .args(["--group", &self.group, "--topic", &self.topic])
            .args(["--bootstrap", &cluster.bootstrap()])
            .args([
                "--zookeeper",
                &zookeeper.unwrap_or_else(|| cluster.zookeeper_connect()),
            ])
            .args([
                "--session-timeout-ms",
                &self.session_timeout.as_millis().to_string(),
            ]);
        Process::spawn("PyKafka's balanced consumer", &mut command)
    }
}

/// The Python that has PyKafka, in `divvy/pykafka` below the user's cache directory. Made when it is first asked for; processes
/// that ask at the same time wait for one another.
fn python() -> Result<PathBuf> {
    let cache = paths::cache()?;
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let lock = cache.join("pykafka.lock");
    let lock = File::create(&lock).with_context(|| format!("cannot create {}", lock.display()))?;
    flock(&lock, FlockOperation::LockExclusive).context("cannot lock the cache of PyKafka")?;

    let directory = cache.join("pykafka");
    let python = directory.join("bin/python");
    // Written last: it says what the environment has.
    let made_of = directory.join("requirements.txt");
    let wanted = REQUIREMENTS.join("\n");
    if !fs::read(&made_of).is_ok_and(|made| made == wanted.as_bytes()) {
        if directory.exists() {
            fs::remove_dir_all(&directory)
                .with_context(|| format!("cannot remove {}", directory.display()))?;
        }
        let arguments = ["-m", "venv"];
        run(Command::new("python3").args(arguments).arg(&directory))?;
        let install = ["-m", "pip", "install", "--quiet"];
        run(Command::new(&python).args(install).args(REQUIREMENTS))?;
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
