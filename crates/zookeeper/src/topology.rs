use std::future::Future;

use futures_util::{StreamExt, TryStreamExt, stream};
use tracing::warn;

use crate::documents::{Broker, Topic, TopicAssignment, topic_config_json};
use crate::error::Result;
use crate::paths;
use crate::session::{Children, CreatePersistent, Node, Session};

/// How many nodes are asked for at a time where each child of a node is read.
const READS_AT_ONCE: usize = 64;

/// What Kafka's brokers keep in ZooKeeper.
impl Session {
    /// The registered brokers, by id. Registrations that cannot be read are left out and warned of.
    pub async fn brokers(&self) -> Result<Vec<Broker>> {
        self.brokers_of(self.children(paths::BROKER_IDS).await?)
            .await
    }

    /// [`Session::brokers`] with a watch on [`paths::BROKER_IDS`] for brokers that come and go.
    pub async fn brokers_watched(&self) -> Result<Vec<Broker>> {
        self.brokers_of(self.children_watched(paths::BROKER_IDS).await?)
            .await
    }

    async fn brokers_of(&self, ids: Option<Children>) -> Result<Vec<Broker>> {
        let ids = ids.map(|ids| ids.names).unwrap_or_default();
        let registered = self
            .get_each(ids, |name| format!("{}/{name}", paths::BROKER_IDS))
            .await?;
        let mut brokers: Vec<Broker> = registered
            .into_iter()
            .filter_map(|(name, node)| parse_broker(&name, &node.data))
            .collect();
        brokers.sort_by_key(|broker| broker.id);
        Ok(brokers)
    }

    /// The names of the topics, sorted.
    pub async fn topics(&self) -> Result<Vec<String>> {
        let topics = self.children(paths::TOPICS).await?;
        Ok(topics.map(|topics| topics.names).unwrap_or_default())
    }

    /// [`Session::topics`] with a watch on [`paths::TOPICS`] for topics that come and go.
    pub async fn topics_watched(&self) -> Result<Vec<String>> {
        let topics = self.children_watched(paths::TOPICS).await?;
        Ok(topics.map(|topics| topics.names).unwrap_or_default())
    }

    /// A topic's partitions; `None` where there is no such topic.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::Error::Malformed), and those of every operation.
    pub async fn topic(&self, topic: &str) -> Result<Option<Topic>> {
        paths::validate_topic(topic)?;
        parse_topic(topic, self.get(&paths::topic(topic)).await?)
    }

    /// [`Session::topic`] with a watch on [`paths::topic`] for its creation, deletion and new partitions.
    ///
    /// # Errors
    /// Those of [`Session::topic`].
    pub async fn topic_watched(&self, topic: &str) -> Result<Option<Topic>> {
        paths::validate_topic(topic)?;
        parse_topic(topic, self.get_watched(&paths::topic(topic)).await?)
    }

    /// Asks the cluster's controller to create a topic, by writing what Kafka's tools write. That it was created here does not
    /// mean that the partitions have leaders yet.
    ///
    /// # Errors
    /// Those of [`Session::create_persistent`].
    pub async fn create_topic(
        &self,
        topic: &str,
        assignment: &TopicAssignment,
    ) -> Result<CreatePersistent> {
        paths::validate_topic(topic)?;
        // The settings first, because the controller acts on the topic's node.
        self.create_persistent(&paths::topic_config(topic), topic_config_json().as_bytes())
            .await?;
        self.create_persistent(&paths::topic(topic), assignment.to_json().as_bytes())
            .await
    }

    /// Asks the cluster's controller to delete a topic, by writing what Kafka's tools write. Brokers do so in their own time, and
    /// not at all where their `delete.topic.enable` is false. A topic that is marked already stays so.
    ///
    /// # Errors
    /// Those of [`Session::create_persistent`].
    pub async fn delete_topic(&self, topic: &str) -> Result<CreatePersistent> {
        paths::validate_topic(topic)?;
        self.create_persistent(&paths::deleted_topic(topic), b"")
            .await
    }

    /// Reads many nodes, several at a time; the result is in the order of the names and lacks those that do not exist. `path`
    /// makes the node's path from a name.
    pub async fn get_each(
        &self,
        names: Vec<String>,
        path: impl Fn(&str) -> String,
    ) -> Result<Vec<(String, Node)>> {
        let reads = names.into_iter().map(|name| {
            let path = path(&name);
            self.get_named(name, path)
        });
        let nodes: Vec<Option<(String, Node)>> = stream::iter(reads)
            .buffered(READS_AT_ONCE)
            .try_collect()
            .await?;
        Ok(nodes.into_iter().flatten().collect())
    }

    fn get_named(
        &self,
        name: String,
        path: String,
    ) -> impl Future<Output = Result<Option<(String, Node)>>> + Send {
        let session = self.clone();
        async move { Ok(session.get(&path).await?.map(|node| (name, node))) }
    }
}

fn parse_broker(name: &str, data: &[u8]) -> Option<Broker> {
    let id = match name.parse() {
        Ok(id) => id,
        Err(_) => {
            warn!("{}/{name} is no broker's id; left out", paths::BROKER_IDS);
            return None;
        }
    };
    match Broker::parse(id, data) {
        Ok(broker) => Some(broker),
        Err(error) => {
            warn!(
                "{} cannot be read and is left out: {error}",
                paths::broker_id(id)
            );
            None
        }
    }
}

fn parse_topic(topic: &str, node: Option<Node>) -> Result<Option<Topic>> {
    node.map(|node| Topic::parse(topic, &node.data))
        .transpose()
        .map_err(|malformed| malformed.at(paths::topic(topic)))
}
