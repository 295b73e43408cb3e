use std::sync::Arc;

use divvy_client::{Backend, Client, NativeBackend};

use crate::config::ConsumerConfig;
use crate::error::{Error, Result};

/// The backend that a configuration asks for, on a client's cluster.
///
/// # Errors
///
/// A configuration error: see [`ConsumerConfig::use_rdkafka`].
pub fn backend(client: &Client, config: &ConsumerConfig) -> Result<Arc<dyn Backend>> {
    config.validate()?;
    if config.use_rdkafka {
        if !client.config().map_brokers.is_empty() {
            let why = "librdkafka connects to the addresses that brokers name, and to no others; read with the native backend";
            return Err(Error::config("map_brokers", why));
        }
        return rdkafka(client, config);
    }
    Ok(Arc::new(NativeBackend::new(client, config.fetch.clone())?))
}

#[cfg(feature = "rdkafka")]
fn rdkafka(client: &Client, config: &ConsumerConfig) -> Result<Arc<dyn Backend>> {
    use divvy_rdkafka_backend::{RdkafkaBackend, RdkafkaConfig};

    let config = RdkafkaConfig {
        fetch: config.fetch.clone(),
        check_crcs: config.check_crcs,
        properties: config.rdkafka_properties.clone(),
    };
    Ok(Arc::new(RdkafkaBackend::new(client, config)?))
}

#[cfg(not(feature = "rdkafka"))]
fn rdkafka(_: &Client, _: &ConsumerConfig) -> Result<Arc<dyn Backend>> {
    Err(Error::config(
        "use_rdkafka",
        "this build has no librdkafka; turn on the feature `rdkafka`, or build the program with `cargo build --release -p divvy-cli --features rdkafka`",
    ))
}
