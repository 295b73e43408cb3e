//! What was measured, as a table and as JSON.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// The latencies of one contender, in nanoseconds.
#[derive(Clone, Default)]
pub(crate) struct Latencies(Vec<i64>);

impl Latencies {
    pub(crate) fn add(&mut self, nanoseconds: i64) {
        self.0.push(nanoseconds);
    }

    /// Milliseconds below which so many of a thousand were.
    fn per_mille(&self, share: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * share).div_ceil(1000).saturating_sub(1);
        sorted.get(at).map_or(f64::NAN, |ns| *ns as f64 / 1e6)
    }
}

/// The columns, each with its share in a thousand.
const COLUMNS: [(&str, usize); 6] = [
    ("p10", 100),
    ("p50", 500),
    ("p90", 900),
    ("p99", 990),
    ("p99.9", 999),
    ("max", 1000),
];

pub(crate) fn print(contenders: &[(&str, Latencies)]) {
    print!("{:12} {:>8}", "ms", "messages");
    for (column, _) in COLUMNS {
        print!(" {column:>8}");
    }
    println!();
    for (name, latencies) in contenders {
        print!("{name:12} {:8}", latencies.0.len());
        for (_, share) in COLUMNS {
            print!(" {:8.3}", latencies.per_mille(share));
        }
        println!();
    }
}

pub(crate) fn write(contenders: &[(&str, Latencies)], file: &Path) -> Result<()> {
    let figures: Vec<Value> = contenders
        .iter()
        .map(|(name, latencies)| {
            let columns = COLUMNS.map(|(column, share)| {
                let name = format!("{}_ms", column.replace('.', "_"));
                (name, json!(latencies.per_mille(share)))
            });
            let mut figures = serde_json::Map::from_iter(columns);
            figures.insert("contender".to_owned(), json!(name));
            figures.insert("messages".to_owned(), json!(latencies.0.len()));
            Value::Object(figures)
        })
        .collect();
    let text = serde_json::to_string_pretty(&figures)?;
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
