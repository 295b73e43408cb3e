use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGTERM or SIGINT, which both ask to end in order.
pub(crate) async fn asked_to_end() -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}
