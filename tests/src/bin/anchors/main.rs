//! Strikes two members of a group with the same faults, whoever made them, and prints what came of it:
//!
//! ```text
//! tests/anchors
//! ```
//!
//! A group of each make runs at the same time, on a cluster that all share. The figures are those of one run.

mod measure;
mod stage;

use std::io::Write as _;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use divvy_tests::Cluster;

use self::measure::{Cut, Killed, Stopped, cut, kill, stop};
use self::stage::{Make, PARTITIONS, RATE, SESSION_TIMEOUT};

const MAKES: [Make; 3] = [Make::Java, Make::PyKafka, Make::Divvy];

/// What became of one make's members.
struct Figures {
    cut: Cut,
    stopped: Stopped,
    killed: Killed,
}

fn main() -> Result<()> {
    let cluster = &Cluster::builder().start()?;
    let figures = thread::scope(|scope| {
        let threads = MAKES.map(|make| scope.spawn(move || measure(cluster, make)));
        let figures = threads.map(|thread| match thread.join() {
            Ok(figures) => figures,
            Err(_) => Err(anyhow!("a thread has panicked")),
        });
        figures.into_iter().collect::<Result<Vec<Figures>>>()
    })?;
    print(cluster, &figures)
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
        "Kafka {}, session timeout {} s, tick 0.5 s, {PARTITIONS} partitions, {RATE} messages/s, 2 members\n",
        cluster.version(),
        SESSION_TIMEOUT.as_secs()
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
