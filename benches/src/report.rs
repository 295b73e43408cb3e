//! What came of it.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::contender::{Contender, Measured};
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
    runs: Vec<Measured>,
}

impl Report {
    pub(crate) fn new(workload: &Workload, contenders: &[Contender]) -> Report {
        let row = |contender: &Contender| Row {
            name: contender.name,
            runs: Vec::new(),
        };
        Report {
            workload: workload.clone(),
            rows: contenders.iter().map(row).collect(),
            value_sum: None,
        }
    }

    /// Adds a run, which must have read what the others have.
    pub(crate) fn add(&mut self, contender: usize, measured: Measured) -> Result<()> {
        let row = self.rows.get_mut(contender).context("no such contender")?;
        ensure!(
            measured.messages == self.workload.messages,
            "{} has read {} messages of {}",
            row.name,
            measured.messages,
            self.workload.messages
        );
        if let Some(sum) = measured.value_sum {
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

    /// The median of another row's messages a second in this row's, run by run.
    fn ratio(&self, row: &Row, base: &str) -> Option<f64> {
        let base = self.rows.iter().find(|other| other.name == base)?;
        let pairs = row.runs.iter().zip(&base.runs);
        let ratios = pairs.map(|(own, other)| own.msgs_per_s / other.msgs_per_s);
        median(ratios.collect())
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
            let median = |field: fn(&Measured) -> f64| row.median(field).unwrap_or(f64::NAN);
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

    fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let ratios = BASES.map(|base| (base.to_owned(), json!(self.ratio(row, base))));
            json!({
                "contender": row.name,
                "msgs_per_s": row.median(|run| run.msgs_per_s),
                "mb_per_s": row.median(|run| run.mb_per_s),
                "cpu_ns_per_msg": row.median(|run| run.cpu_ns_per_msg),
                "peak_rss_mb": row.median(|run| run.peak_rss_mb),
                "ratios": Value::Object(ratios.into_iter().collect()),
                "runs": row.runs.iter().map(Measured::json).collect::<Vec<_>>(),
            })
        });
        json!({
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
    fn median(&self, field: fn(&Measured) -> f64) -> Option<f64> {
        median(self.runs.iter().map(field).collect())
    }
}

/// Writes reports as JSON.
pub(crate) fn write(reports: &[Report], file: &Path) -> Result<()> {
    let reports: Vec<Value> = reports.iter().map(Report::json).collect();
    let text = serde_json::to_string_pretty(&reports)?;
    fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    writeln!(io::stdout(), "\nall runs: {}", file.display())?;
    Ok(())
}

/// The value in the middle, or between both in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (below, above) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some((values.get(below)? + values.get(above)?) / 2.0)
}
