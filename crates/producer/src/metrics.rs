//! What is counted here, through the `metrics` facade: once for each batch, never for single records.

use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, SharedString, Unit, counter, describe_counter, describe_gauge,
    describe_histogram, gauge, histogram,
};

const RECORDS: &str = "divvy_producer_records_total";
const BYTES: &str = "divvy_producer_bytes_total";
const BATCHES: &str = "divvy_producer_batches_total";
const RETRIES: &str = "divvy_producer_retries_total";
const FAILED: &str = "divvy_producer_failed_records_total";
const DURATION: &str = "divvy_producer_delivery_duration_seconds";
const BUFFERED: &str = "divvy_producer_buffered_bytes";

/// Describes the metrics of this crate to the recorder that is installed, for those that pass descriptions on.
pub fn describe_metrics() {
    describe_counter!(RECORDS, Unit::Count, "Records that were delivered.");
    describe_counter!(
        BYTES,
        Unit::Bytes,
        "What they take on the wire at most, before compression."
    );
    describe_counter!(BATCHES, Unit::Count, "Batches that were delivered.");
    describe_counter!(
        RETRIES,
        Unit::Count,
        "Batches that were put back to be sent again, whole or in halves."
    );
    describe_counter!(
        FAILED,
        Unit::Count,
        "Records that were queued and not delivered."
    );
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "From a batch's first record to its delivery."
    );
    describe_gauge!(
        BUFFERED,
        Unit::Bytes,
        "What records without an outcome take of the buffer."
    );
}

/// What is counted of one topic. A recorder must be installed before the topic is used.
#[derive(Debug)]
pub(crate) struct TopicMeter {
    records: Counter,
    bytes: Counter,
    batches: Counter,
    retries: Counter,
    failed: Counter,
    duration: Histogram,
}

impl TopicMeter {
    pub(crate) fn new(topic: &str) -> Self {
        let topic = SharedString::from(topic.to_owned());
        let of = |name: &'static str| counter!(name, "topic" => topic.clone());
        Self {
            records: of(RECORDS),
            bytes: of(BYTES),
            batches: of(BATCHES),
            retries: of(RETRIES),
            failed: of(FAILED),
            duration: histogram!(DURATION, "topic" => topic),
        }
    }

    /// A batch was delivered, so long after its first record.
    pub(crate) fn delivered(&self, records: u32, bytes: usize, after: Duration) {
        self.records.increment(records.into());
        self.bytes
            .increment(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.batches.increment(1);
        self.duration.record(after);
    }

    /// A batch will be sent again.
    pub(crate) fn put_back(&self) {
        self.retries.increment(1);
    }

    /// So many records will not be delivered.
    pub(crate) fn failed(&self, records: usize) {
        self.failed
            .increment(u64::try_from(records).unwrap_or(u64::MAX));
    }
}

/// Bytes as a gauge has them: exact up to 8 PiB.
#[allow(clippy::cast_precision_loss, reason = "no buffer is that large")]
pub(crate) fn number(bytes: usize) -> f64 {
    bytes as f64
}

/// What the buffers of all producers of a process hold.
pub(crate) fn buffered() -> Gauge {
    gauge!(BUFFERED)
}
