//! The processes of the demo: this program, as a producer and as members.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::heard::{self, Heard, Who};
use super::names;

pub(super) const TOPIC: &str = "numbers";
const GROUP: &str = "demo";

/// How many lines may be read before they are looked at.
const QUEUED: usize = 4096;

/// How long the producer tries, so that it does not outlive a demo that is killed, and its brokers with it, by more.
const DELIVERY_TIMEOUT: &str = "5s";
/// What a member has printed and not committed is printed again by others when it is killed.
const COMMIT_INTERVAL: &str = "1s";
/// How long the partitions of a killed member would stay taken without its helper.
const SESSION_TIMEOUT: &str = "6s";

/// What was heard, of whom and when.
pub(super) type Told = (Instant, Who, Heard);

/// Starts processes and listens to them.
///
/// None of them outlives the demo. Those that run when this process ends in order are killed; where it is killed itself, their
/// pipes end, at which members commit what was read of theirs and leave, and the producer stops.
#[derive(Debug)]
pub(super) struct Stage {
    program: PathBuf,
    zookeeper: String,
    /// Where what members and the producer write to stderr is kept.
    logs: TempDir,
    told: mpsc::Sender<Told>,
}

/// A process of the demo.
#[derive(Debug)]
pub(super) struct Actor {
    pub(super) pid: u32,
    orders: mpsc::Sender<(Signal, oneshot::Sender<Instant>)>,
}

impl Stage {
    /// Gives the end at which to listen, too.
    pub(super) fn new(zookeeper: String) -> Result<(Self, mpsc::Receiver<Told>)> {
        let program = std::env::current_exe().context("this program cannot be found")?;
        let logs = tempfile::Builder::new().prefix("divvy-demo-").tempdir();
        let logs = logs.context("there is no place for the logs")?;
        let (told, heard) = mpsc::channel(QUEUED);
        let stage = Self {
            program,
            zookeeper,
            logs,
            told,
        };
        Ok((stage, heard))
    }

    /// Starts a member of the group.
    pub(super) async fn member(&self, id: usize) -> Result<Actor> {
        let mut command = self.command("consume");
        command
            .args([
                "--group",
                GROUP,
                "--format",
                heard::FORMAT,
                "--events",
                "json",
            ])
            .args([
                "--commit-interval",
                COMMIT_INTERVAL,
                "--session-timeout",
                SESSION_TIMEOUT,
            ])
            .stdin(Stdio::null());
        let log = format!("member-{}.log", names::member(id));
        let (actor, _) = self.start(Who::Member(id), command, &log).await?;
        Ok(actor)
    }

    /// Starts the producer, which writes each line of its stdin as a message, and ends when its stdin does.
    pub(super) async fn producer(&self) -> Result<(Actor, ChildStdin)> {
        let mut command = self.command("produce");
        command
            .args(["--report", "--delivery-timeout", DELIVERY_TIMEOUT])
            .stdin(Stdio::piped());
        let (actor, stdin) = self.start(Who::Producer, command, "producer.log").await?;
        Ok((actor, stdin.context("the producer has no stdin")?))
    }

    /// Keeps the logs, and says where they are.
    pub(super) fn keep_logs(self) -> PathBuf {
        self.logs.keep()
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args([name, "--zookeeper", &self.zookeeper, "--topic", TOPIC])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A terminal's Ctrl-C is for the demo, which ends them in order.
            .process_group(0)
            .kill_on_drop(true);
        // The user's own settings are for other clusters.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_setting(name)) {
            command.env_remove(name);
        }
        command
    }

    async fn start(
        &self,
        who: Who,
        mut command: Command,
        log: &str,
    ) -> Result<(Actor, Option<ChildStdin>)> {
        let mut child = command
            .spawn()
            .with_context(|| format!("{} cannot be started", self.program.display()))?;
        let pid = child.id().context("a process ended at once")?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("a process has no stdout")?;
        let stderr = child.stderr.take().context("a process has no stderr")?;
        let log = create(&self.logs.path().join(log)).await?;
        let readers = [
            tokio::spawn(listen_to_stdout(who, stdout, self.told.clone())),
            tokio::spawn(listen_to_stderr(who, stderr, log, self.told.clone())),
        ];
        let (orders, received) = mpsc::channel(1);
        tokio::spawn(attend(who, child, readers, received, self.told.clone()));
        Ok((Actor { pid, orders }, stdin))
    }
}

impl Actor {
    /// Sends a signal, and says when that was; `None` where the process had ended.
    pub(super) async fn signal(&self, signal: Signal) -> Option<Instant> {
        let (sent, when) = oneshot::channel();
        self.orders.send((signal, sent)).await.ok()?;
        when.await.ok()
    }
}

fn is_setting(name: &OsString) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("DIVVY_"))
}

async fn create(path: &Path) -> Result<File> {
    let created = File::create(path).await;
    created.with_context(|| format!("{} cannot be written", path.display()))
}

/// Carries out orders until the process has ended, and tells of its end when everything that it wrote was heard.
async fn attend(
    who: Who,
    mut child: Child,
    readers: [JoinHandle<()>; 2],
    mut orders: mpsc::Receiver<(Signal, oneshot::Sender<Instant>)>,
    told: mpsc::Sender<Told>,
) {
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            Some((signal, sent)) = orders.recv() => {
                // Nobody but this task waits for it, so that its number is its own still.
                let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
                if pid.is_some_and(|pid| kill_process(pid, signal).is_ok()) {
                    // Who ordered it may not want to know.
                    let _ = sent.send(Instant::now());
                }
            }
        }
    };
    drop(orders);
    for reader in readers {
        // A reader that failed has nothing more to tell.
        let _ = reader.await;
    }
    let (success, how) = match status {
        Ok(status) => (status.success(), how(status)),
        Err(error) => (false, error.to_string()),
    };
    let ended = Heard::Ended { success, how };
    // Where nobody listens the demo is over.
    let _ = told.send((Instant::now(), who, ended)).await;
}

fn how(status: ExitStatus) -> String {
    status.to_string()
}

async fn listen_to_stdout(who: Who, stdout: impl AsyncRead + Unpin, told: mpsc::Sender<Told>) {
    let mut lines = Lines::new(stdout);
    while let Some(line) = lines.next().await {
        let heard = heard::on_stdout(who, &line);
        if told.send((Instant::now(), who, heard)).await.is_err() {
            return;
        }
    }
}

async fn listen_to_stderr(
    who: Who,
    stderr: impl AsyncRead + Unpin,
    mut log: File,
    told: mpsc::Sender<Told>,
) {
    let mut lines = Lines::new(stderr);
    while let Some(line) = lines.next().await {
        // A full disk is no reason to end the demo.
        let _ = log.write_all(format!("{line}\n").as_bytes()).await;
        if let Some(heard) = heard::on_stderr(&line)
            && told.send((Instant::now(), who, heard)).await.is_err()
        {
            return;
        }
    }
    let _ = log.flush().await;
}

/// The whole lines of a pipe. What a process that was killed had begun to write is none.
struct Lines<R> {
    pipe: BufReader<R>,
    line: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(pipe: R) -> Self {
        Self {
            pipe: BufReader::new(pipe),
            line: Vec::new(),
        }
    }

    async fn next(&mut self) -> Option<String> {
        self.line.clear();
        self.pipe.read_until(b'\n', &mut self.line).await.ok()?;
        let line = self.line.strip_suffix(b"\n")?;
        Some(String::from_utf8_lossy(line).into_owned())
    }
}

/// Writes numbers from 1 to `most` at a steady rate, until `enough` is dropped or there are no more.
pub(super) async fn feed(
    mut stdin: ChildStdin,
    rate: u32,
    most: usize,
    mut enough: oneshot::Receiver<()>,
) {
    /// How often: small enough that the rate looks steady.
    const PAUSE: Duration = Duration::from_millis(10);
    let began = Instant::now();
    let mut pause = tokio::time::interval(PAUSE);
    let mut written = 0;
    while written < most {
        tokio::select! {
            biased;
            _ = &mut enough => return,
            _ = pause.tick() => {}
        }
        let due = (began.elapsed().as_secs_f64() * f64::from(rate)) as usize;
        // After a pause of the machine it does not make up for all of it at once.
        let due = due.min(written + rate as usize / 10 + 1).min(most);
        let lines: String = (written..due)
            .map(|number| format!("{}\n", number + 1))
            .collect();
        written = due;
        if stdin.write_all(lines.as_bytes()).await.is_err() {
            // The producer has ended, which is told by its end.
            return;
        }
    }
    // Its end is the end of the time, and not of the numbers.
    let _ = enough.await;
}
