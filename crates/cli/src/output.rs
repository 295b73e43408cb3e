//! Writing lines to stdout from a thread of its own, and acknowledging each message when its line has been written.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use divvy::{Acker, Batch};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::{mpsc, watch};

use crate::format::Format;

/// A pipe that can be written at all takes this much without blocking, whole or not at all (`PIPE_BUF`), so that it is always
/// known which lines were written.
const PIECE: usize = 4096;

/// How many bytes of lines are formatted ahead.
const BLOCK: usize = 64 << 10;
const BLOCKS: usize = 4;

/// How long the writer waits for a reader before it looks whether its lines are still wanted.
const PATIENCE: Duration = Duration::from_millis(100);

/// Lines of one partition.
struct Block {
    bytes: Vec<u8>,
    /// Where each line ends, and the offset of its message.
    lines: Vec<(usize, i64)>,
    acker: Acker,
}

/// How writing goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    Open,
    /// Nobody reads any more.
    Closed,
    Failed(String),
}

/// The lines on their way to stdout.
pub(crate) struct Output {
    blocks: mpsc::Sender<Block>,
    /// How many blocks were passed on, and how many of them the writer is done with.
    passed_on: AtomicU64,
    done: watch::Receiver<u64>,
    /// How many lines were thrown away since this was asked for.
    thrown_away: Arc<AtomicU64>,
    state: watch::Receiver<Writing>,
    format: Format,
}

impl Output {
    /// Starts the writer.
    pub(crate) fn start(format: Format) -> io::Result<Self> {
        let (blocks, queue) = mpsc::channel(BLOCKS);
        let (state, seen) = watch::channel(Writing::Open);
        let (doing, done) = watch::channel(0);
        let thrown_away = Arc::new(AtomicU64::new(0));
        thread::Builder::new()
            .name("divvy-stdout".to_owned())
            .spawn({
                let (state, thrown_away) = (state.clone(), Arc::clone(&thrown_away));
                move || write_blocks(queue, &doing, &thrown_away, &state)
            })?;
        thread::Builder::new()
            .name("divvy-stdout-end".to_owned())
            .spawn(move || watch_reader(&state))?;
        Ok(Self {
            blocks,
            passed_on: AtomicU64::new(0),
            thrown_away,
            done,
            state: seen,
            format,
        })
    }

    /// Formats up to `max` messages of a batch, those before `until`, and passes them on. Gives how many; waits while the reader
    /// is slow. When cancelled, nothing was taken from the batch that is not on its way.
    pub(crate) async fn write(&self, batch: &mut Batch<'_>, max: u64, until: Option<i64>) -> u64 {
        let Ok(permit) = self.blocks.reserve().await else {
            // The writer has ended, and whoever waits for that goes on from there.
            return std::future::pending().await;
        };
        let acker = batch.acker();
        let tp = batch.partition().clone();
        let (mut bytes, mut lines) = (Vec::with_capacity(BLOCK), Vec::new());
        let mut count = 0;
        while until.is_none_or(|until| batch.peek_offset().is_some_and(|next| next < until)) {
            let Some(record) = batch.next_record() else {
                break;
            };
            self.format.write(&mut bytes, &tp, &record);
            lines.push((bytes.len(), record.offset));
            count += 1;
            if bytes.len() >= BLOCK || count >= max {
                break;
            }
        }
        permit.send(Block {
            bytes,
            lines,
            acker,
        });
        self.passed_on.fetch_add(1, Ordering::Relaxed);
        count
    }

    /// Waits until everything that was passed on is written, or thrown away because it is in other hands.
    pub(crate) async fn written(&self) {
        let passed_on = self.passed_on.load(Ordering::Relaxed);
        // Without the writer nothing more is written; its state says why.
        let _ = self.done.clone().wait_for(|done| *done >= passed_on).await;
    }

    /// How many lines that were passed on have been thrown away since the last call.
    pub(crate) fn take_thrown_away(&self) -> u64 {
        self.thrown_away.swap(0, Ordering::Relaxed)
    }

    /// Waits until writing has ended, because nobody reads or by a failure.
    pub(crate) async fn ended(&self) -> Writing {
        let mut state = self.state.clone();
        match state.wait_for(|state| *state != Writing::Open).await {
            Ok(state) => state.clone(),
            Err(_) => Writing::Failed("the writer ended".to_owned()),
        }
    }
}

/// Waits until nobody reads stdout any more, which nothing else tells while there is nothing to write.
fn watch_reader(state: &watch::Sender<Writing>) {
    let stdout = io::stdout();
    loop {
        // Asked for nothing, it tells of errors alone: of a pipe without a reader, but never of a file.
        let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
        match poll(&mut fds, None) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => {
                state.send_if_modified(|state| {
                    let open = *state == Writing::Open;
                    if open {
                        *state = Writing::Closed;
                    }
                    open
                });
                return;
            }
            Err(_) => return,
        }
    }
}

fn write_blocks(
    mut queue: mpsc::Receiver<Block>,
    done: &watch::Sender<u64>,
    thrown_away: &AtomicU64,
    state: &watch::Sender<Writing>,
) {
    while let Some(block) = queue.blocking_recv() {
        match write_block(&block) {
            Ok(0) => {}
            Ok(thrown) => {
                thrown_away.fetch_add(thrown as u64, Ordering::Relaxed);
                // A reader that is stuck gets nothing new before it goes on: it may be for its sake that the lines were unwanted.
                while !is_writable(&io::stdout()) {}
            }
            Err(error) => {
                let ended = match error.kind() {
                    io::ErrorKind::BrokenPipe => Writing::Closed,
                    _ => Writing::Failed(error.to_string()),
                };
                state.send_replace(ended);
                return;
            }
        }
        done.send_modify(|done| *done += 1);
    }
}

/// Writes whole lines in small pieces, and acknowledges them as they are written. Once the partition is not known to be this
/// member's alone the others are thrown away; they come again if it turns out to be. Gives how many those are.
fn write_block(block: &Block) -> io::Result<usize> {
    let mut written = 0;
    let mut lines = block.lines.iter().copied().peekable();
    while let Some((mut end, mut offset)) = lines.next() {
        let (first, before) = (offset, lines.len() + 1);
        while let Some((next_end, next_offset)) =
            lines.next_if(|(next_end, _)| next_end - written <= PIECE)
        {
            (end, offset) = (next_end, next_offset);
        }
        let text = block.bytes.get(written..end).unwrap_or_default();
        if !write_lines(text, &block.acker)? {
            block.acker.give_up(first);
            return Ok(before);
        }
        block.acker.ack_through(offset);
        written = end;
    }
    Ok(0)
}

/// Gives `false` where the lines are not wanted any more; a line that was begun is ended all the same.
fn write_lines(mut text: &[u8], acker: &Acker) -> io::Result<bool> {
    let stdout = io::stdout();
    let mut begun = false;
    while !text.is_empty() {
        if !begun && !acker.is_fresh() {
            return Ok(false);
        }
        if !is_writable(&stdout) {
            continue;
        }
        // Between the poll and here others may have filled the pipe; then this blocks, like any write.
        let piece = text.get(..PIECE.min(text.len())).unwrap_or(text);
        match rustix::io::write(stdout.as_fd(), piece) {
            Ok(count) => {
                text = text.get(count..).unwrap_or_default();
                begun = true;
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Whether something can be written, waiting a little for that. So it is too where writing fails, which then says why.
fn is_writable(stdout: &io::Stdout) -> bool {
    let mut fds = [PollFd::new(stdout, PollFlags::OUT)];
    let patience = Timespec {
        tv_sec: 0,
        tv_nsec: PATIENCE.subsec_nanos().into(),
    };
    !matches!(
        poll(&mut fds, Some(&patience)),
        Ok(0) | Err(rustix::io::Errno::INTR)
    )
}
