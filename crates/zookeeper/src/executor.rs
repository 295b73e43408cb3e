//! Where tasks run.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};

/// Where background tasks run: on a tokio runtime, as it is or under a [`Host`].
#[derive(Clone, Debug)]
pub struct Executor {
    handle: Handle,
    host: Option<Arc<dyn Host>>,
}

/// Decides when the tasks of an [`Executor`] go on, so that a simulation can hold a whole member as the system holds a process
/// that was stopped, and end it as the system ends one that was killed.
pub trait Host: Debug + Send + Sync {
    /// Whether a task may be polled now. Where it may not, it is to be woken when it may.
    fn may_run(&self, waker: &Waker) -> bool;

    /// A task has begun.
    fn spawned(&self, task: AbortHandle);
}

impl Executor {
    /// Runs tasks on a runtime under a host.
    pub fn hosted(handle: Handle, host: Arc<dyn Host>) -> Self {
        Self {
            handle,
            host: Some(host),
        }
    }

    /// The runtime.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs a task in the background.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let Some(host) = &self.host else {
            return self.handle.spawn(task);
        };
        let hosted = Hosted {
            host: Arc::clone(host),
            task: Box::pin(task),
        };
        let running = self.handle.spawn(hosted);
        host.spawned(running.abort_handle());
        running
    }
}

impl From<Handle> for Executor {
    fn from(handle: Handle) -> Self {
        Self { handle, host: None }
    }
}

struct Hosted<F> {
    host: Arc<dyn Host>,
    task: Pin<Box<F>>,
}

impl<F: Future> Future for Hosted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.host.may_run(context.waker()) {
            self.task.as_mut().poll(context)
        } else {
            Poll::Pending
        }
    }
}
