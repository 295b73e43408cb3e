//! Runs a real cluster in the foreground:
//!
//! ```text
//! cargo run -p divvy-tests --bin cluster -- up --kafka 0.8.2.2 --brokers 1 --zookeepers 3
//! ```
//!
//! It prints one line, `zookeeper=… bootstrap=…`, when the cluster serves, and ends with Ctrl-C, which leaves
//! nothing behind.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use divvy_tests::{Cluster, ClusterBuilder, wait_for};

const USAGE: &str = "usage: cluster up [--kafka 0.8.2.2|0.9.0.1|0.11.0.3] [--brokers N] [--zookeepers N] \
                     [--tick-ms N] [--chroot /PATH] [--property KEY=VALUE]… [--measured]";

fn main() -> Result<()> {
    let cluster = parse(std::env::args().skip(1))?.start()?;
    let mut stdout = std::io::stdout().lock();
    writeln!(
        stdout,
        "zookeeper={} bootstrap={}",
        cluster.zookeeper_connect(),
        cluster.bootstrap()
    )?;
    stdout.flush()?;

    // Signals need no handler: the warden cleans up after this process, whatever ends it.
    let forever = Duration::from_secs(u64::from(u32::MAX));
    let nodes = || cluster.zookeepers().iter().chain(cluster.brokers());
    wait_for(forever, "a node to end", || {
        nodes().any(|node| !node.is_running())
    })?;
    let ended: Vec<String> = nodes()
        .filter(|node| !node.is_running())
        .map(|node| {
            format!(
                "{node} has ended; its log ends with:\n{}",
                node.log_tail(20)
            )
        })
        .collect();
    bail!("{}", ended.join("\n"))
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<ClusterBuilder> {
    if arguments.next().as_deref() != Some("up") {
        bail!(USAGE);
    }
    let mut builder = Cluster::builder();
    while let Some(option) = arguments.next() {
        if option == "--measured" {
            builder = builder.measured();
            continue;
        }
        let value = arguments.next().context(USAGE)?;
        builder = match option.as_str() {
            "--kafka" => builder.kafka(value.parse()?),
            "--brokers" => builder.brokers(value.parse()?),
            "--zookeepers" => builder.zookeepers(value.parse()?),
            "--tick-ms" => builder.tick_ms(value.parse()?),
            "--chroot" => builder.chroot(value),
            "--property" => {
                let (key, value) = value.split_once('=').context(USAGE)?;
                builder.property(key, value)
            }
            _ => bail!(USAGE),
        };
    }
    Ok(builder)
}
