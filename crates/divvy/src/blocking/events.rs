use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::error::Result;
use super::runtime::Runtime;
use crate::Event;

/// The events of a consumer, for a thread of its own: an iterator that ends with the consumer. Who falls behind by more than 1024
/// events misses the oldest.
#[derive(Debug)]
pub struct Events {
    inner: Receiver<Event>,
    runtime: Runtime,
}

impl Events {
    pub(super) fn new(inner: Receiver<Event>, runtime: Runtime) -> Self {
        Self { inner, runtime }
    }

    /// Waits for an event at most this long; `None` when none came, or the consumer is gone.
    pub fn next_timeout(&mut self, wait: Duration) -> Result<Option<Event>> {
        let event = self
            .runtime
            .wait(async { timeout(wait, next(&mut self.inner)).await })?;
        Ok(event.ok().flatten())
    }
}

impl Iterator for Events {
    type Item = Event;

    /// Waits for the next event. Ends within a tokio runtime, where nothing can be waited for.
    fn next(&mut self) -> Option<Event> {
        self.runtime.wait(next(&mut self.inner)).ok()?
    }
}

async fn next(events: &mut Receiver<Event>) -> Option<Event> {
    loop {
        match events.recv().await {
            Ok(event) => return Some(event),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}
