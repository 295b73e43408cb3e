//! Storm's side of the multilang protocol, as its `ShellSpout` and `ShellProcess` speak it.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use divvy_tests::Process;
use serde_json::{Value, json};

/// How long an answer may take before the harness gives up. Storm's own patience is 30 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// A spout's process, to which this is Storm.
pub(crate) struct Shell {
    process: Arc<Process>,
    /// How many lines were read.
    lines: usize,
    /// The longest time that an answer took. While it waits, Storm hears nothing of the spout: this is what its heartbeat is.
    pub(crate) slowest: Duration,
}

/// What a spout has said before it was in sync.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) tuples: Vec<Tuple>,
    /// The lines for the worker's log: level and text.
    pub(crate) log: Vec<(i64, String)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Tuple {
    pub(crate) id: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Value,
    pub(crate) value: Value,
}

impl Shell {
    /// Starts the process, and shakes hands with it. `pids` is where it must leave its process id.
    pub(crate) fn start(
        program: &Path,
        arguments: &[&str],
        pids: &Path,
        task: usize,
    ) -> Result<Self> {
        let process = Process::spawn("storm_spout", Command::new(program).args(arguments))?;
        let mut shell = Self {
            process: Arc::new(process),
            lines: 0,
            slowest: Duration::ZERO,
        };
        shell.say(&json!({
            "conf": {
                "topology.name": "counting",
                "topology.max.spout.pending": 500,
                "topology.message.timeout.secs": 30,
                "topology.tick.tuple.freq.secs": null,
            },
            "pidDir": pids,
            "context": {
                "task->component": { task.to_string(): "numbers" },
                "taskid": task,
                "componentid": "numbers",
                "stream->target->grouping": {},
                "streams": ["default"],
                "stream->outputfields": { "default": ["topic", "partition", "offset", "key", "value"] },
            },
        }))?;
        let ready = shell.hear()?;
        ensure!(
            ready == json!({ "pid": shell.process.pid() }),
            "not a process id: {ready}"
        );
        let pid = pids.join(shell.process.pid().to_string());
        ensure!(pid.exists(), "there is no {}", pid.display());
        shell.slowest = Duration::ZERO;
        Ok(shell)
    }

    pub(crate) fn process(&self) -> Arc<Process> {
        Arc::clone(&self.process)
    }

    /// One command, and all that the spout says until it is in sync.
    pub(crate) fn ask(&mut self, command: &Value) -> Result<Answer> {
        let asked = Instant::now();
        self.say(command)?;
        let mut answer = Answer::default();
        loop {
            let said = self.hear()?;
            match said["command"].as_str() {
                Some("emit") => answer.tuples.push(Tuple::new(&said)?),
                Some("log") => {
                    let level = said["level"].as_i64().context("a log without a level")?;
                    let text = said["msg"].as_str().context("a log without a text")?;
                    answer.log.push((level, text.to_owned()));
                }
                Some("sync") => break,
                _ => bail!("{command} was answered with {said}"),
            }
        }
        self.slowest = self.slowest.max(asked.elapsed());
        Ok(answer)
    }

    fn say(&self, message: &Value) -> Result<()> {
        self.process.write(format!("{message}\nend\n").as_bytes())
    }

    fn hear(&mut self) -> Result<Value> {
        let mut message = Vec::new();
        loop {
            let line = self.process.stdout().line(self.lines, PATIENCE)?;
            let line = line.with_context(|| {
                let stderr = self.process.stderr().tail(20);
                format!("the spout has ended; its stderr ends with:\n{stderr}")
            })?;
            self.lines += 1;
            if line.bytes == b"end" {
                return Ok(serde_json::from_slice(&message)?);
            }
            message.extend(line.bytes);
            message.push(b'\n');
        }
    }
}

impl Tuple {
    fn new(emit: &Value) -> Result<Self> {
        // Otherwise Storm would answer with task ids, which nobody here does.
        ensure!(emit["need_task_ids"] == false, "{emit} asks for task ids");
        let id = emit["id"].as_str().context("a tuple without an id")?;
        let values = emit["tuple"].as_array().context("a tuple without values")?;
        let [_topic, partition, offset, key, value] = &values[..] else {
            bail!("{emit} has not the declared fields");
        };
        let partition = partition.as_i64().context("a partition that is none")?;
        Ok(Self {
            id: id.to_owned(),
            partition: partition.try_into()?,
            offset: offset.as_i64().context("an offset that is none")?,
            key: key.clone(),
            value: value.clone(),
        })
    }
}
