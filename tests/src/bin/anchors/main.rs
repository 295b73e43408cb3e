//! Strikes two members of a group with the same faults, whoever made them, and prints what came of it:
//!
//! ```text
//! tests/anchors
//! tests/anchors --record FILE
//! tests/anchors --groups-of-kafka
//! ```
//!
//! A group of each make runs at the same time, on a cluster that all share. The figures are those of one run. With
//! `--record` one member of each is cut off from ZooKeeper, and who delivered what, and when, is written to a file.
//! With `--groups-of-kafka` it is clients that have groups of Kafka's own, on 0.8.2.2 and on 0.9.0.1.

mod groups;
mod measure;
mod record;
mod stage;

use std::io::Write as _;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use divvy_tests::Cluster;

use self::measure::{Cut, Killed, LOAD, Stopped, cut, kill, stop};
use self::stage::{Make, SESSION_TIMEOUT};

const MAKES: [Make; 3] = [Make::Java, Make::PyKafka, Make::Divvy];

/// What became of one make's members.
struct Figures {
    cut: Cut,
    stopped: Stopped,
    killed: Killed,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => {
            let cluster = &Cluster::builder().start()?;
            print(cluster, &of_each_make(|make| measure(cluster, make))?)
        }
        ["--record", file] => {
            let cluster = &Cluster::builder().start()?;
            let recordings = of_each_make(|make| record::record(cluster, make))?;
            record::write(cluster, &recordings, file)
        }
        ["--groups-of-kafka"] => groups::print(),
        _ => bail!("usage: anchors [--record FILE | --groups-of-kafka]"),
    }
}

/// Does something with members of each make, at the same time.
fn of_each_make<T: Send>(act: impl Fn(Make) -> Result<T> + Sync) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let act = &act;
        let threads = MAKES.map(|make| scope.spawn(move || act(make)));
        let outcomes = threads.map(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow!("a thread has panicked")),
        });
        outcomes.into_iter().collect()
    })
}

fn measure(cluster: &Cluster, make: Make) -> Result<Figures> {
    Ok(Figures {
        cut: cut(cluster, make)?,
        stopped: stop(cluster, make)?,
        killed: kill(cluster, make)?,
    })
}

fn print(cluster: &Cluster, figures: &[Figures]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "Kafka {}, session timeout {} s, tick 0.5 s, {} partitions, {} messages/s, 2 members\n",
        cluster.version(),
        SESSION_TIMEOUT.as_secs(),
        LOAD.partitions,
        LOAD.rate
    )?;
    let makes: String = MAKES
        .iter()
        .map(|make| format!("{:>10}", make.name()))
        .collect();
    writeln!(out, "{:<54}{makes}", "")?;
    let mut row = |name: &str, figure: &dyn Fn(&Figures) -> String| {
        let figures: String = figures
            .iter()
            .map(|figures| format!("{:>10}", figure(figures)))
            .collect();
        writeln!(out, "{}", format!("{name:<54}{figures}").trim_end())
    };
    row("cut off from ZooKeeper for 20 s", &|_| String::new())?;
    row("  deliveries beside the new owner's", &|f| {
        f.cut.overlapping.to_string()
    })?;
    row("  last delivery of the one cut off, after the cut", &|f| {
        seconds(f.cut.last)
    })?;
    row("  messages delivered three times or more", &|f| {
        f.cut.tripled.to_string()
    })?;
    row("  committed offset went back", &|f| back(f.cut.went_back))?;
    row("  taken over after", &|f| seconds(f.cut.taken_over))?;
    row("stopped for 10 s", &|_| String::new())?;
    row("  stale deliveries when it went on", &|f| {
        f.stopped.stale.to_string()
    })?;
    row("  committed offset went back", &|f| {
        back(f.stopped.went_back)
    })?;
    row("killed", &|_| String::new())?;
    row("  taken over after", &|f| seconds(f.killed.taken_over))?;
    Ok(())
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

/// Whether something went back, and by how much.
fn back(messages: i64) -> String {
    match messages {
        0 => "no".to_owned(),
        messages => format!("by {messages}"),
    }
}
