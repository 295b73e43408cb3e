//! Measures how long a message takes on a topic on which little happens, from its acknowledgement to its hand-out.
//!
//! ```text
//! benches/run --latency
//! ```
//!
//! Starts a broker, unless `--bootstrap` and `--zookeeper` name one. Messages are sent one at a time, at a steady rate, to eight
//! partitions in turns, by a plain blocking socket. Each contender reads in a process of its own, so that it shares nothing with
//! the sender, and they take turns, round by round. Both processes read the same monotonic clock.
//!
//! A message may be handed out before the sender has read its acknowledgement; that is less than nothing, and is shown as such.
//!
//! Contenders: `simple` and `balanced`, by `recv` in a task; `main`, the same in the program's own thread; `one-slow`, a handle for
//! each partition, one of which takes 100 ms a message: what is shown is the latency of the seven others; and with
//! `--python-peers` `librdkafka`, through its Python client.

#![allow(clippy::print_stdout, reason = "the measurement is printed")]

mod receive;
mod report;
mod send;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Parser, Subcommand};
use divvy_tests::{Cluster, KafkaVersion, Process, paths, python, unique, wait_for};
use rustix::time::{ClockId, clock_gettime};

use self::receive::ReceiveArgs;
use self::report::Latencies;
use self::send::Sender;

/// How many partitions the topic has.
const PARTITIONS: u64 = 8;
/// Which of them is slow, where one is.
const SLOW: i32 = 3;
/// How many messages are sent before it is measured.
const WARM_UP: u64 = 500;
/// What pip is asked for: a client that still speaks to old brokers.
const LIBRDKAFKA: [&str; 1] = ["confluent-kafka==2.3.0"];
/// How long a contender may take to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Parser)]
#[command(about = "Measures how long a message takes from its acknowledgement to its hand-out.")]
struct Cli {
    #[command(subcommand)]
    command: Option<Action>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Subcommand)]
enum Action {
    /// What each contender of ours is run as.
    #[command(hide = true)]
    Receive(ReceiveArgs),
}

#[derive(Args)]
struct RunArgs {
    /// A broker, host:port, that is there already.
    #[arg(long, value_name = "HOST:PORT", requires = "zookeeper")]
    bootstrap: Option<String>,
    /// Its ZooKeeper.
    #[arg(long, value_name = "HOST:PORT", requires = "bootstrap")]
    zookeeper: Option<String>,
    /// A topic with eight partitions there; nobody else may write to it.
    #[arg(long, requires = "bootstrap")]
    topic: Option<String>,
    /// The version of the broker that is started.
    #[arg(long, value_name = "VERSION", default_value = "0.8.2.2")]
    kafka: KafkaVersion,
    /// How many messages each contender gets in all.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    messages: u64,
    /// How many messages are sent in a second.
    #[arg(long, value_name = "N", default_value_t = 200)]
    rate: u32,
    /// In how many rounds.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: u64,
    /// Only these contenders.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// With librdkafka, through its Python client, from pip.
    #[arg(long)]
    python_peers: bool,
    /// Where to leave the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Where it is measured.
struct Site {
    bootstrap: String,
    zookeeper: String,
    topic: String,
    /// Ends with this, if it was started here.
    _cluster: Option<Cluster>,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    match &cli.command {
        Some(Action::Receive(args)) => receive::receive(args),
        None => measure(&cli.run),
    }
}

fn measure(args: &RunArgs) -> Result<()> {
    let site = Site::new(args)?;
    let mut sender = Sender::connect(&site.bootstrap, &site.topic)?;
    let mut contenders = contenders(args)?;
    contenders.retain(|(name, _)| args.only.is_empty() || args.only.iter().any(|o| o == name));
    ensure!(!contenders.is_empty(), "there is no such contender");
    let mut latencies = vec![Latencies::default(); contenders.len()];
    let messages = (args.messages / args.rounds.max(1)).max(1);
    // A broker that has just begun is slow for a while, which would be held against whoever comes first.
    let (name, program) = &contenders[0];
    run(
        &site,
        args,
        &mut sender,
        (name, program),
        WARM_UP,
        &mut Latencies::default(),
    )?;
    for _ in 0..args.rounds {
        for ((name, program), latencies) in contenders.iter().zip(&mut latencies) {
            run(
                &site,
                args,
                &mut sender,
                (name, program),
                messages,
                latencies,
            )
            .with_context(|| format!("measuring {name}"))?;
        }
    }
    let named: Vec<(&str, Latencies)> = contenders
        .iter()
        .map(|(name, _)| *name)
        .zip(latencies)
        .collect();
    report::print(&named);
    if let Some(file) = &args.json {
        report::write(&named, file)?;
    }
    Ok(())
}

impl Site {
    fn new(args: &RunArgs) -> Result<Site> {
        if let (Some(bootstrap), Some(zookeeper)) = (&args.bootstrap, &args.zookeeper) {
            return Ok(Site {
                bootstrap: bootstrap.clone(),
                zookeeper: zookeeper.clone(),
                topic: args.topic.clone().context("--topic is missing")?,
                _cluster: None,
            });
        }
        let cluster = Cluster::builder().kafka(args.kafka).start()?;
        let topic = "latency".to_owned();
        cluster.create_topic(&topic, usize::try_from(PARTITIONS)?, 1)?;
        Ok(Site {
            bootstrap: cluster.bootstrap(),
            zookeeper: cluster.zookeeper_connect(),
            topic,
            _cluster: Some(cluster),
        })
    }
}

/// The contenders that there are, by name, with their programs.
fn contenders(args: &RunArgs) -> Result<Vec<(&'static str, PathBuf)>> {
    let own = std::env::current_exe().context("this program does not know its place")?;
    let ours = ["simple", "balanced", "main", "one-slow"];
    let mut contenders: Vec<_> = ours.into_iter().map(|name| (name, own.clone())).collect();
    if args.python_peers {
        contenders.push(("librdkafka", python::environment("latency", &LIBRDKAFKA)?));
    }
    Ok(contenders)
}

/// One round of one contender.
fn run(
    site: &Site,
    args: &RunArgs,
    sender: &mut Sender,
    (name, program): (&str, &Path),
    messages: u64,
    latencies: &mut Latencies,
) -> Result<()> {
    let first = sender.begin_round();
    let reader = Process::spawn(name, &mut command(site, (name, program), first, messages))?;
    // Until it has received something, which shows that it is at the end of the topic.
    wait_for(PATIENCE, "the first message to be received", || {
        sender.send(first).is_err() || reader.stdout().texts().iter().any(|l| l == "ready")
    })
    .with_context(|| reader.stderr().tail(10))?;
    let acknowledged = sender.send_at_rate(messages, args.rate)?;
    reader
        .wait_success(PATIENCE)
        .with_context(|| reader.stderr().tail(10))?;
    for line in reader.stdout().texts() {
        let Some((number, received)) = line.split_once(' ') else {
            continue;
        };
        let (number, received): (u64, i64) = (number.parse()?, received.parse()?);
        let acknowledged = acknowledged.get(&number).context("nobody sent that")?;
        latencies.add(received - acknowledged);
    }
    Ok(())
}

fn command(site: &Site, (name, program): (&str, &Path), first: u64, messages: u64) -> Command {
    let mut command = Command::new(program);
    match name {
        "librdkafka" => command.arg(paths::workspace().join("benches/python/latency.py")),
        _ => command.arg("receive"),
    };
    command
        .args(["--bootstrap", &site.bootstrap, "--topic", &site.topic])
        .args(["--first", &first.to_string()])
        .args(["--messages", &messages.to_string()]);
    match name {
        "balanced" => {
            command.args([
                "--zookeeper",
                &site.zookeeper,
                "--group",
                &unique("latency"),
            ]);
        }
        "main" => {
            command.arg("--in-main");
        }
        "one-slow" => {
            command.args(["--slow", &SLOW.to_string()]);
        }
        _ => {}
    }
    command
}

/// Nanoseconds on the clock that all processes of a machine share.
fn now() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
