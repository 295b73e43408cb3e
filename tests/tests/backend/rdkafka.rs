//! The backend over librdkafka, on a real broker of 0.8.2.2 and on the embedded cluster.

use std::sync::Arc;

use anyhow::Result;
use divvy::{Client, FetchConfig, RdkafkaBackend, RdkafkaConfig};
use divvy_tests::{Cluster, KafkaVersion, unique};

use crate::native::Native;
use crate::promises::BUDGET;

pub(crate) fn backend(client: &Client) -> Result<Arc<RdkafkaBackend>> {
    let config = RdkafkaConfig {
        fetch: FetchConfig {
            max_queued_bytes: BUDGET,
            ..FetchConfig::default()
        },
        check_crcs: true,
        properties: Vec::new(),
    };
    Ok(Arc::new(RdkafkaBackend::new(client, config)?))
}

async fn rdkafka(version: KafkaVersion) -> Result<Native> {
    let cluster = Cluster::shared(version)?;
    let topic = unique("promises");
    cluster.create_topic(&topic, 4, 1)?;
    Native::over(cluster, &topic, |client| Ok(backend(client)?)).await
}

mod embedded {
    use divvy_tests::KafkaVersion::Embedded0_8_2;

    use super::rdkafka;
    use crate::promises::keeps_all;

    keeps_all!(rdkafka(Embedded0_8_2));
}

mod kafka_0_8_2_2 {
    use divvy_tests::KafkaVersion::V0_8_2_2;

    use super::rdkafka;
    use crate::promises::keeps_all;

    keeps_all!(rdkafka(V0_8_2_2));
}
