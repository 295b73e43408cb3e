//! Kafka's own assignor.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};

use super::{PATIENCE, Partition, Rule};
use crate::{Cluster, Process, paths, wait_some};

/// Which thread each partition is for.
pub type Assignment = BTreeMap<Partition, String>;

/// Kafka's own high-level consumer's code, asked how a group is to be shared out. It looks at the group in ZooKeeper each time,
/// as every member does.
#[derive(Debug)]
pub struct JavaAssignor {
    process: Process,
    /// What it said last, and about whom.
    last: Mutex<Option<(BTreeSet<String>, Assignment)>>,
}

impl JavaAssignor {
    /// Starts one for a group.
    ///
    /// # Errors
    ///
    /// When there is no JVM for it.
    pub fn start(cluster: &Cluster, group: &str, rule: Rule) -> Result<JavaAssignor> {
        let program = paths::tests().join("java/Assignment.java");
        let zookeeper = cluster.zookeeper_connect();
        let arguments = [zookeeper.as_str(), group, rule.name()];
        // The JVM compiles a program that it is given as a file.
        let process = cluster.java_tool(&program.display().to_string(), arguments)?;
        Ok(JavaAssignor {
            process,
            last: Mutex::new(None),
        })
    }

    /// Which thread each partition is for, in the group of exactly these members, which must be registered.
    ///
    /// # Errors
    ///
    /// When the assignor fails; the error shows the end of its stderr.
    pub fn assignment(&self, members: &BTreeSet<String>) -> Result<Assignment> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((about, assignment)) = &*last
            && about == members
        {
            return Ok(assignment.clone());
        }
        let mut assignment = Assignment::new();
        for member in members {
            assignment.extend(self.ask(member)?);
        }
        *last = Some((members.clone(), assignment.clone()));
        Ok(assignment)
    }

    fn ask(&self, member: &str) -> Result<Vec<(Partition, String)>> {
        let stdout = self.process.stdout();
        let from = stdout.len();
        self.process.write(format!("{member}\n").as_bytes())?;
        let answer = wait_some(PATIENCE, "an answer of Kafka's assignor", || {
            let lines = stdout.since(from);
            (lines.last().is_some_and(|line| line.bytes == b".") || !self.process.is_running())
                .then_some(lines)
        })
        .with_context(|| self.process.stderr().tail(20))?;
        let Some((_, assigned)) = answer.split_last() else {
            bail!(
                "Kafka's assignor has ended: {}",
                self.process.stderr().tail(20)
            )
        };
        assigned
            .iter()
            .map(|line| {
                let text = line.text();
                let fields: Vec<&str> = text.split(' ').collect();
                let [topic, partition, thread] = fields[..] else {
                    bail!("Kafka's assignor said {text:?}")
                };
                Ok(((topic.to_owned(), partition.parse()?), thread.to_owned()))
            })
            .collect()
    }
}
