use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use divvy_embedded_cluster::server::{EmbeddedCluster, Release};

use crate::signals;

/// A cluster for development.
///
/// It prints one line with the addresses of ZooKeeper and of the brokers, and serves until SIGINT or SIGTERM, on 127.0.0.1.
/// Everything is in memory, but for messages with --dir.
#[derive(Args)]
pub(crate) struct Embedded {
    /// How many brokers.
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    brokers: u16,
    /// The port of the first broker; the others have those behind it. 0 for free ones.
    #[arg(short, long, default_value_t = 9092)]
    port: u16,
    /// The port of ZooKeeper. 0 for a free one.
    #[arg(short, long, default_value_t = 2181)]
    zookeeper_port: u16,
    /// Which brokers to behave as.
    #[arg(long, value_name = "VERSION", default_value = "0.8.2")]
    kafka: Kafka,
    /// Create topics, with so many partitions, when somebody asks for them.
    #[arg(long, value_name = "PARTITIONS", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    auto_create: Option<u16>,
    /// Keep messages below this folder, in Kafka's layout. Started on it again, the cluster has its topics and messages; groups
    /// and their offsets begin anew.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kafka {
    #[value(name = "0.8.2")]
    V0_8_2,
    #[value(name = "0.9")]
    V0_9,
}

/// Serves until it is asked to end.
pub(crate) async fn run(args: Embedded) -> Result<()> {
    let release = match args.kafka {
        Kafka::V0_8_2 => Release::V0_8_2,
        Kafka::V0_9 => Release::V0_9,
    };
    let mut builder = EmbeddedCluster::builder()
        .brokers(args.brokers)
        .kafka(release)
        .port(args.port)
        .zookeeper_port(args.zookeeper_port);
    if let Some(partitions) = args.auto_create {
        builder = builder.auto_create_topics(partitions.into(), 1);
    }
    if let Some(dir) = args.dir {
        builder = builder.log_dir(dir);
    }
    let cluster = builder.start().await?;
    let (zookeeper, brokers) = (cluster.zookeeper_connect(), cluster.bootstrap());
    let mut out = io::stdout();
    let printed =
        writeln!(out, "zookeeper={zookeeper} brokers={brokers}").and_then(|()| out.flush());
    printed.context("cannot write to stdout")?;
    signals::asked_to_end().await?;
    cluster.shutdown().await;
    Ok(())
}
