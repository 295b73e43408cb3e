use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use zookeeper_client::Client;

use crate::config::Acl;
use crate::error::{Error, Result};
use crate::thread::Thread;

#[cfg(test)]
mod tests;

mod call;
mod changes;
mod link;
mod operations;
mod outcome;
mod supervisor;
mod watched;

pub use changes::{Change, ChangeKind, Changes};
pub use link::State;
pub use operations::MAX_SET_MANY;
pub use outcome::{Children, Create, CreatePersistent, Delete, Node, Set, SetData, SetMany};

pub(crate) use supervisor::Reattach;

use link::{End, Link};
use watched::Watches;

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
    timeout: Duration,
    request_timeout: Duration,
    acl: Acl,
    shared: Arc<Shared>,
    thread: Arc<Thread>,
}

/// What the session has in common with the tasks that serve it on its thread.
struct Shared {
    link: watch::Sender<Link>,
    states: watch::Sender<State>,
    watches: Watches,
}

impl Session {
    /// Takes over a connected client. Called on the session's thread.
    pub(crate) fn start(
        client: Client,
        reattach: Reattach,
        request_timeout: Duration,
        acl: Acl,
        thread: Arc<Thread>,
    ) -> Self {
        let (info, timeout) = (client.session().clone(), client.session_timeout());
        let id = info.id().0;
        let shared = Arc::new(Shared {
            link: watch::Sender::new(Link::Down(None)),
            states: watch::Sender::new(State::Disconnected),
            watches: Watches::new(),
        });
        let states = shared.attach(client);
        let supervisor =
            supervisor::supervise(shared.clone(), states, info, reattach, thread.busy());
        thread.handle().spawn(Box::pin(supervisor));
        Self {
            inner: Arc::new(Inner {
                id,
                timeout,
                request_timeout,
                acl,
                shared,
                thread,
            }),
        }
    }

    /// The session's id, which is the `ephemeral_owner` of its ephemeral nodes.
    pub fn id(&self) -> i64 {
        self.inner.id
    }

    /// The session timeout that the servers chose.
    pub fn timeout(&self) -> Duration {
        self.inner.timeout
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
        match timeout(self.inner.request_timeout, over).await {
            Ok(_) if !self.inner.shared.is_unconfirmed() => Ok(()),
            _ => Err(Error::Timeout {
                operation: "the request to close",
                path: format!("session 0x{:x}", self.id()),
                after: self.inner.request_timeout,
            }),
        }
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
