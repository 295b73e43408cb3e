//! What a backend is told, and what librdkafka is told of it.

use std::time::Duration;

use divvy_client::{ClientConfig, Error, FetchConfig, IsolationLevel};

use super::sizes::Sizes;
use crate::bare;
use crate::cluster::Cluster;

/// How librdkafka fetches.
#[derive(Clone, Debug, Default)]
pub struct RdkafkaConfig {
    /// As of the native backend. [`FetchConfig::fetch_connections`] cannot be honoured, because librdkafka has one connection to
    /// each broker: it must be left at its default. [`FetchConfig::fetch_wait_max`] counts as 100 ms at most, because a partition
    /// that is started, or has room again, waits until the broker has answered for the others.
    pub fetch: FetchConfig,
    /// Whether checksums are verified. librdkafka: `check.crcs`. Default: false, as librdkafka's; consumers set it.
    pub check_crcs: bool,
    /// Further properties of librdkafka, by its names. Those that would break what a backend promises are refused. Default: none.
    pub properties: Vec<(String, String)>,
}

/// How long a broker may hold its answer back, whatever is allowed: librdkafka has one request on its way to each, and what is
/// started meanwhile waits for its answer.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Properties that are refused, by how their names begin, each with the reason.
const REFUSED: &[(&str, &str)] = &[
    ("group.", GROUP),
    ("session.timeout.ms", GROUP),
    ("heartbeat.interval.ms", GROUP),
    ("max.poll.interval.ms", GROUP),
    ("coordinator.", GROUP),
    ("partition.assignment.strategy", GROUP),
    ("enable.auto.", OFFSETS),
    ("auto.commit.", OFFSETS),
    ("offset.store.", OFFSETS),
    ("offsets.", OFFSETS),
    ("auto.offset.reset", "auto_offset_reset decides that"),
    ("api.version.", VERSIONS),
    ("broker.version.", VERSIONS),
    ("bootstrap.servers", CLIENT),
    ("metadata.broker.list", CLIENT),
    ("client.id", CLIENT),
    ("security.protocol", CLIENT),
    ("socket.timeout.ms", CLIENT),
    ("socket.connection.setup.timeout.ms", CLIENT),
    ("reconnect.backoff.", CLIENT),
    ("receive.message.max.bytes", CLIENT),
    ("topic.metadata.refresh.interval.ms", CLIENT),
    ("queued.", BUDGET),
    ("fetch.message.max.bytes", BUDGET),
    ("max.partition.fetch.bytes", BUDGET),
    ("fetch.max.bytes", BUDGET),
    ("message.max.bytes", BUDGET),
    ("fetch.min.bytes", FIELD),
    ("fetch.wait.max.ms", FIELD),
    ("isolation.level", FIELD),
    ("check.crcs", "check_crcs decides that"),
    (
        "enable.partition.eof",
        "the end of a log has to be said, or the position stops before it",
    ),
    (
        "allow.auto.create.topics",
        "reading a topic must not create it",
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

const GROUP: &str = "groups meet in ZooKeeper, and librdkafka knows of none";
const OFFSETS: &str = "offsets are stored when messages are finished, and not by librdkafka";
const VERSIONS: &str =
    "it follows from the brokers' versions, which are found out without disturbing old brokers";
const CLIENT: &str = "it follows from the client's configuration";
const BUDGET: &str = "it follows from max_queued_bytes and the number of partitions";
const FIELD: &str = "it follows from the configuration of fetching";

impl RdkafkaConfig {
    /// Checks every field, and whether librdkafka takes the further properties. Says which one is wrong, and why.
    pub fn validate(&self) -> Result<(), Error> {
        self.fetch.validate()?;
        let usual = FetchConfig::default().fetch_connections;
        if self.fetch.fetch_connections != usual {
            let why = format!(
                "librdkafka fetches over one connection to each broker: leave it at {usual}, or use the native backend"
            );
            return Err(Error::config("fetch_connections", why));
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
            bare::Consumer::new(probe)
                .map_err(|error| Error::config("rdkafka_properties", error.to_string()))?;
        }
        Ok(())
    }

    /// The settings of a client of librdkafka.
    pub(super) fn settings(
        &self,
        client: &ClientConfig,
        cluster: &Cluster,
        sizes: &Sizes,
    ) -> Result<bare::Config, bare::Error> {
        let mut config = bare::Config::new();
        for (name, value) in &self.properties {
            config.set(name, value)?;
        }
        for (name, value) in self.of_the_backend(client, cluster, sizes) {
            config.set(name, &value)?;
        }
        Ok(config)
    }

    fn of_the_backend(
        &self,
        client: &ClientConfig,
        cluster: &Cluster,
        sizes: &Sizes,
    ) -> Vec<(&'static str, String)> {
        let fetch = &self.fetch;
        let read_committed = fetch.isolation_level == IsolationLevel::ReadCommitted;
        let isolation = match read_committed {
            true => "read_committed",
            false => "read_uncommitted",
        };
        let most = client.max_response_bytes.min(1_000_000_000);
        let mut settings = vec![
            ("bootstrap.servers", cluster.servers.clone()),
            ("client.id", client.client_id.clone()),
            ("socket.timeout.ms", ms(client.request_timeout, 10, 300_000)),
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
            ("message.max.bytes", 1000.to_string()),
            (
                "fetch.max.bytes",
                sizes.answer.clamp(1000, most - 512).to_string(),
            ),
            ("fetch.message.max.bytes", sizes.fetch.to_string()),
            ("queued.max.messages.kbytes", sizes.queue_kib().to_string()),
            ("queued.min.messages", 10_000_000.to_string()),
            ("fetch.queue.backoff.ms", 2.to_string()),
            ("fetch.error.backoff.ms", ms(client.backoff, 0, 300_000)),
            ("fetch.min.bytes", fetch.fetch_min_bytes.max(1).to_string()),
            (
                "fetch.wait.max.ms",
                ms(fetch.fetch_wait_max.min(LONGEST_WAIT), 0, 300_000),
            ),
            ("isolation.level", isolation.to_owned()),
            ("check.crcs", self.check_crcs.to_string()),
            ("auto.offset.reset", "error".to_owned()),
            ("enable.partition.eof", true.to_string()),
            ("enable.auto.commit", false.to_string()),
            ("enable.auto.offset.store", false.to_string()),
            ("allow.auto.create.topics", false.to_string()),
            ("enabled_events", 0.to_string()),
            ("api.version.request", cluster.legacy.is_none().to_string()),
        ];
        if let Some(line) = cluster.legacy {
            settings.push(("broker.version.fallback", line.to_owned()));
        }
        settings
    }
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

#[cfg(test)]
mod tests;
