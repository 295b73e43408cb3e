use std::time::Duration;

use divvy_client::{ClientConfig, Error};
use divvy_protocol::compression::Compression;

use crate::bare;
use crate::cluster::Cluster;

/// How librdkafka sends. There are no defaults: all of it follows from the producer's configuration.
#[derive(Clone, Debug)]
pub struct RdkafkaProducerConfig {
    /// Who must have a record: 0 for nobody, 1 for the leader, -1 for every replica in sync. librdkafka: `acks`.
    pub acks: i16,
    /// The codec of batches. librdkafka: `compression.codec`.
    pub compression: Compression,
    /// The largest batch, in bytes before compression, at most [`RdkafkaProducerConfig::LARGEST_REQUEST`]. librdkafka:
    /// `message.max.bytes`.
    pub max_request_size: usize,
    /// How many requests are on their way to one broker at a time. librdkafka: `max.in.flight.requests.per.connection`.
    pub max_in_flight: usize,
    /// How long a batch is librdkafka's, with finding the leader and connecting to it, at most
    /// [`RdkafkaProducerConfig::LONGEST_REQUEST`]. librdkafka: `message.timeout.ms`, `socket.timeout.ms`; nine tenths of it are left
    /// to the replicas, `request.timeout.ms`.
    pub request_timeout: Duration,
    /// The first pause before what a broker did not take is sent again. librdkafka: `retry.backoff.ms`.
    pub retry_backoff: Duration,
    /// The longest such pause. librdkafka: `retry.backoff.max.ms`.
    pub retry_backoff_max: Duration,
    /// Further properties of librdkafka, by its names. Those that would break what a producer promises are refused.
    pub properties: Vec<(String, String)>,
}

/// Properties that are refused, by how their names begin, each with the reason.
const REFUSED: &[(&str, &str)] = &[
    ("api.version.", VERSIONS),
    ("broker.version.", VERSIONS),
    ("bootstrap.servers", CLIENT),
    ("metadata.broker.list", CLIENT),
    ("client.id", CLIENT),
    ("security.protocol", CLIENT),
    ("socket.connection.setup.timeout.ms", CLIENT),
    ("reconnect.backoff.", CLIENT),
    ("receive.message.max.bytes", CLIENT),
    ("topic.metadata.refresh.interval.ms", CLIENT),
    ("socket.timeout.ms", FIELD),
    ("request.timeout.ms", FIELD),
    ("message.timeout.ms", FIELD),
    ("delivery.timeout.ms", FIELD),
    ("acks", FIELD),
    ("request.required.acks", FIELD),
    ("compression.codec", FIELD),
    ("compression.type", FIELD),
    ("message.max.bytes", FIELD),
    ("max.in.flight", FIELD),
    ("retry.backoff.", FIELD),
    ("linger.ms", BATCHES),
    ("batch.", BATCHES),
    ("queue.buffering.", BATCHES),
    ("sticky.partitioning.", BATCHES),
    ("partitioner", BATCHES),
    ("msg_order_cmp", ORDER),
    ("queuing.strategy", ORDER),
    ("message.send.max.retries", RETRIES),
    ("retries", RETRIES),
    ("enable.idempotence", IDEMPOTENT),
    ("enable.gapless.guarantee", IDEMPOTENT),
    ("transaction", IDEMPOTENT),
    (
        "delivery.report.",
        "every record's delivery has to be reported",
    ),
    (
        "statistics.interval.ms",
        "nobody would take the statistics out of their queue",
    ),
    (
        "enabled_events",
        "nobody would take the events out of their queue",
    ),
    ("log.queue", "nobody would take the log out of its queue"),
    ("plugin.", "it loads code"),
];

const VERSIONS: &str =
    "it follows from the brokers' versions, which are found out without disturbing old brokers";
const CLIENT: &str = "it follows from the client's configuration";
const FIELD: &str = "it follows from the producer's configuration";
const BATCHES: &str = "the producer makes the batches, and librdkafka sends them as they are";
const ORDER: &str = "records are stored in the order in which they were sent";
const RETRIES: &str = "the producer sends again itself, in order and until the delivery timeout";
const IDEMPOTENT: &str = "the producer is not idempotent, whatever carries its batches";

/// What a request takes beside its batch: the names of topic and client, and numbers.
const AROUND_A_BATCH: usize = 64 << 10;

impl RdkafkaProducerConfig {
    /// The largest batch that librdkafka sends as one request.
    pub const LARGEST_REQUEST: usize = 1_000_000_000 - AROUND_A_BATCH;
    /// The longest time that librdkafka waits for an answer.
    pub const LONGEST_REQUEST: Duration = Duration::from_secs(300);

    /// Checks every field, and whether librdkafka takes the further properties. Says which one is wrong, and why.
    ///
    /// # Errors
    ///
    /// A configuration error that names the field.
    pub fn validate(&self) -> Result<(), Error> {
        if self.max_request_size > Self::LARGEST_REQUEST {
            let why = format!("is more than librdkafka's {} bytes", Self::LARGEST_REQUEST);
            return Err(Error::config("max_request_size", why));
        }
        if self.request_timeout > Self::LONGEST_REQUEST {
            let why = format!("is longer than librdkafka's {:?}", Self::LONGEST_REQUEST);
            return Err(Error::config("request_timeout", why));
        }
        let mut probe = bare::Config::new();
        for (name, value) in &self.properties {
            if let Some(why) = refusal(name) {
                let why = format!("{name} cannot be set: {why}");
                return Err(Error::config("rdkafka_properties", why));
            }
            probe
                .set(name, value)
                .map_err(|error| Error::config("rdkafka_properties", error.to_string()))?;
        }
        // Some properties contradict each other; librdkafka says so when it is made. It has no broker, and so does nothing.
        if !self.properties.is_empty() {
            bare::Producer::new(probe, false)
                .map_err(|error| Error::config("rdkafka_properties", error.to_string()))?;
        }
        Ok(())
    }

    /// The settings of a client of librdkafka.
    pub(super) fn settings(
        &self,
        client: &ClientConfig,
        cluster: &Cluster,
    ) -> Result<bare::Config, bare::Error> {
        let mut config = bare::Config::new();
        for (name, value) in &self.properties {
            config.set(name, value)?;
        }
        let of_the_client = of_the_client(client, cluster);
        for (name, value) in of_the_client.into_iter().chain(self.of_the_producer()) {
            config.set(name, &value)?;
        }
        Ok(config)
    }

    fn of_the_producer(&self) -> Vec<(&'static str, String)> {
        let replicas = self.request_timeout.mul_f64(0.9);
        let largest = self.max_request_size.min(Self::LARGEST_REQUEST);
        vec![
            ("acks", self.acks.to_string()),
            ("compression.codec", self.compression.to_string()),
            ("socket.timeout.ms", ms(self.request_timeout, 10, 300_000)),
            ("message.timeout.ms", ms(self.request_timeout, 1, 300_000)),
            ("request.timeout.ms", ms(replicas, 1, 900_000)),
            ("retry.backoff.ms", ms(self.retry_backoff, 1, 300_000)),
            (
                "retry.backoff.max.ms",
                ms(self.retry_backoff_max, 1, 300_000),
            ),
            (
                "max.in.flight.requests.per.connection",
                self.max_in_flight.to_string(),
            ),
            ("message.send.max.retries", 0.to_string()),
            ("message.max.bytes", (largest + AROUND_A_BATCH).to_string()),
            // A batch that is handed over goes at once, and as a whole.
            ("linger.ms", 0.to_string()),
            ("batch.size", i32::MAX.to_string()),
            ("batch.num.messages", 1_000_000.to_string()),
            // The producer's budget bounds what is handed over.
            ("queue.buffering.max.messages", 0.to_string()),
            ("queue.buffering.max.kbytes", i32::MAX.to_string()),
        ]
    }
}

fn of_the_client(client: &ClientConfig, cluster: &Cluster) -> Vec<(&'static str, String)> {
    let most = client.max_response_bytes.clamp(1000, 1_000_000_000);
    let mut settings = vec![
        ("bootstrap.servers", cluster.servers.clone()),
        ("client.id", client.client_id.clone()),
        (
            "socket.connection.setup.timeout.ms",
            ms(client.connect_timeout, 1000, 2_147_483_647),
        ),
        ("reconnect.backoff.ms", ms(client.backoff, 0, 3_600_000)),
        (
            "reconnect.backoff.max.ms",
            ms(client.backoff_max, 0, 3_600_000),
        ),
        (
            "topic.metadata.refresh.interval.ms",
            ms(client.metadata_max_age, 10, 3_600_000),
        ),
        ("receive.message.max.bytes", most.to_string()),
        ("api.version.request", cluster.legacy.is_none().to_string()),
    ];
    if let Some(line) = cluster.legacy {
        settings.push(("broker.version.fallback", line.to_owned()));
    }
    settings
}

/// Why a property must not be set.
fn refusal(name: &str) -> Option<&'static str> {
    let listed = REFUSED.iter().find(|(start, _)| name.starts_with(start));
    match listed {
        Some((_, why)) => Some(why),
        None if name.ends_with("_cb") || name.ends_with("opaque") => {
            Some("nothing of librdkafka's is called back")
        }
        None => None,
    }
}

fn ms(duration: Duration, least: u128, most: u128) -> String {
    duration.as_millis().clamp(least, most).to_string()
}
