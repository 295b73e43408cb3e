use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use bytes::BytesMut;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, getppid, pidfd_open, set_dumpable_behavior,
};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::ARGUMENT;
use super::closing::close;
use super::message::Message;
use crate::session::Credentials;

/// How long sessions may take to be closed, after the parent's end.
const CLOSING: Duration = Duration::from_millis(800);
/// How long after its parent's end the pipe may still be open, which it is only in a child of the parent's that inherited it.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// How often to look whether the parent is there, where the system cannot tell of its end.
const LOOK: Duration = Duration::from_millis(50);

/// Turns this process into the helper, if it was started as one, and never returns then. Otherwise it does nothing.
///
/// Call it first thing in `main`, before threads, runtimes and the parsing of arguments.
pub fn run_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != ARGUMENT) {
        return;
    }
    let parent = arguments.next().and_then(|id| id.to_str()?.parse().ok());
    let ran = parent.and_then(Pid::from_raw).map(run);
    // Nobody reads what it could say.
    std::process::exit(match ran {
        Some(Ok(())) => 0,
        Some(Err(_)) => 1,
        None => 2,
    });
}

fn run(parent: Pid) -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // So that no file system is held.
    std::env::set_current_dir("/")?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let sessions = runtime.block_on(async {
        for kind in [
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::hangup(),
        ] {
            // It stays caught, though nobody listens.
            drop(signal(kind)?);
        }
        Box::pin(watch(parent)).await
    })?;
    runtime.block_on(Box::pin(close_all(sessions)));
    // Not to wait for names that are still being resolved.
    runtime.shutdown_background();
    Ok(())
}

/// Waits until the parent is gone, and gives the sessions that it has left.
async fn watch(parent: Pid) -> io::Result<Vec<Credentials>> {
    let mut listener = Listener {
        pipe: pipe::Receiver::from_owned_fd(rustix::io::dup(io::stdin())?)?,
        buffer: BytesMut::new(),
        sessions: BTreeMap::new(),
        ended: false,
    };
    let mut exit = std::pin::pin!(exited(parent));
    tokio::select! {
        biased;
        gone = &mut exit => gone?,
        heard = listener.listen() => match heard? {
            End::Goodbye => return Ok(Vec::new()),
            // The kernel closes a process's files before it is gone. Where the parent has only lost the pipe it may live on.
            End::Closed => exit.await?,
        },
    }
    if !listener.ended {
        match timeout(LAST_WORDS, listener.listen()).await {
            Ok(Ok(End::Closed)) => {}
            _ => return Ok(Vec::new()),
        }
    }
    Ok(listener.sessions.into_values().collect())
}

/// Takes in what the parent says.
struct Listener {
    pipe: pipe::Receiver,
    buffer: BytesMut,
    sessions: BTreeMap<i64, Credentials>,
    ended: bool,
}

enum End {
    Goodbye,
    Closed,
}

impl Listener {
    /// Listens to the end. Dropping the future loses nothing.
    async fn listen(&mut self) -> io::Result<End> {
        loop {
            while let Some(message) = Message::decode(&mut self.buffer).map_err(io::Error::other)? {
                match message {
                    Message::Hold(credentials) => {
                        self.sessions.insert(credentials.id, credentials);
                    }
                    Message::Forget(id) => {
                        self.sessions.remove(&id);
                    }
                    Message::Goodbye => return Ok(End::Goodbye),
                }
            }
            if self.pipe.read_buf(&mut self.buffer).await? == 0 {
                self.ended = true;
                return Ok(End::Closed);
            }
        }
    }
}

/// Waits until the parent is gone. It may be gone already, and its process id another's: then this process has another parent.
async fn exited(parent: Pid) -> io::Result<()> {
    let handle = pidfd_open(parent, PidfdFlags::empty());
    if getppid() != Some(parent) {
        return Ok(());
    }
    if let Ok(handle) = handle
        && let Some(exit) = await_exit(handle)
        && exit.await.is_ok()
    {
        return Ok(());
    }
    while getppid() == Some(parent) {
        sleep(LOOK).await;
    }
    Ok(())
}

/// Waits for the end of a process on a thread of its own, and answers once it has come; an error says that it cannot be known.
fn await_exit(process: OwnedFd) -> Option<oneshot::Receiver<()>> {
    let (gone, exit) = oneshot::channel();
    let waiting = thread::Builder::new().spawn(move || {
        let mut ready = [PollFd::new(&process, PollFlags::IN)];
        loop {
            match poll(&mut ready, None) {
                Ok(_) => return gone.send(()),
                Err(Errno::INTR) => {}
                Err(_) => return Ok(()),
            }
        }
    });
    waiting.ok().map(|_| exit)
}

async fn close_all(sessions: Vec<Credentials>) {
    let deadline = Instant::now() + CLOSING;
    let mut closing = JoinSet::new();
    for credentials in sessions {
        closing.spawn(close(credentials));
    }
    // What is not closed by then times out.
    let _ = timeout_at(deadline, closing.join_all()).await;
}
