use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for SIGTERM or SIGINT, which both ask to end in order.
pub(crate) async fn asked_to_end() -> anyhow::Result<()> {
    Asked::listen()?.again().await;
    Ok(())
}

/// SIGTERM and SIGINT, of which none is missed from now on.
#[derive(Debug)]
pub(crate) struct Asked {
    term: Signal,
    int: Signal,
}

impl Asked {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn again(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
