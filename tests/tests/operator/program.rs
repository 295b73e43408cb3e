//! Running `divvy` to its end, and reading the JSON that it printed.

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{Cluster, Divvy};
use serde_json::Value;

use crate::PATIENCE;

/// What a command printed, and how it ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) lines: Vec<String>,
    pub(crate) complaint: String,
}

/// Runs a command line of `divvy` on a cluster, found through its ZooKeeper.
pub(crate) fn ends(cluster: &Cluster, command_line: &str) -> Result<Ended> {
    let mut arguments: Vec<String> = command_line.split(' ').map(str::to_owned).collect();
    arguments.extend(["--zookeeper".to_owned(), cluster.zookeeper_connect()]);
    let (status, divvy) = Divvy::command(arguments).run(b"", PATIENCE)?;
    Ok(Ended {
        code: status.code(),
        lines: divvy.stdout().texts(),
        complaint: divvy.stderr().tail(20),
    })
}

/// [`ends`] with success, and gives what it printed with `--json`.
pub(crate) fn json(cluster: &Cluster, command_line: &str) -> Result<Vec<Value>> {
    let ended = ends(cluster, &format!("{command_line} --json"))?;
    ensure!(ended.code == Some(0), "{command_line}: {}", ended.complaint);
    ended.json()
}

impl Ended {
    pub(crate) fn json(&self) -> Result<Vec<Value>> {
        let read = |line: &String| serde_json::from_str(line).with_context(|| line.clone());
        self.lines.iter().map(read).collect()
    }
}

/// The lines of one kind.
pub(crate) fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

/// A consumer of a group that runs until it is dropped, once it owns every partition.
pub(crate) fn consumer(
    cluster: &Cluster,
    group: &str,
    topic: &str,
    options: &str,
) -> Result<Divvy> {
    let zookeeper = cluster.zookeeper_connect();
    let consume = format!(
        "consume --zookeeper {zookeeper} --group {group} --topic {topic} --commit-interval 200ms --events json"
    );
    let options = options.split_whitespace();
    let member = Divvy::command(consume.split(' ').chain(options)).spawn()?;
    member.wait_for_event(PATIENCE, "assigned", |_| true)?;
    Ok(member)
}
