use divvy_client::{ClientConfig, Error, FetchConfig};

use super::super::sizes::Sizes;
use super::{Cluster, RdkafkaConfig};

fn with(properties: &[(&str, &str)]) -> RdkafkaConfig {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    RdkafkaConfig {
        properties: properties.iter().map(own).collect(),
        ..RdkafkaConfig::default()
    }
}

fn refusal(config: &RdkafkaConfig) -> String {
    config.validate().unwrap_err().to_string()
}

#[test]
fn what_would_break_a_promise_is_refused_by_name() {
    for name in [
        "group.id",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "auto.offset.reset",
        "broker.version.fallback",
        "api.version.request",
        "queued.max.messages.kbytes",
        "fetch.message.max.bytes",
        "max.partition.fetch.bytes",
        "statistics.interval.ms",
        "rebalance_cb",
    ] {
        let why = refusal(&with(&[("socket.nagle.disable", "true"), (name, "1")]));
        assert!(why.contains(name), "{why}");
        assert!(why.contains("rdkafka_properties"), "{why}");
    }
}

#[test]
fn librdkafka_says_what_it_does_not_take() {
    let why = refusal(&with(&[("no.such.thing", "1")]));
    assert!(why.contains("No such configuration property"), "{why}");
    let why = refusal(&with(&[("broker.address.family", "v5")]));
    assert!(why.contains("broker.address.family=v5"), "{why}");
    with(&[("broker.address.family", "v4")]).validate().unwrap();
}

#[test]
fn a_field_that_cannot_be_honoured_is_an_error() {
    let config = RdkafkaConfig {
        fetch: FetchConfig {
            fetch_connections: 4,
            ..FetchConfig::default()
        },
        ..RdkafkaConfig::default()
    };
    let error = config.validate().unwrap_err();
    assert!(
        matches!(error, Error::Config { field, .. } if field == "fetch_connections"),
        "{error}"
    );
}

/// Whatever can be configured, librdkafka takes it.
#[test]
fn librdkafka_takes_every_setting() {
    let client = ClientConfig::bootstrap(["127.0.0.1:9092"]);
    for legacy in [None, Some("0.8.2.2"), Some("0.9.0.1")] {
        let cluster = Cluster {
            servers: "127.0.0.1:9092".to_owned(),
            legacy,
        };
        for (budget, fetch_message_max_bytes) in
            [(64 << 10, 512), (64 << 20, 1 << 20), (1 << 40, 1 << 30)]
        {
            let sizes = Sizes::new(budget, fetch_message_max_bytes, 8, 1);
            let settings = with(&[]).settings(&client, &cluster, &sizes).unwrap();
            crate::bare::Consumer::new(settings).unwrap();
        }
    }
}
