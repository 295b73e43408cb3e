//! Measures consumers and producers side by side on one real broker. Started by `benches/run`.

mod child;
mod contender;
mod curves;
mod java;
mod measured;
mod report;
mod rounds;
mod site;
mod workload;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use divvy_tests::KafkaVersion;

use crate::curves::Curve;
use crate::report::Report;
use crate::site::Site;
use crate::workload::Workload;

/// How often each contender runs, unless it is said.
const ROUNDS: usize = 5;
const ROUNDS_OF_PAIRS: usize = 15;
const ROUNDS_OF_CURVES: usize = 3;

/// Measures consumers side by side on one real broker: ours, librdkafka's, Java's, and the raw Fetch loop.
///
/// Starts a broker, fills a topic, and lets every contender read all of it, one after the other, in each of several rounds. What
/// they have read must be the same.
#[derive(Parser)]
struct Args {
    /// What is read: plain, snappy, lz4, gzip, kib, partitions512, or all; may be given several times.
    #[arg(long = "workload", value_name = "NAME", default_value = "plain")]
    workloads: Vec<String>,
    /// How often each contender runs: 5 times by default, 15 times in pairs and 3 times for curves.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Only these contenders, by name.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Measure producers instead.
    #[arg(long, conflicts_with_all = ["pairs", "curves"])]
    produce: bool,
    /// Only compare this contender with its counterpart in pairs: balanced with batch, balanced-recv with recv.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["only", "curves"])]
    pairs: Option<String>,
    /// Measure how speed depends on one thing: size, partitions, members, codecs, fetch; all of them if none is named.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', num_args = 0..)]
    curves: Option<Vec<String>>,
    /// With Python's clients: confluent-kafka, kafka-python, PyKafka and, where it speaks to the broker, aiokafka, from pip. They
    /// read what is not compressed, and slow ones only a part of it.
    #[arg(long)]
    python_peers: bool,
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
    // What was typed is looked at before anything is started.
    let (workloads, curves) = (args.workloads()?, args.curves()?);
    let site = match (&args.bootstrap, &args.zookeeper) {
        (Some(bootstrap), Some(zookeeper)) => Site::there(args.kafka, bootstrap, zookeeper)?,
        _ => Site::start(args.kafka)?,
    };
    if args.fill_only {
        let points = curves.iter().flat_map(Curve::workloads);
        return workloads
            .iter()
            .chain(points)
            .try_for_each(|one| one.fill(&site));
    }
    let mut reports = Vec::new();
    for workload in &workloads {
        let report = args.measure(&site, workload)?;
        report.print()?;
        if let Some(name) = &args.pairs {
            report.print_pairs(name, counterpart(name))?;
        }
        reports.push(report);
    }
    for curve in &curves {
        let rounds = args.rounds.unwrap_or(ROUNDS_OF_CURVES);
        let points = curve.measure(&site, rounds, &args.only)?;
        curve.print(&points)?;
        reports.extend(points);
    }
    let output = args
        .output
        .unwrap_or_else(|| site.beside("bench-results.json"));
    report::write(&reports, args.kafka, &output)
}

impl Args {
    fn workloads(&self) -> Result<Vec<Workload>> {
        if self.curves.is_some() {
            return Ok(Vec::new());
        }
        let all = self.workloads.iter().any(|name| name == "all");
        let named = self.workloads.iter().map(String::as_str);
        let names: Vec<&str> = if all {
            workload::NAMES.to_vec()
        } else {
            named.collect()
        };
        let workloads = names.into_iter().map(str::parse);
        workloads.collect()
    }

    fn curves(&self) -> Result<Vec<Curve>> {
        let Some(names) = &self.curves else {
            return Ok(Vec::new());
        };
        let mut curves = Curve::all()?;
        for name in names {
            let known = curves.iter().any(|curve| curve.name == name);
            known
                .then_some(())
                .with_context(|| format!("there is no curve `{name}`"))?;
        }
        curves.retain(|curve| names.is_empty() || names.iter().any(|name| name == curve.name));
        Ok(curves)
    }

    fn measure(&self, site: &Site, workload: &Workload) -> Result<Report> {
        let rounds = self.rounds.unwrap_or(ROUNDS);
        if self.produce {
            return rounds::of_producers(site, workload, rounds, &self.only, self.python_peers);
        }
        match &self.pairs {
            None => rounds::of_consumers(site, workload, rounds, &self.only, self.python_peers),
            Some(name) => {
                let both = [counterpart(name).to_owned(), name.clone()];
                let rounds = self.rounds.unwrap_or(ROUNDS_OF_PAIRS);
                rounds::of_consumers(site, workload, rounds, &both, false)
            }
        }
    }
}

/// Who does the same without a group.
fn counterpart(name: &str) -> &str {
    match name.split_once('-') {
        Some(("balanced", api)) => api,
        _ => "batch",
    }
}
