use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tracing::{debug, warn};

use super::message::Message;
use super::{ARGUMENT, CrashRelease};
use crate::session::Credentials;

/// The helper as its parent sees it. Dropping it says goodbye, after which it does nothing.
#[derive(Debug)]
pub(crate) struct Helper {
    /// None once it is known to be gone.
    pipe: Mutex<Option<ChildStdin>>,
}

impl Helper {
    /// Starts it, if it is wanted and can be.
    pub(crate) fn start(wanted: &CrashRelease) -> Option<Self> {
        let CrashRelease::Program(program) = wanted else {
            return None;
        };
        match spawn(program) {
            Ok(pipe) => Some(Self {
                pipe: Mutex::new(Some(pipe)),
            }),
            Err(error) => {
                warn!(
                    "cannot start the crash release helper {}: {error}; if this process dies its partitions are free only \
                     when its session has timed out",
                    program.display()
                );
                None
            }
        }
    }

    /// Tells it of a session, before anybody has it. What is written reaches it even if this process dies at once.
    pub(crate) fn hold(&self, credentials: Credentials) {
        self.tell(&Message::Hold(credentials));
    }

    /// Tells it that a session is over.
    pub(crate) fn forget(&self, session: i64) {
        self.tell(&Message::Forget(session));
    }

    fn tell(&self, message: &Message) {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = pipe.as_mut() else {
            return;
        };
        let told = message.encode().map_err(io::Error::other);
        if let Err(error) = told.and_then(|bytes| writer.write_all(&bytes)) {
            warn!("the crash release helper cannot be told of sessions any more: {error}");
            *pipe = None;
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.tell(&Message::Goodbye);
    }
}

/// Starts the process, and a thread that waits for its end, so that it is never left as a zombie.
fn spawn(program: &Path) -> io::Result<ChildStdin> {
    let mut child = Command::new(program)
        .arg(ARGUMENT)
        .arg(std::process::id().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // What a terminal or a shell sends to the parent's group is not for it.
        .process_group(0)
        .spawn()?;
    let pipe = take_pipe(&mut child);
    let reaper = thread::Builder::new()
        .name("divvy-helper".to_owned())
        .stack_size(256 * 1024)
        .spawn(move || match child.wait() {
            Ok(status) => debug!("the crash release helper has ended: {status}"),
            Err(error) => debug!("cannot wait for the crash release helper: {error}"),
        });
    // Without a thread to wait for it, it ends with the end of the pipe.
    reaper?;
    pipe
}

/// The way to the helper. A helper that does not read must not hold up the sessions' thread.
fn take_pipe(child: &mut Child) -> io::Result<ChildStdin> {
    let pipe = child.stdin.take();
    let pipe = pipe.ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
    fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?;
    Ok(pipe)
}
