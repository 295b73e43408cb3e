//! Telling what came of each message: the acknowledged ones on stdout, the others on stderr.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::io::{self, Write};
use std::thread;

use bytes::Bytes;
use divvy::{Delivery, ProducerError, RecordMetadata};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::format;

/// How many messages may wait for the reporter beside those that wait for their brokers.
const QUEUED: usize = 1024;
/// How many lines may wait for stdout.
const QUEUED_LINES: usize = 1024;
/// How much of a message that was not delivered is shown.
const SHOWN: usize = 100;

/// A message that the producer took.
pub(super) struct Sent {
    pub(super) key: Option<Bytes>,
    pub(super) value: Bytes,
    pub(super) delivery: Delivery,
}

/// What came of the messages so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) delivered: u64,
    pub(super) failed: u64,
}

/// Waits for deliveries and tells of them as they come, those of one partition in the order in which they were sent.
pub(super) struct Reporter {
    sent: mpsc::Sender<Sent>,
    counts: watch::Receiver<Counts>,
    task: JoinHandle<io::Result<()>>,
}

impl Reporter {
    /// Starts it; with `lines` each acknowledged message becomes a line of stdout.
    pub(super) fn start(lines: bool) -> io::Result<Self> {
        let writer = if lines { Some(Writer::start()?) } else { None };
        let (sent, queue) = mpsc::channel(QUEUED);
        let (counted, counts) = watch::channel(Counts::default());
        let task = tokio::spawn(report(queue, counted, writer));
        Ok(Self { sent, counts, task })
    }

    /// Waits, while stdout is slow, until a message more can be taken over; `None` where stdout cannot be written any more.
    pub(super) async fn reserve(&self) -> Option<mpsc::Permit<'_, Sent>> {
        self.sent.reserve().await.ok()
    }

    pub(super) fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Waits until everything is told.
    pub(super) async fn finish(self) -> io::Result<Counts> {
        drop(self.sent);
        self.task.await.map_err(io::Error::other)??;
        Ok(*self.counts.borrow())
    }
}

/// Shows a message that was not delivered, shortened.
pub(super) fn show_failure(value: &[u8], error: &ProducerError) {
    let shown = value.get(..SHOWN).unwrap_or(value);
    let more = if shown.len() < value.len() { "…" } else { "" };
    // With a closed stderr there is nobody left to tell.
    let _ = writeln!(
        io::stderr(),
        "divvy: not delivered: \"{}\"{more}: {error}",
        shown.escape_ascii()
    );
}

async fn report(
    mut queue: mpsc::Receiver<Sent>,
    counted: watch::Sender<Counts>,
    writer: Option<Writer>,
) -> io::Result<()> {
    let mut waiting = Waiting::default();
    let mut is_open = true;
    while is_open || !waiting.is_empty() {
        let told = tokio::select! {
            sent = queue.recv(), if is_open => {
                match sent {
                    Some(sent) => waiting.push(sent),
                    None => is_open = false,
                }
                continue;
            }
            Some(told) = waiting.next() => told,
        };
        match told.outcome {
            Ok(metadata) => {
                counted.send_modify(|counts| counts.delivered += 1);
                let line = || line(&metadata, told.key.as_deref(), &told.value);
                if let Some(writer) = &writer
                    && !writer.write(line()).await
                {
                    break;
                }
            }
            Err(error) => {
                counted.send_modify(|counts| counts.failed += 1);
                show_failure(&told.value, &error);
            }
        }
    }
    match writer {
        Some(writer) => writer.finish().await,
        None => Ok(()),
    }
}

/// The messages without an outcome. Of each partition the oldest is waited for and the others queue behind it, so that they are
/// told in their order.
#[derive(Default)]
struct Waiting {
    oldest: FuturesUnordered<BoxFuture<'static, Told>>,
    behind: HashMap<i32, VecDeque<Sent>>,
}

/// A message with its outcome.
struct Told {
    partition: i32,
    key: Option<Bytes>,
    value: Bytes,
    outcome: Result<RecordMetadata, ProducerError>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.oldest.is_empty()
    }

    fn push(&mut self, sent: Sent) {
        match self.behind.entry(sent.partition()) {
            Entry::Occupied(mut partition) => partition.get_mut().push_back(sent),
            Entry::Vacant(partition) => {
                partition.insert(VecDeque::new());
                self.oldest.push(Box::pin(sent.outcome()));
            }
        }
    }

    /// The next message that has its outcome; `None` while there is none at all. Nothing is lost when it is cancelled.
    async fn next(&mut self) -> Option<Told> {
        let told = self.oldest.next().await?;
        let behind = self.behind.get_mut(&told.partition);
        match behind.and_then(VecDeque::pop_front) {
            Some(next) => self.oldest.push(Box::pin(next.outcome())),
            None => drop(self.behind.remove(&told.partition)),
        }
        Some(told)
    }
}

impl Sent {
    fn partition(&self) -> i32 {
        self.delivery.partition().partition
    }

    async fn outcome(self) -> Told {
        Told {
            partition: self.partition(),
            key: self.key,
            value: self.value,
            outcome: self.delivery.await,
        }
    }
}

fn line(metadata: &RecordMetadata, key: Option<&[u8]>, value: &[u8]) -> Vec<u8> {
    let mut object = Map::new();
    object.insert("topic".to_owned(), metadata.tp.topic.as_ref().into());
    object.insert("partition".to_owned(), metadata.tp.partition.into());
    object.insert("offset".to_owned(), metadata.offset.into());
    format::bytes(&mut object, "key", key);
    format::bytes(&mut object, "value", Some(value));
    let mut line = Value::Object(object).to_string().into_bytes();
    line.push(b'\n');
    line
}

/// Lines on their way to stdout, written by a thread of its own, which may block.
struct Writer {
    lines: mpsc::Sender<Vec<u8>>,
    ended: tokio::sync::oneshot::Receiver<io::Result<()>>,
}

impl Writer {
    fn start() -> io::Result<Self> {
        let (lines, queue) = mpsc::channel(QUEUED_LINES);
        let (end, ended) = tokio::sync::oneshot::channel();
        thread::Builder::new()
            .name("divvy-stdout".to_owned())
            .spawn(move || {
                // Whoever does not wait for the end does not care about it.
                let _ = end.send(write_lines(queue, io::stdout().lock()));
            })?;
        Ok(Self { lines, ended })
    }

    /// `false` where writing has failed.
    async fn write(&self, line: Vec<u8>) -> bool {
        self.lines.send(line).await.is_ok()
    }

    async fn finish(self) -> io::Result<()> {
        drop(self.lines);
        self.ended.await.map_err(io::Error::other)?
    }
}

/// Writes what has come and flushes it before waiting for more.
fn write_lines(mut queue: mpsc::Receiver<Vec<u8>>, output: impl Write) -> io::Result<()> {
    let mut output = io::BufWriter::with_capacity(64 << 10, output);
    while let Some(line) = queue.blocking_recv() {
        output.write_all(&line)?;
        while let Ok(line) = queue.try_recv() {
            output.write_all(&line)?;
        }
        output.flush()?;
    }
    Ok(())
}
