//! The backend in pure Rust, on a real broker of 0.8.2.2 and on the embedded cluster.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use divvy::{
    Backend, Client, ClientConfig, FetchConfig, NativeBackend, Producer, ProducerConfig,
    ProducerRecord,
};
use divvy_tests::{Cluster, KafkaVersion, unique};

use crate::promises::BUDGET;
use crate::stage::Stage;

pub(crate) struct Native {
    topic: String,
    producer: Producer,
    backend: Arc<dyn Backend>,
}

impl Native {
    /// A stage on a topic of a cluster.
    pub(crate) async fn of(cluster: &Cluster, topic: &str) -> Result<Self> {
        let config = FetchConfig {
            max_queued_bytes: BUDGET,
            ..FetchConfig::default()
        };
        Self::over(cluster, topic, |client| {
            Ok(Arc::new(NativeBackend::new(client, config)?))
        })
        .await
    }

    /// A stage over another backend that is made on a client.
    pub(crate) async fn over(
        cluster: &Cluster,
        topic: &str,
        backend: impl FnOnce(&Client) -> Result<Arc<dyn Backend>>,
    ) -> Result<Self> {
        let client = Client::connect(ClientConfig::bootstrap([cluster.bootstrap()])).await?;
        // Messages of their own, so that positions lie between what is stored together and within it.
        let config = ProducerConfig {
            linger: Duration::from_millis(2),
            ..ProducerConfig::default()
        };
        let producer = Producer::new(&client, config)?;
        let backend = backend(&client)?;
        backend.partitions(topic).await?;
        Ok(Native {
            topic: topic.to_owned(),
            producer,
            backend,
        })
    }
}

/// A stage on a topic of its own.
pub(crate) async fn native(version: KafkaVersion) -> Result<Native> {
    let cluster = Cluster::shared(version)?;
    let topic = unique("promises");
    cluster.create_topic(&topic, 4, 1)?;
    Native::of(cluster, &topic).await
}

#[async_trait]
impl Stage for Native {
    fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    fn topic(&self) -> &str {
        &self.topic
    }

    async fn append(&self, partition: i32, values: Vec<Vec<u8>>) -> Result<()> {
        let mut deliveries = Vec::new();
        for value in values {
            let record = ProducerRecord {
                partition: Some(partition),
                ..ProducerRecord::new(self.topic.as_str(), value)
            };
            deliveries.push(self.producer.send(record).await?);
        }
        for delivery in deliveries {
            delivery.await?;
        }
        Ok(())
    }
}

mod embedded {
    use divvy_tests::KafkaVersion::Embedded0_8_2;

    use super::native;
    use crate::promises::keeps_all;

    keeps_all!(native(Embedded0_8_2));
}

mod kafka_0_8_2_2 {
    use divvy_tests::KafkaVersion::V0_8_2_2;

    use super::native;
    use crate::promises::keeps_all;

    keeps_all!(native(V0_8_2_2));
}
