//! What the program serves at `--metrics-listen`, read by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy_tests::Divvy;

const WITHIN: Duration = Duration::from_secs(20);

/// What was served at one moment.
#[derive(Debug, Default)]
pub(crate) struct Scrape {
    /// The kind of each metric.
    pub(crate) kinds: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Where a program says that its metrics are.
pub(crate) fn address(divvy: &Divvy) -> Result<String> {
    let said = divvy
        .stderr()
        .wait_for(WITHIN, "where the metrics are", |line| {
            line.contains("metrics at http://")
        })?;
    let said = said.text().into_owned();
    let address = said.split("http://").nth(1).context("it says no address")?;
    Ok(address.trim_end_matches("/metrics").to_owned())
}

/// Sends these bytes and gives back all that comes.
pub(crate) fn exchange(address: &str, request: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.write_all(request)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

impl Scrape {
    pub(crate) fn of(address: &str) -> Result<Self> {
        let answer = exchange(address, b"GET /metrics HTTP/1.1\r\nHost: divvy\r\n\r\n")?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no body")?;
        ensure!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let length = format!("Content-Length: {}\r\n", body.len());
        ensure!(head.contains(&length), "{head}\nand {} bytes", body.len());
        Self::parse(body)
    }

    fn parse(body: &str) -> Result<Self> {
        let mut scrape = Self::default();
        for line in body.lines().filter(|line| !line.is_empty()) {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').context("no kind")?;
                scrape.kinds.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') {
                scrape.samples.push(Sample::parse(line)?);
            }
        }
        Ok(scrape)
    }

    /// The sum of all samples of a metric with these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let is_wanted = |sample: &&Sample| {
            let mut wanted = labels.iter();
            sample.name == name
                && wanted
                    .all(|(label, value)| sample.labels.get(*label).is_some_and(|is| is == value))
        };
        self.samples
            .iter()
            .filter(is_wanted)
            .map(|sample| sample.value)
            .sum()
    }

    /// The labels that the samples of a metric have, but for the bounds of buckets.
    pub(crate) fn labels(&self, metric: &str) -> BTreeSet<String> {
        let of_metric = |sample: &&Sample| {
            let rest = sample.name.strip_prefix(metric);
            rest.is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
        };
        let samples = self.samples.iter().filter(of_metric);
        let labels = samples.flat_map(|sample| sample.labels.keys().cloned());
        labels.filter(|label| label != "le").collect()
    }
}

impl Sample {
    /// No value of a label has a quote or a comma in these tests.
    fn parse(line: &str) -> Result<Self> {
        let (what, value) = line
            .rsplit_once(' ')
            .with_context(|| format!("no value: {line}"))?;
        let (name, labels) = what.split_once('{').unwrap_or((what, ""));
        let labels = labels.trim_end_matches('}').split(',');
        let labels = labels.filter_map(|label| {
            let (label, value) = label.split_once('=')?;
            Some((label.to_owned(), value.trim_matches('"').to_owned()))
        });
        Ok(Self {
            name: name.to_owned(),
            labels: labels.collect(),
            value: value.parse()?,
        })
    }
}
