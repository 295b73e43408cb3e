//! What the backend does on the client's runtime: finding out what the brokers speak, and telling the thread of room.

use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;

use divvy_client::Client;

use super::poller::{Command, Shared};
use crate::cluster::Cluster;

/// Runs until it is aborted.
pub(super) async fn run(client: Client, shared: Shared, commands: Sender<Command>) {
    let cluster = Cluster::find(&client).await;
    tracing::debug!(?cluster, "librdkafka fetches");
    // It fails only if the thread has ended.
    let _ = commands.send(Command::Cluster(cluster));
    shared.waker.wake();
    loop {
        // Watched from before the look, so that nothing is missed in between.
        let demand = shared.prefetch.demand().notified();
        tokio::pin!(demand);
        demand.as_mut().enable();
        if shared.starved.load(Ordering::Relaxed) {
            shared.waker.wake();
        }
        demand.await;
    }
}
