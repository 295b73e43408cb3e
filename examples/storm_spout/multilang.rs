//! Storm's multilang protocol, the side of a spout: JSON texts over standard input and output, each followed by a line `end`.

use std::fs::File;
use std::io::{self, BufRead, BufWriter, Read as _, Stdout, Write as _};
use std::path::PathBuf;
use std::thread;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use divvy::SpoutMessage;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

#[cfg(test)]
mod tests;

/// The longest message that is taken from Storm. The settings of a topology are the longest that there are.
const MAX_MESSAGE: u64 = 16 << 20;
/// Storm sends one command at a time, and waits for its answer.
const COMMANDS: usize = 1;

/// What Storm says first.
#[derive(Debug, Deserialize)]
pub(crate) struct Setup {
    /// The settings of the topology.
    #[serde(default)]
    conf: Map<String, Value>,
    /// Where a file tells Storm which process to kill.
    #[serde(rename = "pidDir")]
    pid_dir: PathBuf,
}

/// What Storm says then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Emit something, if there is something.
    Next,
    /// The tuple of this id was worked off, with all that came of it.
    Ack(String),
    /// The tuple of this id was not.
    Fail(String),
    /// The topology goes on.
    Activate,
    /// The topology pauses.
    Deactivate,
    /// What later versions of Storm may say. It wants an answer all the same.
    Other,
}

/// How important a line of the log is, by Storm's numbers. Errors are shown in its UI, too.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    /// What is seen while looking for a fault.
    Debug = 1,
    /// What goes as it should.
    Info = 2,
    /// What somebody may want to know.
    Warn = 3,
    /// What somebody has to see to.
    Error = 4,
}

/// The line to Storm.
#[derive(Debug)]
pub(crate) struct Storm {
    commands: mpsc::Receiver<Result<Command>>,
    output: BufWriter<Stdout>,
}

impl Setup {
    /// A setting of the topology that is a number; `None` where it is not set.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.conf.get(name)?.as_u64()
    }
}

impl Storm {
    /// Takes the setup, and leaves this process's id where Storm looks for it. Storm waits for [`Storm::ready`] then.
    pub(crate) fn shake_hands() -> Result<(Self, Setup)> {
        let mut input = io::stdin().lock();
        let setup = read(&mut input)?.context("Storm has said nothing")?;
        drop(input);
        let setup: Setup = serde_json::from_value(setup).context("this is no setup of Storm's")?;
        let pid_file = setup.pid_dir.join(std::process::id().to_string());
        File::create(&pid_file).with_context(|| format!("cannot create {}", pid_file.display()))?;

        let (sender, commands) = mpsc::channel(COMMANDS);
        // A thread of its own, because nothing can end a read of standard input that waits.
        thread::spawn(move || {
            let mut input = io::stdin().lock();
            while let Some(command) = read_command(&mut input).transpose() {
                let failed = command.is_err();
                if sender.blocking_send(command).is_err() || failed {
                    break;
                }
            }
        });
        let output = BufWriter::new(io::stdout());
        Ok((Self { commands, output }, setup))
    }

    /// Ends the handshake: from now on Storm sends commands.
    pub(crate) fn ready(&mut self) -> Result<()> {
        self.write(&json!({ "pid": std::process::id() }))?;
        Ok(self.output.flush()?)
    }

    /// The next command; `None` when Storm has gone. Nothing is lost if it is cancelled.
    pub(crate) async fn command(&mut self) -> Result<Option<Command>> {
        self.commands.recv().await.transpose()
    }

    /// Emits a message as a tuple that is to be acknowledged.
    pub(crate) fn emit(&mut self, message: &SpoutMessage) -> Result<()> {
        self.write(&json!({
            "command": "emit",
            "id": message.id.to_string(),
            // To which tasks it goes is of no use here, and Storm would tell it in one more message.
            "need_task_ids": false,
            "tuple": [
                &*message.tp.topic,
                message.tp.partition,
                message.offset,
                as_json(message.key.as_deref()),
                as_json(message.value.as_deref()),
            ],
        }))
    }

    /// Writes a line into the log of Storm's worker.
    pub(crate) fn log(&mut self, level: Level, line: &str) -> Result<()> {
        self.write(&json!({ "command": "log", "msg": line, "level": level as i32 }))
    }

    /// Ends the answer to a command. Storm reads nothing before that.
    pub(crate) fn sync(&mut self) -> Result<()> {
        self.write(&json!({ "command": "sync" }))?;
        Ok(self.output.flush()?)
    }

    fn write(&mut self, message: &Value) -> Result<()> {
        serde_json::to_writer(&mut self.output, message)?;
        Ok(self.output.write_all(b"\nend\n")?)
    }
}

/// Bytes as a value of a tuple.
fn as_json(bytes: Option<&[u8]>) -> Value {
    let Some(bytes) = bytes else {
        return Value::Null;
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

/// Reads on to the next command; `None` at the end.
fn read_command(input: &mut impl BufRead) -> Result<Option<Command>> {
    loop {
        match read(input)? {
            Some(Value::Object(fields)) => return Ok(Some(command(&fields))),
            // The tasks that a tuple went to. They are not asked for.
            Some(Value::Array(_)) => {}
            Some(other) => bail!("Storm has said {other}, which is no command"),
            None => return Ok(None),
        }
    }
}

fn command(fields: &Map<String, Value>) -> Command {
    // Ids are ours, and text. One that is not belongs to no message.
    let id = || {
        let id = fields.get("id").and_then(Value::as_str);
        id.unwrap_or_default().to_owned()
    };
    match fields.get("command").and_then(Value::as_str) {
        Some("next") => Command::Next,
        Some("ack") => Command::Ack(id()),
        Some("fail") => Command::Fail(id()),
        Some("activate") => Command::Activate,
        Some("deactivate") => Command::Deactivate,
        _ => Command::Other,
    }
}

/// Reads one message; `None` at the end, and where the last one was cut off.
fn read(input: &mut impl BufRead) -> Result<Option<Value>> {
    let mut message = Vec::new();
    let mut input = input.take(MAX_MESSAGE);
    loop {
        let start = message.len();
        input.read_until(b'\n', &mut message)?;
        let line = &message[start..];
        if !line.ends_with(b"\n") {
            if input.limit() == 0 {
                bail!("a message of Storm's has more than {MAX_MESSAGE} bytes");
            }
            return Ok(None);
        }
        if line.trim_ascii() == b"end" {
            let text = &message[..start];
            let value = serde_json::from_slice(text).with_context(|| {
                let start = String::from_utf8_lossy(&text[..text.len().min(100)]);
                format!("Storm has said {start}, which is no JSON")
            })?;
            return Ok(Some(value));
        }
    }
}
