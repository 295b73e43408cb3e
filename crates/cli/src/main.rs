//! The `divvy` program. Messages go to stdout and nothing else does; events, progress and errors go to stderr.

mod bench;
mod compare;
mod consume;
mod demo;
mod embedded;
mod errors;
mod events;
mod format;
mod group;
mod metrics;
mod offsets;
mod options;
mod output;
mod produce;
mod properties;
mod pump;
mod screen;
mod signals;
mod table;
mod tail;
mod topic;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Shares the partitions of Kafka topics out among consumers through ZooKeeper.
///
/// Works with Kafka 0.8.2 and newer. Exit codes: 0 done, 1 failure, 2 usage.
#[derive(Parser)]
#[command(name = "divvy", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Say more on stderr: -v what happens, -vv details, -vvv everything. RUST_LOG overrides it.
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,

    /// Take what a file of properties of Kafka's own consumer says for what is not said otherwise: zookeeper.connect, group.id,
    /// offsets.storage, auto.offset.reset and the like.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<OsString>,
}

#[derive(Subcommand)]
enum Command {
    /// Join a group and print its share of the messages of one or more topics.
    Consume(consume::Consume),
    /// Write the lines of stdin to a topic.
    Produce(produce::Produce),
    /// Print the messages of every partition of a topic, whoever else reads them.
    Tail(tail::Tail),
    /// List, describe, create or delete topics.
    #[command(subcommand)]
    Topic(topic::Topic),
    /// Look at groups, and mend what is wrong with them.
    #[command(subcommand)]
    Group(group::Group),
    /// Look at stored offsets and at logs, or store offsets.
    #[command(subcommand)]
    Offsets(offsets::Offsets),
    /// Measure how fast a topic is read or written from here.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Run a ZooKeeper and Kafka brokers in this process, for development.
    Embedded(embedded::Embedded),
    /// Show a group at work with nothing but this program: members are killed, and nothing is lost.
    Demo(demo::Demo),
}

fn main() -> ExitCode {
    // Before there are threads and before arguments are parsed: the helper is this program too.
    divvy::crash_release::run_if_asked();
    start()
}

#[tokio::main]
async fn start() -> ExitCode {
    let cli = match parsed() {
        Ok(cli) => cli,
        Err(error) => return errors::report(&error),
    };
    log_to_stderr(cli.verbose);
    let result = match cli.command {
        Command::Consume(args) => Box::pin(consume::run(args)).await,
        Command::Produce(args) => Box::pin(produce::run(args)).await,
        Command::Tail(args) => Box::pin(tail::run(args)).await,
        Command::Topic(args) => Box::pin(topic::run(args)).await,
        Command::Group(args) => return ended(Box::pin(group::run(args)).await),
        Command::Offsets(args) => Box::pin(offsets::run(args)).await,
        Command::Bench(args) => Box::pin(bench::run(args)).await,
        Command::Embedded(args) => Box::pin(embedded::run(args)).await,
        Command::Demo(args) => Box::pin(demo::run(args)).await,
    };
    ended(result.map(|()| ExitCode::SUCCESS))
}

/// The command line, over what a file says that it names. Exits where the command line makes no sense.
fn parsed() -> anyhow::Result<Cli> {
    let mut program = Cli::command();
    if let Some(file) = properties::file(std::env::args_os()) {
        program = properties::apply(program, &file)?;
    }
    let matches = program.get_matches();
    Ok(Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
}

fn ended(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| errors::report(&error))
}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => "error",
        1 => "info,divvy=info",
        2 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}
