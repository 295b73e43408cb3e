use std::time::Duration;

use divvy_client::ClientConfig;
use divvy_protocol::compression::Compression;

use crate::bare::Producer;
use crate::cluster::Cluster;
use crate::producer::RdkafkaProducerConfig;

fn config() -> RdkafkaProducerConfig {
    RdkafkaProducerConfig {
        acks: -1,
        compression: Compression::None,
        max_request_size: 1_000_012,
        max_in_flight: 5,
        request_timeout: Duration::from_secs(30),
        retry_backoff: Duration::from_millis(100),
        retry_backoff_max: Duration::from_secs(1),
        properties: Vec::new(),
    }
}

fn refused(config: &RdkafkaProducerConfig) -> String {
    config.validate().unwrap_err().to_string()
}

fn with(name: &str, value: &str) -> RdkafkaProducerConfig {
    RdkafkaProducerConfig {
        properties: vec![(name.to_owned(), value.to_owned())],
        ..config()
    }
}

#[test]
fn what_would_break_a_promise_is_refused_by_its_name() {
    for name in [
        "message.send.max.retries",
        "retries",
        "enable.idempotence",
        "transactional.id",
        "linger.ms",
        "batch.size",
        "queue.buffering.max.ms",
        "queuing.strategy",
        "acks",
        "request.required.acks",
        "message.timeout.ms",
        "delivery.report.only.error",
        "dr_msg_cb",
        "api.version.request",
        "bootstrap.servers",
    ] {
        let why = refused(&with(name, "1"));
        assert!(why.contains(&format!("{name} cannot be set")), "{why}");
    }
}

#[test]
fn what_librdkafka_does_not_take_is_refused_with_its_text() {
    let why = refused(&with("no.such.property", "1"));
    assert!(why.contains("No such configuration property"), "{why}");
    let why = refused(&with("socket.max.fails", "-3"));
    assert!(why.contains("socket.max.fails=-3"), "{why}");
}

#[test]
fn what_librdkafka_takes_is_taken() {
    with("socket.keepalive.enable", "true").validate().unwrap();
    with("compression.level", "3").validate().unwrap();
}

#[test]
fn what_cannot_be_honoured_is_refused() {
    let mut large = config();
    large.max_request_size = 1 << 30;
    assert!(refused(&large).contains("max_request_size"));
    let mut long = config();
    long.request_timeout = Duration::from_secs(301);
    assert!(refused(&long).contains("request_timeout"));
}

#[test]
fn librdkafka_takes_the_settings_at_every_border() {
    let cluster = |legacy| Cluster {
        servers: "127.0.0.1:1".to_owned(),
        legacy,
    };
    let mut least = config();
    least.max_request_size = 512;
    least.max_in_flight = 1;
    least.request_timeout = Duration::from_millis(1);
    let mut most = config();
    most.max_request_size = RdkafkaProducerConfig::LARGEST_REQUEST;
    most.max_in_flight = 1000;
    most.request_timeout = RdkafkaProducerConfig::LONGEST_REQUEST;
    most.retry_backoff = Duration::from_secs(3600);
    most.retry_backoff_max = Duration::from_secs(3600);
    let client = ClientConfig::bootstrap(["127.0.0.1:1"]);
    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        for (config, legacy) in [
            (&least, Some("0.8.2.2")),
            (&most, Some("0.9.0.1")),
            (&most, None),
        ] {
            let mut config = config.clone();
            config.compression = compression.parse().unwrap();
            config.validate().unwrap();
            let settings = config.settings(&client, &cluster(legacy)).unwrap();
            Producer::new(settings, legacy.is_none()).unwrap();
        }
    }
}
