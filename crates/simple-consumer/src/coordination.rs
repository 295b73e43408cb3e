use std::sync::Arc;

use async_trait::async_trait;

use crate::engine::Engine;
use crate::error::Result;

/// Who decides which partitions a consumer owns.
///
/// A coordination calls [`Engine::assign`], [`Engine::stop`], [`Engine::commit_finished`] and [`Engine::remove`], from tasks of
/// its own; it never waits for the application to ask for messages.
#[async_trait]
pub trait Coordination: Send {
    /// Begins to assign partitions. Returns when the consumer may be used, or with why it never can be.
    async fn start(&mut self, engine: &Arc<Engine>) -> Result<()>;

    /// Whether all that this consumer is to own now is assigned, and nothing is on its way to it or from it. Says nothing about
    /// what others will leave it later.
    fn is_settled(&self) -> bool {
        true
    }

    /// Gives everything up in order: what is finished is committed (where the configuration says so) and ownership is released.
    /// Called once, when nothing is handed out any more.
    async fn close(&mut self, engine: &Arc<Engine>) -> Result<()>;
}
