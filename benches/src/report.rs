//! What came of it.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use divvy_tests::KafkaVersion;
use serde_json::{Value, json};

use crate::contender::Contender;
use crate::measured::{Figure, Measured, median};
use crate::workload::Workload;

/// Whom the others are compared with.
const BASES: [&str; 3] = ["librdkafka", "java", "raw"];

/// All runs on one workload.
#[derive(Debug)]
pub(crate) struct Report {
    workload: Workload,
    rows: Vec<Row>,
    /// What every reader must have found, once one has said it.
    value_sum: Option<u64>,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    /// How many messages it gets.
    messages: u64,
    runs: Vec<Measured>,
}

impl Report {
    pub(crate) fn new(workload: &Workload, contenders: &[Contender]) -> Report {
        let row = |contender: &Contender| Row {
            name: contender.name,
            messages: contender.messages(workload),
            runs: Vec::new(),
        };
        Report {
            workload: workload.clone(),
            rows: contenders.iter().map(row).collect(),
            value_sum: None,
        }
    }

    /// Adds a run, which must have read what the others have.
    pub(crate) fn add(&mut self, contender: &Contender, measured: Measured) -> Result<()> {
        let mut rows = self.rows.iter_mut();
        let row = rows.find(|row| row.name == contender.name);
        let row = row.context("no such contender")?;
        ensure!(
            measured.messages == row.messages,
            "{} has moved {} messages of {}",
            row.name,
            measured.messages,
            row.messages
        );
        let sum = measured.value_sum.filter(|_| contender.reads_everything());
        if let Some(sum) = sum {
            let expected = *self.value_sum.get_or_insert(sum);
            ensure!(
                sum == expected,
                "{} has read other values than those before it: their first bytes add up to {sum}, not {expected}",
                row.name
            );
        }
        row.runs.push(measured);
        Ok(())
    }

    /// Who was measured.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.rows.iter().map(|row| row.name).collect()
    }

    /// The median of a figure of a contender.
    pub(crate) fn median(&self, name: &str, field: Figure) -> Option<f64> {
        self.row(name)?.median(field)
    }

    fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// What a row's messages a second are of another's, as the median of both runs of each round.
    fn ratio(&self, row: &Row, base: &str) -> Option<f64> {
        median(row.ratios(self.row(base)?, |run| run.msgs_per_s))
    }

    /// Prints how two contenders compare, pair by pair.
    pub(crate) fn print_pairs(&self, name: &str, base: &str) -> Result<()> {
        let (row, base) = self.row(name).zip(self.row(base)).context("no pairs")?;
        let mut out = io::stdout().lock();
        let fields: [(&str, Figure); 2] = [
            ("CPU per message", |run| run.cpu_ns_per_msg),
            ("messages a second", |run| run.msgs_per_s),
        ];
        for (what, field) in fields {
            let mut ratios = row.ratios(base, field);
            ratios.sort_by(f64::total_cmp);
            let (count, first, last) = (ratios.len(), ratios.first(), ratios.last());
            let ends = first.zip(last).context("no pairs")?;
            writeln!(
                out,
                "{what}, {} / {}: {:.3} to {:.3} in {count} pairs, median {:.3}",
                row.name,
                base.name,
                ends.0,
                ends.1,
                median(ratios.clone()).context("no pairs")?
            )?;
        }
        Ok(())
    }

    /// Prints a table of medians.
    pub(crate) fn print(&self) -> Result<()> {
        let workload = &self.workload;
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "\n{}: {} messages of {} bytes in {} partitions, codec {}; medians of {} runs",
            workload.name,
            workload.messages,
            workload.size,
            workload.partitions,
            workload.codec,
            self.rows.first().map_or(0, |row| row.runs.len())
        )?;
        write!(
            out,
            "{:<16}{:>12}{:>10}{:>10}{:>9}",
            "", "msg/s", "MB/s", "CPU ns", "MB"
        )?;
        for base in BASES {
            write!(out, "{:>13}", format!("/ {base}"))?;
        }
        writeln!(out)?;
        for row in &self.rows {
            let median = |field: Figure| row.median(field).unwrap_or(f64::NAN);
            write!(
                out,
                "{:<16}{:>12.0}{:>10.1}{:>10.1}{:>9.1}",
                row.name,
                median(|run| run.msgs_per_s),
                median(|run| run.mb_per_s),
                median(|run| run.cpu_ns_per_msg),
                median(|run| run.peak_rss_mb),
            )?;
            for base in BASES {
                match self.ratio(row, base) {
                    Some(ratio) => write!(out, "{ratio:>13.2}")?,
                    None => write!(out, "{:>13}", "-")?,
                }
            }
            writeln!(out)?;
        }
        Ok(out.flush()?)
    }

    fn json(&self, kafka: KafkaVersion, measured_at: u64) -> Value {
        let rows = self.rows.iter().map(|row| {
            let ratios = BASES.map(|base| (base.to_owned(), json!(self.ratio(row, base))));
            json!({
                "contender": row.name,
                "version": row.runs.first().and_then(|run| run.version.as_ref()),
                "msgs_per_s": row.median(|run| run.msgs_per_s),
                "mb_per_s": row.median(|run| run.mb_per_s),
                "cpu_ns_per_msg": row.median(|run| run.cpu_ns_per_msg),
                "peak_rss_mb": row.median(|run| run.peak_rss_mb),
                "ratios": Value::Object(ratios.into_iter().collect()),
                "runs": row.runs.iter().map(Measured::json).collect::<Vec<_>>(),
            })
        });
        json!({
            "kafka": kafka.as_str(),
            "measured_at": measured_at,
            "workload": self.workload.name,
            "messages": self.workload.messages,
            "size": self.workload.size,
            "partitions": self.workload.partitions,
            "codec": self.workload.codec,
            "value_sum": self.value_sum,
            "contenders": rows.collect::<Vec<_>>(),
        })
    }
}

impl Row {
    fn median(&self, field: Figure) -> Option<f64> {
        median(self.runs.iter().map(field).collect())
    }

    /// A figure of this row in that of another one, run by run.
    fn ratios(&self, base: &Row, field: Figure) -> Vec<f64> {
        let pairs = self.runs.iter().zip(&base.runs);
        pairs
            .map(|(own, other)| field(own) / field(other))
            .collect()
    }
}

/// Writes reports as JSON, with the time of day in seconds since 1970.
pub(crate) fn write(reports: &[Report], kafka: KafkaVersion, file: &Path) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let reports = reports.iter().map(|report| report.json(kafka, now));
    let reports: Vec<Value> = reports.collect();
    let text = serde_json::to_string_pretty(&reports)?;
    fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    writeln!(io::stdout(), "\nall runs: {}", file.display())?;
    Ok(())
}
