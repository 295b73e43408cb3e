//! What was moved, and what that took.

use std::cell::Cell;
use std::fs;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// What has passed so far. A reader adds to it while a watch looks whether it goes on.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    messages: Cell<u64>,
    bytes: Cell<u64>,
    value_sum: Cell<u64>,
}

impl Tally {
    /// How many messages have passed.
    pub(crate) fn messages(&self) -> u64 {
        self.messages.get()
    }

    /// Counts a message.
    pub(crate) fn add(&self, key: Option<&[u8]>, value: Option<&[u8]>) {
        let (key, value) = (key.unwrap_or_default(), value.unwrap_or_default());
        let first = value.first().copied().unwrap_or_default();
        self.add_many(1, (key.len() + value.len()) as u64, u64::from(first));
    }

    /// Counts messages.
    pub(crate) fn add_many(&self, messages: u64, bytes: u64, value_sum: u64) {
        self.messages.set(self.messages.get() + messages);
        self.bytes.set(self.bytes.get() + bytes);
        self.value_sum.set(self.value_sum.get() + value_sum);
    }
}

/// The clocks at the first request.
#[derive(Debug)]
pub(crate) struct Began {
    wall: Instant,
    cpu: Duration,
}

impl Began {
    pub(crate) fn now() -> Self {
        Self {
            wall: Instant::now(),
            cpu: cpu_time(),
        }
    }

    /// The measurement, which ends now.
    pub(crate) fn measured(&self, tally: &Tally, crc_checked: bool) -> Measured {
        Measured {
            messages: tally.messages.get(),
            bytes: tally.bytes.get(),
            value_sum: tally.value_sum.get(),
            wall: self.wall.elapsed(),
            cpu: cpu_time().saturating_sub(self.cpu),
            peak_rss: peak_rss(),
            crc_checked,
        }
    }
}

/// What was moved, and what that took.
#[derive(Debug)]
pub(crate) struct Measured {
    messages: u64,
    bytes: u64,
    value_sum: u64,
    wall: Duration,
    cpu: Duration,
    /// In bytes, where the system tells.
    peak_rss: Option<u64>,
    crc_checked: bool,
}

impl Measured {
    /// Prints it on stdout, as a table or as one JSON object.
    pub(crate) fn print(&self, as_json: bool) -> Result<()> {
        let fields = self.fields();
        let mut text = String::new();
        if as_json {
            let object = Value::Object(
                fields
                    .map(|(name, value)| (name.to_owned(), value))
                    .into_iter()
                    .collect(),
            );
            text = format!("{object}\n");
        } else {
            for (name, value) in fields {
                text.push_str(&format!("{name:<15} {value}\n"));
            }
        }
        io::stdout()
            .write_all(text.as_bytes())
            .context("cannot write to stdout")
    }

    fn fields(&self) -> [(&'static str, Value); 9] {
        let seconds = self.wall.as_secs_f64().max(1e-9);
        let (messages, bytes) = (self.messages as f64, self.bytes as f64);
        let cpu_ns = self.cpu.as_nanos() as f64 / messages.max(1.0);
        let peak_rss_mb = self.peak_rss.map(|bytes| rounded(bytes as f64 / 1e6, 1));
        [
            ("messages", json!(self.messages)),
            ("bytes", json!(self.bytes)),
            ("seconds", rounded(seconds, 6)),
            ("msgs_per_s", rounded(messages / seconds, 0)),
            ("mb_per_s", rounded(bytes / seconds / 1e6, 1)),
            ("cpu_ns_per_msg", rounded(cpu_ns, 1)),
            ("peak_rss_mb", json!(peak_rss_mb)),
            ("crc_checked", json!(self.crc_checked)),
            ("value_sum", json!(self.value_sum)),
        ]
    }
}

/// More digits than a measurement has only hide it.
fn rounded(value: f64, digits: i32) -> Value {
    let scale = 10_f64.powi(digits);
    json!((value * scale).round() / scale)
}

/// What the process has used up so far, in user and kernel mode.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let part = |value: i64| u64::try_from(value).unwrap_or_default();
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}

/// The most memory that was resident at a time, in bytes. Only Linux tells.
fn peak_rss() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}
