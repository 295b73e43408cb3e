//! A node that is a JVM.

use std::fmt::{self, Display};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use super::node::four_letter_word;
use crate::metadata;
use crate::ports::PortLease;
use crate::process::GuardedChild;
use crate::{wait_for, wait_some};

/// How long a JVM may take until it serves, on a machine that is busy with other tests.
const START_PATIENCE: Duration = Duration::from_secs(90);
/// How long a broker may take to hand its leaderships over and stop.
const TERM_PATIENCE: Duration = Duration::from_secs(60);

/// What a node is, and how to tell that it serves.
#[derive(Debug)]
pub(crate) enum Role {
    ZooKeeper,
    Broker {
        /// The node by which it registers itself, chroot included.
        registration: String,
        zookeepers: Vec<SocketAddr>,
    },
}

/// A ZooKeeper server or a Kafka broker, in a JVM of its own.
#[derive(Debug)]
pub(crate) struct Jvm {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) port: PortLease,
    /// Further ports that nobody else may take (those of an ensemble's servers among themselves).
    pub(crate) _ports: Vec<PortLease>,
    pub(crate) script: PathBuf,
    pub(crate) environment: Mutex<Vec<(&'static str, String)>>,
    pub(crate) log: PathBuf,
    /// Where the log of the current run begins.
    pub(crate) log_start: AtomicUsize,
    pub(crate) process: Mutex<Option<GuardedChild>>,
}

impl Jvm {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The JVM's process id, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(GuardedChild::pid)
    }

    /// Whether its JVM runs, or is stopped by a signal.
    pub(crate) fn is_running(&self) -> bool {
        self.process()
            .as_mut()
            .is_some_and(|child| child.try_wait().is_none())
    }

    /// Starts it and waits until it serves. A broker whose earlier run is still registered in ZooKeeper
    /// waits for the end of that session first, because brokers from 0.9 on refuse to start before.
    pub(crate) fn start(&self) -> Result<()> {
        if let Role::Broker { registration, .. } = &self.role {
            let what = format!("the old registration of {self} to end");
            wait_for(START_PATIENCE, &what, || !self.is_registered(registration))?;
        }
        self.spawn()?;
        self.wait_until_serving()
    }

    /// Kills it (SIGKILL). One that has ended already is none the worse.
    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.process().take() {
            child.kill();
        }
    }

    /// Asks it to stop (SIGTERM) and waits for its end. A broker hands its partitions over first.
    pub(crate) fn term(&self) -> Result<()> {
        self.signal(Signal::TERM)?;
        wait_for(TERM_PATIENCE, &format!("{self} to end"), || {
            !self.is_running()
        })?;
        self.kill();
        Ok(())
    }

    /// Stops it in its tracks (SIGSTOP): its connections stay open and nothing answers.
    pub(crate) fn stop(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after [`stop`](Node::stop) (SIGCONT).
    pub(crate) fn cont(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Its log since the cluster was started, over all runs.
    pub(crate) fn log(&self) -> String {
        // A log that cannot be read is an empty one: this is for looking at.
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last `count` lines of its log.
    pub(crate) fn log_tail(&self, count: usize) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// Starts the JVM and does not wait for it to serve.
    pub(crate) fn spawn(&self) -> Result<()> {
        let mut process = self.process();
        if process
            .as_mut()
            .is_some_and(|child| child.try_wait().is_none())
        {
            bail!("{self} runs already");
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot open {}", self.log.display()))?;
        self.log_start.store(self.log().len(), Ordering::Relaxed);
        let mut command = Command::new(&self.script);
        command
            .envs(lock(&self.environment).iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        *process = Some(GuardedChild::spawn(&self.name, &mut command)?);
        Ok(())
    }

    /// Waits until it serves, or has ended.
    pub(crate) fn wait_until_serving(&self) -> Result<()> {
        let serving = wait_some(START_PATIENCE, &format!("{self} to serve"), || {
            if self.is_serving() {
                Some(true)
            } else {
                (!self.is_running()).then_some(false)
            }
        });
        match serving {
            Ok(true) => Ok(()),
            Ok(false) => bail!(
                "{self} has ended; its log ends with:\n{}",
                self.log_tail(20)
            ),
            Err(error) => Err(error.context(format!(
                "{self} does not serve; its log ends with:\n{}",
                self.log_tail(20)
            ))),
        }
    }

    fn is_serving(&self) -> bool {
        match &self.role {
            // A server without a quorum answers, but has no mode.
            Role::ZooKeeper => four_letter_word(self.address(), "srvr")
                .is_ok_and(|answer| answer.contains("Mode: ")),
            // The registration alone may be that of an earlier run.
            Role::Broker { registration, .. } => {
                self.log_of_this_run()
                    .contains("started (kafka.server.KafkaServer)")
                    && self.is_registered(registration)
                    && metadata::fetch(self.address()).is_ok()
            }
        }
    }

    fn is_registered(&self, registration: &str) -> bool {
        let Role::Broker { zookeepers, .. } = &self.role else {
            return false;
        };
        zookeepers.iter().any(|server| {
            four_letter_word(*server, "dump")
                .is_ok_and(|dump| dump.lines().any(|line| line.trim() == registration))
        })
    }

    fn log_of_this_run(&self) -> String {
        self.log()
            .get(self.log_start.load(Ordering::Relaxed)..)
            .unwrap_or_default()
            .to_owned()
    }

    /// What its start script shall be told from its next start on.
    pub(crate) fn set_environment(&self, changes: [(&'static str, String); 2]) {
        let mut environment = lock(&self.environment);
        for (key, value) in changes {
            environment.retain(|(known, _)| *known != key);
            environment.push((key, value));
        }
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        match self.process().as_mut() {
            Some(child) => child.signal(signal),
            None => bail!("{self} does not run"),
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<GuardedChild>> {
        lock(&self.process)
    }
}

impl Display for Jvm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.address())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
