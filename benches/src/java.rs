//! Kafka's own high-level consumer, measured by Kafka's own tool.

use std::process::Command;

use anyhow::{Context as _, Result};
use divvy_tests::paths;

use crate::child;
use crate::contender::PATIENCE;
use crate::measured::Measured;
use crate::site::Site;
use crate::workload::Workload;

/// Runs `kafka.tools.ConsumerPerformance`. Its clock starts one second after its consumer, and leaves out the five seconds in
/// which it waits for more; its CPU is that of the whole JVM.
pub(crate) fn consume(site: &Site, workload: &Workload) -> Result<Measured> {
    let mut command = tool(site, "kafka.tools.ConsumerPerformance");
    command
        .args(["--zookeeper", &site.zookeeper])
        .args(["--topic", &workload.topic()])
        .args(["--messages", &workload.messages.to_string()])
        .args(["--group", &format!("{}-java", site.unique())])
        .args(["--fetch-size", &(1 << 20).to_string(), "--threads", "1"]);
    let ended = child::run("ConsumerPerformance", &mut command, PATIENCE)?;
    let row = ended.stdout.lines().last().unwrap_or_default();
    let (messages, mb_per_s, msgs_per_s) =
        parse(row).with_context(|| format!("unexpected output: {}", ended.stdout))?;
    Ok(Measured {
        messages,
        msgs_per_s,
        mb_per_s,
        cpu_ns_per_msg: ended.cpu.as_nanos() as f64 / messages.max(1) as f64,
        peak_rss_mb: ended.peak_rss as f64 / 1e6,
        value_sum: None,
        version: Some(site.version.as_str().to_owned()),
    })
}

/// Runs 0.8.2's `ProducerPerformance`, with the settings of the other producers. Its CPU is that of the whole JVM.
pub(crate) fn produce(site: &Site, workload: &Workload) -> Result<Measured> {
    let mut command = tool(site, "org.apache.kafka.clients.tools.ProducerPerformance");
    command
        .args([workload.topic(), workload.messages.to_string()])
        .args([&workload.size.to_string(), "-1"])
        .arg(format!("bootstrap.servers={}", site.bootstrap))
        .args(["acks=1", "linger.ms=5"])
        .arg(format!("compression.type={}", workload.codec));
    let ended = child::run("ProducerPerformance", &mut command, PATIENCE)?;
    let row = ended.stdout.lines().last().unwrap_or_default();
    let (messages, msgs_per_s) =
        parse_sent(row).with_context(|| format!("unexpected output: {}", ended.stdout))?;
    Ok(Measured {
        messages,
        msgs_per_s,
        mb_per_s: msgs_per_s * workload.size as f64 / 1e6,
        cpu_ns_per_msg: ended.cpu.as_nanos() as f64 / messages.max(1) as f64,
        peak_rss_mb: ended.peak_rss as f64 / 1e6,
        value_sum: None,
        version: Some(site.version.as_str().to_owned()),
    })
}

fn tool(site: &Site, class: &str) -> Command {
    let mut command = Command::new(paths::docker("bin/run-tool.sh"));
    command
        .arg(class)
        .env("JARS", site.jars.directory())
        .env("HEAP", "1g")
        .env("JAVA_OPTS", "-XX:-UsePerfData");
    command
}

/// Messages and messages a second, of a line like `2000000 records sent, 573723.465290 records/sec (54.71 MB/sec), …`.
fn parse_sent(row: &str) -> Option<(u64, f64)> {
    let (messages, rest) = row.split_once(" records sent, ")?;
    let (msgs_per_s, _) = rest.split_once(" records/sec")?;
    Some((messages.parse().ok()?, msgs_per_s.parse().ok()?))
}

/// Messages, millions of bytes a second and messages a second, of the tool's row: start, end, fetch size, MiB, MiB/s, messages,
/// messages/s.
fn parse(row: &str) -> Option<(u64, f64, f64)> {
    let columns: Vec<&str> = row.split(", ").collect();
    let [
        _start,
        _end,
        _fetch_size,
        _mib,
        mib_per_s,
        messages,
        msgs_per_s,
    ] = columns[..]
    else {
        return None;
    };
    let mib_per_s: f64 = mib_per_s.parse().ok()?;
    let mb_per_s = mib_per_s * f64::from(1 << 20) / 1e6;
    Some((messages.parse().ok()?, mb_per_s, msgs_per_s.parse().ok()?))
}
