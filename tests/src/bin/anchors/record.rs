//! What is delivered while one of two members is cut off from ZooKeeper, for a picture.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use divvy_tests::Cluster;
use serde_json::json;

use crate::measure::{VICTIM, cut_off};
use crate::stage::{Delivery, Load, Make, SESSION_TIMEOUT, Stage};

const LOAD: Load = Load {
    partitions: 8,
    rate: 80,
};
/// How long each group is watched before it is struck and after it has healed.
const BEFORE: Duration = Duration::from_secs(3);
const AFTERMATH: Duration = Duration::from_secs(15);

/// What the members of one make have delivered.
pub(crate) struct Recording {
    make: Make,
    cut: Instant,
    healed: Instant,
    deliveries: Vec<Delivery>,
}

pub(crate) fn record(cluster: &Cluster, make: Make) -> Result<Recording> {
    let mut stage = Stage::set(cluster, make, LOAD)?;
    stage.committed.watch(BEFORE)?;
    let cut = cut_off(&mut stage)?;
    stage.committed.watch(AFTERMATH)?;
    Ok(Recording {
        make,
        cut: cut.start,
        healed: cut.end,
        deliveries: stage.deliveries()?,
    })
}

/// Writes one JSON object a line: the run, then each make followed by its deliveries. Times are seconds since the cut.
pub(crate) fn write(cluster: &Cluster, recordings: &[Recording], file: &str) -> Result<()> {
    let run = json!({
        "kafka": cluster.version().as_str(),
        "partitions": LOAD.partitions,
        "messages_per_s": LOAD.rate,
        "session_timeout_s": SESSION_TIMEOUT.as_secs(),
        "before_s": BEFORE.as_secs(),
        "aftermath_s": AFTERMATH.as_secs(),
        "cut_off": VICTIM,
    });
    let mut lines = format!("{run}\n");
    for recording in recordings {
        let since = |at: Instant| match at.checked_duration_since(recording.cut) {
            Some(after) => after.as_secs_f64(),
            None => -recording.cut.duration_since(at).as_secs_f64(),
        };
        let (make, healed) = (recording.make.name(), since(recording.healed));
        writeln!(lines, "{}", json!({"make": make, "healed": healed}))?;
        for delivery in &recording.deliveries {
            let line = json!({
                "at": since(delivery.at),
                "member": delivery.member,
                "partition": delivery.partition,
                "number": delivery.number,
            });
            writeln!(lines, "{line}")?;
        }
    }
    fs::write(file, lines).with_context(|| format!("cannot write {file}"))
}
