//! Serving what is counted to Prometheus.

mod http;

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use metrics::{describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::time::sleep;

const BUILD_INFO: &str = "divvy_build_info";

/// Where histograms of seconds are divided: a broker beside the program answers within a millisecond, and what takes longer than a
/// minute has failed.
const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0,
];

/// How often what was recorded since is sorted into its histograms, whether or not anybody asks for them.
const UPKEEP: Duration = Duration::from_secs(5);

/// Whether metrics are served, and where.
#[derive(Args, Clone, Debug)]
pub(crate) struct MetricsOptions {
    /// Serve metrics to Prometheus over HTTP at this address, below /metrics; port 0 takes a free one. stderr says which.
    #[arg(long, value_name = "HOST:PORT")]
    metrics_listen: Option<String>,
}

impl MetricsOptions {
    /// Begins to count and to serve, if that is asked for: before the first of what is counted is made.
    pub(crate) async fn start(&self) -> Result<()> {
        let Some(address) = &self.metrics_listen else {
            return Ok(());
        };
        let failed = || format!("--metrics-listen {address}");
        let listener = TcpListener::bind(address).await.with_context(failed)?;
        let bound = listener.local_addr().with_context(failed)?;
        let seconds = Matcher::Suffix("_seconds".to_owned());
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(seconds, &SECONDS)
            .with_context(failed)?
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).with_context(failed)?;
        describe_gauge!(BUILD_INFO, "1, with the version of the program.");
        gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        divvy::describe_metrics();
        // With a closed stderr there is nobody to tell.
        let _ = writeln!(io::stderr(), "divvy: metrics at http://{bound}/metrics");
        tokio::spawn(keep_up(handle.clone()));
        tokio::spawn(http::serve(listener, handle));
        Ok(())
    }
}

async fn keep_up(handle: PrometheusHandle) {
    loop {
        sleep(UPKEEP).await;
        handle.run_upkeep();
    }
}
