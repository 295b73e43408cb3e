use std::sync::Arc;

use tokio::runtime::{Builder, Handle};

use super::error::{Error, Result};

/// The thread on which everything runs that goes on between calls. It ends with the last clone.
#[derive(Clone, Debug)]
pub(super) struct Runtime {
    handle: Handle,
    _owned: Arc<Owned>,
}

#[derive(Debug)]
struct Owned(Option<tokio::runtime::Runtime>);

impl Drop for Owned {
    fn drop(&mut self) {
        // Waiting for its tasks is forbidden in some places where the last clone may be dropped, and nobody needs them any more.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Runtime {
    pub(super) fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("divvy-blocking")
            .enable_all()
            .build()
            .map_err(|error| Error::Runtime(Arc::new(error)))?;
        Ok(Self {
            handle: runtime.handle().clone(),
            _owned: Arc::new(Owned(Some(runtime))),
        })
    }

    /// Waits for something on the calling thread.
    pub(super) fn wait<F: Future>(&self, future: F) -> Result<F::Output> {
        // What blocks a runtime's thread keeps its other tasks from running, and tokio would panic.
        if Handle::try_current().is_ok() {
            return Err(Error::InsideRuntime);
        }
        Ok(self.handle.block_on(future))
    }

    /// Waits for something that may fail.
    pub(super) fn run<T, E>(&self, future: impl Future<Output = Result<T, E>>) -> Result<T>
    where
        Error: From<E>,
    {
        Ok(self.wait(future)??)
    }
}
