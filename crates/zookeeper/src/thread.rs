use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::executor::Executor;

/// The thread on which sessions run, or somebody else's runtime in its place.
///
/// It lives as long as a handle or a session refers to it, and then until the servers have confirmed that the sessions are
/// closed, so that dropping everything frees the ephemeral nodes too.
pub(crate) struct Thread {
    executor: Executor,
    open: watch::Sender<usize>,
    _alive: Option<oneshot::Sender<()>>,
}

/// Keeps the thread for as long as a session has work to do on it.
pub(crate) struct Busy(watch::Sender<usize>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open = open.saturating_sub(1));
    }
}

impl Thread {
    /// Starts the thread. Once nothing refers to it, it waits at most `grace` for sessions to end.
    pub(crate) fn start(grace: Duration) -> io::Result<Arc<Self>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let executor = runtime.handle().clone().into();
        let (alive, dead) = oneshot::channel::<()>();
        let (open, mut sessions) = watch::channel(0_usize);
        std::thread::Builder::new()
            .name("divvy-zookeeper".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    // Nothing is ever sent: the sender is dropped with the last reference.
                    let _ = dead.await;
                    let _ = timeout(grace, sessions.wait_for(|open| *open == 0)).await;
                });
            })?;
        Ok(Arc::new(Self {
            executor,
            open,
            _alive: Some(alive),
        }))
    }

    /// Has sessions run on a runtime that somebody else drives.
    pub(crate) fn on(executor: Executor) -> Arc<Self> {
        Arc::new(Self {
            executor,
            open: watch::channel(0).0,
            _alive: None,
        })
    }

    pub(crate) fn executor(&self) -> &Executor {
        &self.executor
    }

    pub(crate) fn busy(&self) -> Busy {
        self.open.send_modify(|open| *open += 1);
        Busy(self.open.clone())
    }
}
