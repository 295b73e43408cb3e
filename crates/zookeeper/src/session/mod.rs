use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::Config;
use crate::ensemble::{Attached, Ensemble, Identity};
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::paths;
use crate::secret::Secret;
use crate::thread::Thread;

#[cfg(test)]
mod tests;

mod call;
mod changes;
mod connection;
mod link;
mod operations;
mod outcome;
mod supervisor;
mod waited;
mod watched;
mod watches;

pub use changes::{Change, ChangeKind, Changes};
pub use link::State;
pub use operations::MAX_SET_MANY;
pub use outcome::{
    Children, Create, CreatePersistent, Delete, DeleteChecked, Node, Set, SetData, SetMany,
};

use link::{End, Link};
use supervisor::Supervisor;
use waited::Waited;
use watches::Watches;

/// One ZooKeeper session.
///
/// Cheap to clone; all clones are the same session. It reconnects by itself for as long as the servers keep the session, and
/// ends when they have expired it or when it is closed; then every operation fails with [`Error::SessionExpired`] or
/// [`Error::SessionClosed`], for good. [`ZooKeeper::session`](crate::ZooKeeper::session) gives the next one.
///
/// # Operations
/// Each has the deadline [`Config::request_timeout`](crate::Config::request_timeout). Without a connection it waits for one
/// within that time. Reads are repeated when the connection is lost meanwhile; writes are not, unless their description says
/// so: they fail with [`Error::ConnectionLoss`], and the node must be read to learn what became of them.
/// All may fail with [`Error::Timeout`], [`Error::NoAuth`], [`Error::InvalidPath`] and as described above.
///
/// Dropping the future of an operation is safe; a write may be carried out all the same.
///
/// # End
/// When the last clone and the [`ZooKeeper`](crate::ZooKeeper) handle are dropped the session is closed in the background. Use
/// [`Session::close`] to know when its ephemeral nodes are gone.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    id: i64,
    password: Secret,
    servers: Vec<String>,
    config: Arc<Config>,
    shared: Arc<Shared>,
    /// Keeps the thread for as long as somebody has the session.
    _thread: Arc<Thread>,
}

/// What the session has in common with the task that serves it on its thread.
struct Shared {
    chroot: Option<String>,
    lease: Lease,
    /// In nanoseconds.
    timeout: AtomicU64,
    link: Waited<Link>,
    states: watch::Sender<State>,
    watches: Watches,
}

/// What it takes to act for a session, such as closing it for a process that has died: a bearer token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The session's id.
    pub id: i64,
    /// Its password.
    pub password: Secret,
    /// The servers, each `host:port`.
    pub servers: Vec<String>,
    /// The session timeout that the servers chose.
    pub timeout: Duration,
}

/// For which part of the session timeout the lease runs.
pub(crate) fn fraction(wanted: Duration, chosen: Duration) -> f64 {
    match wanted == chosen {
        true => Lease::FRACTION,
        false => Lease::CAUTIOUS_FRACTION,
    }
}

impl Session {
    /// Takes over a connection with a new session. Called on the session's thread.
    pub(crate) fn start(
        attached: Attached,
        ensemble: Ensemble,
        lease: Lease,
        thread: Arc<Thread>,
    ) -> Self {
        let (id, password, timeout) = (attached.id, attached.password.clone(), attached.timeout);
        let chroot = ensemble.connect.chroot.clone();
        let shared = Arc::new(Shared::new(chroot, lease, timeout));
        if let Some(helper) = &ensemble.helper {
            helper.hold(Credentials {
                id,
                password: password.clone(),
                servers: ensemble.connect.servers.clone(),
                timeout,
            });
        }
        let inner = Inner {
            id,
            password: password.clone(),
            servers: ensemble.connect.servers.clone(),
            config: ensemble.config.clone(),
            shared: shared.clone(),
            _thread: thread.clone(),
        };
        let supervisor = Supervisor {
            shared,
            ensemble,
            identity: Identity {
                id,
                password,
                last_zxid: 0,
            },
            timeout,
        };
        let running = supervisor.run(attached, thread.busy());
        thread.executor().spawn(Box::pin(running));
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The session's id, which is the `ephemeral_owner` of its ephemeral nodes.
    pub fn id(&self) -> i64 {
        self.inner.id
    }

    /// The session timeout that the servers chose.
    pub fn timeout(&self) -> Duration {
        let nanos = self.inner.shared.timeout.load(Ordering::Acquire);
        Duration::from_nanos(nanos)
    }

    /// The delivery lease: how long what this session holds is certainly nobody else's.
    pub fn lease(&self) -> &Lease {
        &self.inner.shared.lease
    }

    /// What it takes to act for this session. Whoever gets hold of it can end the session: pass it on to nobody but a process of
    /// one's own, and never by its arguments or environment.
    pub fn credentials(&self) -> Credentials {
        Credentials {
            id: self.id(),
            password: self.inner.password.clone(),
            servers: self.inner.servers.clone(),
            timeout: self.timeout(),
        }
    }

    /// The state now.
    pub fn state(&self) -> State {
        *self.inner.shared.states.borrow()
    }

    /// The state as it changes. Intermediate states may be skipped; [`State::Expired`] and [`State::Closed`] are final.
    pub fn states(&self) -> watch::Receiver<State> {
        self.inner.shared.states.subscribe()
    }

    /// Whether the servers have expired the session.
    pub fn is_expired(&self) -> bool {
        self.state() == State::Expired
    }

    /// Whether the session has expired, has been closed or is being closed, so that a new one is needed.
    pub fn is_over(&self) -> bool {
        self.inner.shared.is_over()
    }

    /// Waits until the servers have expired the session; for ever, if it is closed instead.
    pub async fn expired(&self) {
        let mut states = self.states();
        if states
            .wait_for(|state| *state == State::Expired)
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
    }

    /// The changes that the watches of this session report from now on, whoever set them.
    pub fn subscribe(&self) -> Changes {
        self.inner.shared.watches.subscribe(self.states())
    }

    /// Closes the session and waits until the servers have confirmed it, so that its ephemeral nodes are gone. Operations under
    /// way fail with [`Error::SessionClosed`]. Does nothing for a session that is over.
    ///
    /// # Errors
    /// [`Error::Timeout`] where no server confirmed it within
    /// [`Config::request_timeout`](crate::Config::request_timeout): the ephemeral nodes stay until the session times out.
    pub async fn close(&self) -> Result<()> {
        self.inner.shared.end(End::Closed);
        let mut states = self.states();
        let over = states.wait_for(|state| state.is_final());
        match timeout(self.config().request_timeout, over).await {
            Ok(_) if !self.inner.shared.is_unconfirmed() => Ok(()),
            _ => Err(Error::Timeout {
                operation: "the request to close",
                path: format!("session 0x{:x}", self.id()),
                after: self.config().request_timeout,
            }),
        }
    }
}

impl Session {
    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.inner.config
    }

    fn absolute(&self, path: &str) -> String {
        self.inner.shared.absolute(path)
    }
}

impl Shared {
    /// Of a session that a server has just opened: connected, although requests wait until the connection is served.
    fn new(chroot: Option<String>, lease: Lease, timeout: Duration) -> Self {
        lease.set_connected(true);
        let shared = Self {
            watches: Watches::new(chroot.clone()),
            chroot,
            lease,
            timeout: AtomicU64::new(0),
            link: Waited::new(Link::Down),
            states: watch::Sender::new(State::Connected),
        };
        shared.set_timeout(timeout);
        shared
    }

    fn set_timeout(&self, timeout: Duration) {
        let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        self.timeout.store(nanos, Ordering::Release);
    }

    /// A path from the root of the tree on.
    fn absolute(&self, path: &str) -> String {
        paths::absolute(self.chroot.as_deref(), path)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &format_args!("{:#x}", self.inner.id))
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.end(End::Closed);
    }
}
