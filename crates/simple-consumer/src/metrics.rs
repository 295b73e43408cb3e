//! What is counted here, through the `metrics` facade: once for each chunk, commit or event, never for single messages.

use std::time::Duration;

use divvy_client::TopicPartition;
use metrics::{
    Counter, Gauge, Histogram, SharedString, Unit, counter, describe_counter, describe_gauge,
    describe_histogram, gauge, histogram,
};

use crate::event::Event;

const MESSAGES: &str = "divvy_consumer_messages_total";
const BYTES: &str = "divvy_consumer_bytes_total";
const LAG: &str = "divvy_consumer_lag_messages";
const PARTITIONS: &str = "divvy_consumer_partitions";
const EVENTS: &str = "divvy_consumer_events_total";
const COMMITS: &str = "divvy_consumer_commits_total";
const COMMIT_DURATION: &str = "divvy_consumer_commit_duration_seconds";

/// Describes the metrics of this crate to the recorder that is installed, for those that pass descriptions on.
pub fn describe_metrics() {
    describe_counter!(MESSAGES, Unit::Count, "Messages that were handed out.");
    describe_counter!(
        BYTES,
        Unit::Bytes,
        "What was taken out of the queue to be handed out, as the brokers keep it."
    );
    describe_gauge!(
        LAG,
        Unit::Count,
        "Messages between what was handed out and the end of the log, as of the last that were."
    );
    describe_gauge!(
        PARTITIONS,
        Unit::Count,
        "Partitions in the hands of this process."
    );
    describe_counter!(EVENTS, Unit::Count, "Events of a consumer, by their names.");
    describe_counter!(
        COMMITS,
        Unit::Count,
        "Offsets of single partitions that were stored, failed to be, or were withheld."
    );
    describe_histogram!(
        COMMIT_DURATION,
        Unit::Seconds,
        "What storing offsets took, of all partitions that were stored together."
    );
}

/// What is counted of one consumer. A recorder must be installed before the consumer is made.
#[derive(Debug)]
pub(crate) struct ConsumerMeter {
    group: SharedString,
    partitions: Gauge,
    events: Vec<(&'static str, Counter)>,
    stored: Counter,
    failed: Counter,
    withheld: Counter,
    commit_duration: Histogram,
}

impl ConsumerMeter {
    pub(crate) fn new(group: Option<&str>) -> Self {
        let group = SharedString::from(group.unwrap_or_default().to_owned());
        let commits = |outcome: &'static str| counter!(COMMITS, "group" => group.clone(), "outcome" => outcome);
        let events = Event::NAMES.iter().map(|name| {
            (
                *name,
                counter!(EVENTS, "group" => group.clone(), "event" => *name),
            )
        });
        Self {
            partitions: gauge!(PARTITIONS, "group" => group.clone()),
            events: events.collect(),
            stored: commits("stored"),
            failed: commits("failed"),
            withheld: commits("withheld"),
            commit_duration: histogram!(COMMIT_DURATION, "group" => group.clone()),
            group,
        }
    }

    pub(crate) fn note(&self, event: &Event) {
        let name = event.name();
        let counter = self.events.iter().find(|(known, _)| *known == name);
        if let Some((_, counter)) = counter {
            counter.increment(1);
        }
    }

    /// Offsets of so many partitions were to be stored, and it took so long.
    pub(crate) fn committed(&self, stored: usize, failed: usize, took: Duration) {
        self.stored.increment(count(stored));
        self.failed.increment(count(failed));
        self.commit_duration.record(took);
    }

    pub(crate) fn withheld(&self, partitions: usize) {
        self.withheld.increment(count(partitions));
    }

    /// A partition came into the consumer's hands.
    pub(crate) fn holding(&self, tp: &TopicPartition) -> Holding {
        let labels = [
            ("group", self.group.clone()),
            ("topic", tp.topic.to_string().into()),
            ("partition", tp.partition.to_string().into()),
        ];
        self.partitions.increment(1.0);
        Holding {
            partitions: self.partitions.clone(),
            meter: PartitionMeter {
                messages: counter!(MESSAGES, &labels),
                bytes: counter!(BYTES, &labels),
                lag: gauge!(LAG, &labels),
            },
        }
    }
}

/// A partition that is held, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Holding {
    partitions: Gauge,
    pub(crate) meter: PartitionMeter,
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.partitions.decrement(1.0);
        // Somebody else's from now on.
        self.meter.lag.set(0.0);
    }
}

/// What is counted of one partition.
#[derive(Clone, Debug)]
pub(crate) struct PartitionMeter {
    messages: Counter,
    bytes: Counter,
    lag: Gauge,
}

impl PartitionMeter {
    /// So many messages were handed out.
    pub(crate) fn handed_out(&self, messages: usize) {
        self.messages.increment(count(messages));
    }

    /// So many bytes of the log were taken to be handed out.
    pub(crate) fn took(&self, bytes: usize) {
        self.bytes.increment(count(bytes));
    }

    /// So many messages lie ahead.
    #[allow(clippy::cast_precision_loss, reason = "nobody is that far behind")]
    pub(crate) fn lag(&self, messages: i64) {
        self.lag.set(messages.max(0) as f64);
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
