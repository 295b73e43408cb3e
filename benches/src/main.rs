//! Measures consumers side by side on one real broker. Started by `benches/run`.

mod child;
mod contender;
mod java;
mod report;
mod site;
mod workload;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use divvy_tests::KafkaVersion;

use crate::contender::Contender;
use crate::report::Report;
use crate::site::Site;
use crate::workload::Workload;

/// Measures consumers side by side on one real broker: ours, librdkafka's, Java's, and the raw Fetch loop.
///
/// Starts a broker, fills a topic, and lets every contender read all of it, one after the other, in each of several rounds.
#[derive(Parser)]
struct Args {
    /// What is read: plain, snappy, lz4, gzip, kib, partitions512; may be given several times.
    #[arg(long = "workload", value_name = "NAME", default_value = "plain")]
    workloads: Vec<String>,
    /// How often each contender runs.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Only these contenders, by name.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Kafka's version.
    #[arg(long, value_name = "VERSION", default_value = "0.8.2.2")]
    kafka: KafkaVersion,
    /// Use the broker that is there instead of starting one; topics that are filled already are used as they are.
    #[arg(long, value_name = "HOST:PORT", requires = "zookeeper")]
    bootstrap: Option<String>,
    /// Its ZooKeeper.
    #[arg(long, value_name = "CONNECT")]
    zookeeper: Option<String>,
    /// Only fill the topics.
    #[arg(long, requires = "bootstrap")]
    fill_only: bool,
    /// Where the results go as JSON; bench-results.json beside the programs by default.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let workloads = args.workloads.iter().map(|name| name.parse());
    let workloads: Vec<Workload> = workloads.collect::<Result<_>>()?;
    let site = match (&args.bootstrap, &args.zookeeper) {
        (Some(bootstrap), Some(zookeeper)) => Site::there(args.kafka, bootstrap, zookeeper)?,
        _ => Site::start(args.kafka)?,
    };
    let mut reports = Vec::new();
    for workload in &workloads {
        workload.fill(&site)?;
        if !args.fill_only {
            let report = measure(&site, workload, &args)?;
            report.print()?;
            reports.push(report);
        }
    }
    if reports.is_empty() {
        return Ok(());
    }
    let output = args
        .output
        .unwrap_or_else(|| site.beside("bench-results.json"));
    report::write(&reports, &output)
}

/// Lets the contenders take turns.
fn measure(site: &Site, workload: &Workload, args: &Args) -> Result<Report> {
    let mut contenders = Contender::all(site);
    if !args.only.is_empty() {
        for name in &args.only {
            let known = contenders.iter().any(|contender| contender.name == *name);
            ensure!(known, "there is no contender `{name}`");
        }
        contenders.retain(|contender| args.only.iter().any(|name| *name == contender.name));
    }
    // Reads everything once, so that all of it comes from memory.
    Contender::warm_up().run(site, workload, 0)?;
    let mut report = Report::new(workload, &contenders);
    for round in 0..args.rounds {
        for place in 0..contenders.len() {
            // Nobody always comes after the same other one.
            let index = (place + round) % contenders.len();
            let contender = contenders.get(index).context("no such contender")?;
            let measured = contender
                .run(site, workload, round)
                .with_context(|| format!("{} on {}", contender.name, workload.name))?;
            report.add(index, measured)?;
        }
    }
    Ok(report)
}
