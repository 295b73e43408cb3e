//! What is counted here, through the `metrics` facade: once for each connection, request or chunk, never for single messages.

use std::time::Duration;

use metrics::{
    Counter, Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

const CONNECTIONS: &str = "divvy_client_connections";
const OPENED: &str = "divvy_client_connections_opened_total";
const CONNECTION_ERRORS: &str = "divvy_client_connection_errors_total";
const REQUESTS: &str = "divvy_client_requests_total";
const REQUEST_ERRORS: &str = "divvy_client_request_errors_total";
const REQUEST_DURATION: &str = "divvy_client_request_duration_seconds";
const FETCHED: &str = "divvy_client_fetched_bytes_total";
const QUEUED: &str = "divvy_client_queued_bytes";

/// Describes the metrics of this crate to the recorder that is installed, for those that pass descriptions on.
pub fn describe_metrics() {
    describe_gauge!(CONNECTIONS, Unit::Count, "Open connections to a broker.");
    describe_counter!(OPENED, Unit::Count, "Connections that were opened.");
    describe_counter!(
        CONNECTION_ERRORS,
        Unit::Count,
        "Attempts to connect to a broker that failed."
    );
    describe_counter!(REQUESTS, Unit::Count, "Requests that were made.");
    describe_counter!(
        REQUEST_ERRORS,
        Unit::Count,
        "Requests that were not answered, or not as they can be."
    );
    describe_histogram!(
        REQUEST_DURATION,
        Unit::Seconds,
        "From a request to its answer. Fetch waits at the broker until there is something."
    );
    describe_counter!(
        FETCHED,
        Unit::Bytes,
        "What was fetched of logs, as the brokers keep it."
    );
    describe_gauge!(
        QUEUED,
        Unit::Bytes,
        "What was fetched and not taken out of the queue yet."
    );
}

/// An open connection, for as long as this lives.
#[derive(Debug)]
pub(crate) struct OpenConnection(Gauge);

impl OpenConnection {
    pub(crate) fn to(broker: &str) -> Self {
        counter!(OPENED, "broker" => broker.to_owned()).increment(1);
        // So that it is there before the first failure.
        counter!(CONNECTION_ERRORS, "broker" => broker.to_owned()).increment(0);
        let open = gauge!(CONNECTIONS, "broker" => broker.to_owned());
        open.increment(1.0);
        Self(open)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// An attempt to connect has failed.
pub(crate) fn not_connected(broker: &str) {
    counter!(CONNECTION_ERRORS, "broker" => broker.to_owned()).increment(1);
}

/// A request has its answer, or has failed.
pub(crate) fn requested(broker: &str, request: &'static str, took: Duration, failed: bool) {
    let labels = [
        ("broker", metrics::SharedString::from(broker.to_owned())),
        ("request", request.into()),
    ];
    counter!(REQUESTS, &labels).increment(1);
    counter!(REQUEST_ERRORS, &labels).increment(u64::from(failed));
    histogram!(REQUEST_DURATION, &labels).record(took);
}

/// What a queue of chunks holds; all of a process are one.
#[derive(Clone, Debug)]
pub(crate) struct QueueMeter {
    fetched: Counter,
    queued: Gauge,
}

impl QueueMeter {
    pub(crate) fn new() -> Self {
        Self {
            fetched: counter!(FETCHED),
            queued: gauge!(QUEUED),
        }
    }

    /// Something was put in: as many bytes of a log, which take so many.
    pub(crate) fn put(&self, fetched: usize, size: usize) {
        self.fetched
            .increment(u64::try_from(fetched).unwrap_or(u64::MAX));
        self.queued.increment(number(size));
    }

    /// So much was taken out, or dropped.
    pub(crate) fn took(&self, size: usize) {
        self.queued.decrement(number(size));
    }
}

/// Bytes as a gauge has them: exact up to 8 PiB.
#[allow(clippy::cast_precision_loss, reason = "no queue is that long")]
fn number(bytes: usize) -> f64 {
    bytes as f64
}
