use super::Session;
use super::outcome::{Children, Node};
use crate::error::Result;
use crate::stat::Stat;

/// Watched reads.
///
/// Each leaves a one-shot watch on the node, also where the node does not exist (its creation is reported then); a node that is
/// watched already still has one watch. The change that ends a watch goes to everybody who has subscribed with
/// [`Session::subscribe`]; subscribe before the first watched read, so that nothing falls in between. Watches survive lost
/// connections, however long they last: what changed meanwhile is reported with the next one.
impl Session {
    /// [`Session::get`] with a watch for the node's creation, deletion and data.
    pub async fn get_watched(&self, path: &str) -> Result<Option<Node>> {
        let operation = self.operation("get and watch", path)?;
        loop {
            if let Some(node) = self.read_node(&operation, true).await? {
                return Ok(Some(node));
            }
            // A server keeps no watch with the answer that there is no node to get.
            if self.read_stat(&operation, true).await?.is_none() {
                return Ok(None);
            }
        }
    }

    /// [`Session::children`] with a watch for the node's deletion and its children, or for its creation where it is missing.
    pub async fn children_watched(&self, path: &str) -> Result<Option<Children>> {
        let operation = self.operation("list and watch", path)?;
        loop {
            if let Some(children) = self.read_children(&operation, true).await? {
                return Ok(Some(children));
            }
            if self.read_stat(&operation, true).await?.is_none() {
                return Ok(None);
            }
        }
    }

    /// [`Session::exists`] with a watch for the node's creation, deletion and data.
    pub async fn exists_watched(&self, path: &str) -> Result<Option<Stat>> {
        let operation = self.operation("look at and watch", path)?;
        self.read_stat(&operation, true).await
    }
}
