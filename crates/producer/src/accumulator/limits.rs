use std::time::Duration;

use crate::config::ProducerConfig;

/// The settings that matter here; see [`ProducerConfig`].
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) batch_size: usize,
    pub(super) batch_messages: u32,
    pub(super) linger: Duration,
    pub(super) max_request_size: usize,
    pub(super) max_in_flight: usize,
    pub(super) connections_per_broker: usize,
    pub(super) delivery_timeout: Duration,
    pub(super) max_retries: Option<u32>,
    pub(super) retry_backoff: Duration,
    pub(super) retry_backoff_max: Duration,
}

impl Limits {
    pub(super) fn new(config: &ProducerConfig) -> Self {
        Self {
            batch_size: config.batch_size.min(config.max_request_size),
            batch_messages: config.batch_messages,
            linger: config.linger,
            max_request_size: config.max_request_size,
            max_in_flight: config.max_in_flight,
            connections_per_broker: config.connections_per_broker,
            delivery_timeout: config.delivery_timeout,
            max_retries: config.max_retries,
            retry_backoff: config.retry_backoff,
            retry_backoff_max: config.retry_backoff_max,
        }
    }
}
