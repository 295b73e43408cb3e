use std::sync::Arc;

use super::error::Result;
use super::runtime::Runtime;
use crate::{ClientConfig, Metadata};

/// A cluster, and the thread on which everything runs that goes on between calls.
///
/// Cheap to clone. What is made from clones shares connections, metadata and the thread, which ends when the last of all these is
/// dropped.
#[derive(Clone, Debug)]
pub struct Client {
    inner: crate::Client,
    runtime: Runtime,
}

impl Client {
    /// Connects to a cluster, as [`divvy::Client::connect`](crate::Client::connect).
    pub fn connect(config: ClientConfig) -> Result<Self> {
        let runtime = Runtime::start()?;
        let inner = runtime.run(crate::Client::connect(config))?;
        Ok(Self { inner, runtime })
    }

    /// What is known of the cluster now.
    pub fn metadata(&self) -> Arc<Metadata> {
        self.inner.metadata()
    }

    /// Asks for the metadata again.
    pub fn refresh(&self) -> Result<()> {
        self.runtime.run(self.inner.refresh())
    }

    /// Every topic of the cluster with its partitions, asked for now.
    pub fn list_topics(&self) -> Result<Metadata> {
        self.runtime.run(self.inner.list_topics())
    }

    /// The async client, for whatever has no blocking form. Its futures are waited for with [`Client::wait`].
    pub fn as_async(&self) -> &crate::Client {
        &self.inner
    }

    /// Waits for any future, with the client's runtime around it: a [`Spout`](crate::Spout)'s messages, say.
    ///
    /// # Errors
    ///
    /// [`Error::InsideRuntime`](super::Error::InsideRuntime).
    pub fn wait<F: Future>(&self, future: F) -> Result<F::Output> {
        self.runtime.wait(future)
    }

    pub(super) fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}
