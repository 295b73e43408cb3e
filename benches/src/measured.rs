//! What came of one run.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// The figures that every contender gives.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) messages: u64,
    pub(crate) msgs_per_s: f64,
    /// Millions of bytes.
    pub(crate) mb_per_s: f64,
    pub(crate) cpu_ns_per_msg: f64,
    pub(crate) peak_rss_mb: f64,
    /// None for who does not look at values.
    pub(crate) value_sum: Option<u64>,
    /// Which release of somebody else's client it was, where it has said so.
    pub(crate) version: Option<String>,
}

/// One of the figures.
pub(crate) type Figure = fn(&Measured) -> f64;

impl Measured {
    /// Reads the one line of JSON that the programs print.
    pub(crate) fn parse(text: &str) -> Result<Measured> {
        let object: Value = serde_json::from_str(text.trim())?;
        let number = |field: &str| {
            let value = object[field].as_f64();
            value.with_context(|| format!("no number `{field}`"))
        };
        Ok(Measured {
            messages: object["messages"].as_u64().context("no `messages`")?,
            msgs_per_s: number("msgs_per_s")?,
            mb_per_s: number("mb_per_s")?,
            cpu_ns_per_msg: number("cpu_ns_per_msg")?,
            peak_rss_mb: number("peak_rss_mb")?,
            value_sum: object["value_sum"].as_u64().filter(|sum| *sum > 0),
            version: object["version"].as_str().map(str::to_owned),
        })
    }

    /// As it goes into the file.
    pub(crate) fn json(&self) -> Value {
        json!({
            "messages": self.messages,
            "msgs_per_s": self.msgs_per_s,
            "mb_per_s": self.mb_per_s,
            "cpu_ns_per_msg": self.cpu_ns_per_msg,
            "peak_rss_mb": self.peak_rss_mb,
            "value_sum": self.value_sum,
        })
    }
}

/// The value in the middle, or between both in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (below, above) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some((values.get(below)? + values.get(above)?) / 2.0)
}
