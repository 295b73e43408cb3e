//! Child processes whose output is kept, line by line, with the time of its arrival.

use std::borrow::Cow;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

use crate::{wait_some, warden};

/// How often it is seen that there is nothing to read, in nanoseconds.
const REST: i64 = 5_000_000;

/// A child that dies with this process at the latest, and with this value if not before.
#[derive(Debug)]
pub(crate) struct GuardedChild {
    name: String,
    child: Child,
    status: Option<ExitStatus>,
}

impl GuardedChild {
    pub(crate) fn spawn(name: &str, command: &mut Command) -> Result<GuardedChild> {
        Ok(GuardedChild {
            name: name.to_owned(),
            child: warden::spawn(command)?,
            status: None,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn try_wait(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            // The only error is a child that somebody else reaped, and nobody else does.
            self.status = self.child.try_wait().ok().flatten();
            if self.status.is_some() {
                warden::forget(self.child.id());
            }
        }
        self.status
    }

    pub(crate) fn signal(&mut self, signal: Signal) -> Result<()> {
        // A child that was not reaped still has its number, so the signal cannot reach anybody else.
        if let Some(status) = self.try_wait() {
            bail!(
                "{} has ended ({status}) and cannot be sent {signal:?}",
                self.name
            );
        }
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("a pid that is none")?;
        kill_process(pid, signal)
            .with_context(|| format!("cannot send {signal:?} to {}", self.name))
    }

    pub(crate) fn kill(&mut self) -> Option<ExitStatus> {
        if self.try_wait().is_none() {
            // It may have ended in between, which is just as well.
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
            warden::forget(self.child.id());
        }
        self.status
    }
}

impl Drop for GuardedChild {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A running program. Its stdout and stderr are read all the time, and it is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    child: Mutex<GuardedChild>,
    stdin: Mutex<Option<ChildStdin>>,
    stdout: Captured,
    stderr: Captured,
}

impl Process {
    /// Starts `command`. `name` is how errors call it.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn spawn(name: &str, command: &mut Command) -> Result<Process> {
        Self::spawn_holding(name, command, false)
    }

    /// Starts `command`; with `hold` its stdout is not read until [`Captured::release`].
    pub(crate) fn spawn_holding(name: &str, command: &mut Command, hold: bool) -> Result<Process> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut guarded = GuardedChild::spawn(name, command)?;
        let child = &mut guarded.child;
        let stdout = Captured::start(child.stdout.take().context("no pipe for stdout")?, hold);
        let stderr = Captured::start(child.stderr.take().context("no pipe for stderr")?, false);
        let stdin = Mutex::new(child.stdin.take());
        Ok(Process {
            name: name.to_owned(),
            pid: guarded.pid(),
            child: Mutex::new(guarded),
            stdin,
            stdout,
            stderr,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it has written to stdout.
    pub fn stdout(&self) -> &Captured {
        &self.stdout
    }

    /// What it has written to stderr.
    pub fn stderr(&self) -> &Captured {
        &self.stderr
    }

    /// Writes to its stdin. Blocks while the program reads nothing and the pipe is full.
    ///
    /// # Errors
    ///
    /// When its stdin is closed, here or there.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        let mut stdin = lock(&self.stdin);
        let pipe = stdin
            .as_mut()
            .with_context(|| format!("stdin of {} is closed", self.name))?;
        pipe.write_all(bytes)
            .with_context(|| format!("{} has closed its stdin", self.name))
    }

    /// Ends its stdin.
    pub fn close_stdin(&self) {
        *lock(&self.stdin) = None;
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        lock(&self.child).signal(signal)
    }

    /// Asks it to end, as a supervisor would (SIGTERM).
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn term(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Kills it (SIGKILL) and waits for its end.
    pub fn kill(&self) {
        lock(&self.child).kill();
    }

    /// Whether it has not ended yet.
    pub fn is_running(&self) -> bool {
        lock(&self.child).try_wait().is_none()
    }

    /// Waits until it has ended, and everything that it wrote was read.
    ///
    /// # Errors
    ///
    /// When it is still running after `within`; the error shows the end of its stderr.
    pub fn wait(&self, within: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + within;
        let status = wait_some(within, "the process to end", || {
            lock(&self.child).try_wait()
        })
        .with_context(|| {
            format!(
                "{} is still running; its stderr ends with:\n{}",
                self.name,
                self.stderr.tail(20)
            )
        })?;
        // A grandchild that inherited the pipe may hold it open; that is the test's business, not a failure here.
        let rest = deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_secs(1));
        let _ = wait_some(rest, "the end of its output", || {
            (self.stdout.is_settled() && self.stderr.is_settled()).then_some(())
        });
        Ok(status)
    }

    /// As [`wait`](Process::wait), and demands that it ended with exit code 0.
    ///
    /// # Errors
    ///
    /// Also when it ended otherwise; the error shows the end of its stderr and stdout.
    pub fn wait_success(&self, within: Duration) -> Result<()> {
        let status = self.wait(within)?;
        if !status.success() {
            bail!(
                "{} ended with {status}\n{}\n{}",
                self.name,
                self.stderr.tail(20),
                self.stdout.tail(20)
            );
        }
        Ok(())
    }
}

/// One line of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When its last byte was read.
    pub at: Instant,
    /// When there was nothing left to read before it: it was written after that. On a machine that is busy, a line may be read
    /// long after it was written.
    pub since: Instant,
    /// Its bytes, without the line feed.
    pub bytes: Vec<u8>,
}

impl Line {
    /// The line as text; what is no UTF-8 becomes U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

/// The output of a process so far.
#[derive(Clone, Debug)]
pub struct Captured {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    released: Condvar,
    /// There is one more line, or the end.
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<Line>,
    partial: Vec<u8>,
    held: bool,
    ended: bool,
}

impl Captured {
    fn start(pipe: impl Read + AsFd + Send + 'static, held: bool) -> Captured {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                held,
                ..State::default()
            }),
            ..Shared::default()
        });
        let reader = Arc::clone(&shared);
        thread::spawn(move || reader.read(BufReader::new(pipe)));
        Captured { shared }
    }

    /// Every whole line so far.
    pub fn lines(&self) -> Vec<Line> {
        self.since(0)
    }

    /// The whole lines from the `first`th on.
    pub fn since(&self, first: usize) -> Vec<Line> {
        lock(&self.shared.state)
            .lines
            .get(first..)
            .unwrap_or_default()
            .to_vec()
    }

    /// Waits for the `nth` line, from 0, without a poll's rest: for conversations. None when the output ends before.
    ///
    /// # Errors
    ///
    /// When there is neither within `within`.
    pub fn line(&self, nth: usize, within: Duration) -> Result<Option<Line>> {
        let state = lock(&self.shared.state);
        let waited = self
            .shared
            .arrived
            .wait_timeout_while(state, within, |state| {
                state.lines.len() <= nth && !state.ended
            });
        let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            bail!("waited {within:?} in vain for line {nth}");
        }
        Ok(state.lines.get(nth).cloned())
    }

    /// Every whole line so far, as text.
    pub fn texts(&self) -> Vec<String> {
        lock(&self.shared.state)
            .lines
            .iter()
            .map(|line| line.text().into_owned())
            .collect()
    }

    /// How many whole lines there are so far.
    pub fn len(&self) -> usize {
        lock(&self.shared.state).lines.len()
    }

    /// Whether there is no whole line yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What came after the last line feed, once the output has ended. It belongs to no line.
    pub fn partial(&self) -> Vec<u8> {
        lock(&self.shared.state).partial.clone()
    }

    /// The last `count` lines, for error messages.
    pub fn tail(&self, count: usize) -> String {
        let lines = self.texts();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// Reads no further, as a reader that is stuck: soon the pipe is full, and the process blocks when it writes.
    ///
    /// What was read already, or is being read just now, still becomes lines.
    pub fn hold(&self) {
        lock(&self.shared.state).held = true;
    }

    /// Reads on after [`hold`](Captured::hold).
    pub fn release(&self) {
        lock(&self.shared.state).held = false;
        self.shared.released.notify_all();
    }

    /// Waits for a line that `wanted` accepts, and returns the first one, which may be there already.
    ///
    /// # Errors
    ///
    /// When there is none within `within`; the error names `what`, and shows the last lines.
    pub fn wait_for(
        &self,
        within: Duration,
        what: &str,
        mut wanted: impl FnMut(&str) -> bool,
    ) -> Result<Line> {
        let mut seen = 0;
        wait_some(within, what, || {
            let fresh = self.since(seen);
            seen += fresh.len();
            fresh.into_iter().find(|line| wanted(&line.text()))
        })
        .with_context(|| format!("the output ends with:\n{}", self.tail(20)))
    }

    /// Whether nothing more is to come: the output has ended, or is held.
    fn is_settled(&self) -> bool {
        let state = lock(&self.shared.state);
        state.ended || state.held
    }
}

impl Shared {
    fn read(&self, mut pipe: BufReader<impl Read + AsFd>) {
        let mut since = Instant::now();
        loop {
            drop(
                self.released
                    .wait_while(lock(&self.state), |state| state.held),
            );
            if pipe.buffer().is_empty() {
                wait_for_more(pipe.get_ref(), &mut since);
            }
            let mut bytes = Vec::new();
            // An error ends the output just as its end does: there is no line feed.
            let _ = pipe.read_until(b'\n', &mut bytes);
            let at = Instant::now();
            let mut state = lock(&self.state);
            self.arrived.notify_all();
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
                state.lines.push(Line { at, since, bytes });
            } else {
                state.partial = bytes;
                state.ended = true;
                return;
            }
        }
    }
}

/// Waits until there is something to read, or the end. `since` is when there was nothing for the last time.
fn wait_for_more(pipe: &impl AsFd, since: &mut Instant) {
    let mut rest = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    loop {
        let looked = Instant::now();
        let mut pipes = [PollFd::new(pipe, PollFlags::IN)];
        match poll(&mut pipes, Some(&rest)) {
            // It was still empty when the rest was over.
            Ok(0) => *since = looked,
            _ => return,
        }
        rest.tv_nsec = REST;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
