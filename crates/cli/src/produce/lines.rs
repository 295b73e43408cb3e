//! Reading lines from stdin on a thread of its own, which a runtime's end does not wait for.

use std::io::{self, BufRead, BufReader, Read};
use std::thread;

use bytes::Bytes;
use tokio::sync::mpsc;

#[cfg(test)]
mod tests;

/// How many bytes are read at a time.
const BLOCK: usize = 64 << 10;
/// How many blocks of lines are read ahead.
const BLOCKS: usize = 4;

/// A line, without its line feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Bytes),
    /// It was longer than allowed, by its length, and nothing of it was kept.
    TooLong(usize),
}

/// The lines of stdin as they come, in blocks; ends with them, or with the error that ended them.
pub(super) fn of_stdin(longest: usize) -> io::Result<mpsc::Receiver<io::Result<Vec<Line>>>> {
    let (blocks, queue) = mpsc::channel(BLOCKS);
    thread::Builder::new()
        .name("divvy-stdin".to_owned())
        .spawn(move || {
            let mut lines = Lines::new(io::stdin(), longest);
            while let Some(block) = lines.next_block().transpose() {
                let is_last = block.is_err();
                if blocks.blocking_send(block).is_err() || is_last {
                    return;
                }
            }
        })?;
    Ok(queue)
}

/// Cuts a stream into lines, as far as they have come.
struct Lines<R> {
    input: BufReader<R>,
    longest: usize,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    /// How long that line is, of which no more than `longest` is kept.
    partial_length: usize,
}

impl<R: Read> Lines<R> {
    fn new(input: R, longest: usize) -> Self {
        Self {
            input: BufReader::with_capacity(BLOCK, input),
            longest,
            partial: Vec::new(),
            partial_length: 0,
        }
    }

    /// The next lines, one at least; `None` at the end. A last line needs no line feed.
    fn next_block(&mut self) -> io::Result<Option<Vec<Line>>> {
        let mut lines = Vec::new();
        while lines.is_empty() {
            let available = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                available => available?.to_vec(),
            };
            self.input.consume(available.len());
            if available.is_empty() {
                if self.partial_length > 0 {
                    lines.push(self.end_line());
                    return Ok(Some(lines));
                }
                return Ok(None);
            }
            let mut pieces = available.split(|byte| *byte == b'\n');
            let last = pieces.next_back().unwrap_or_default();
            for piece in pieces {
                self.add(piece);
                lines.push(self.end_line());
            }
            self.add(last);
        }
        Ok(Some(lines))
    }

    fn add(&mut self, piece: &[u8]) {
        self.partial_length = self.partial_length.saturating_add(piece.len());
        if self.partial_length <= self.longest {
            self.partial.extend_from_slice(piece);
        }
    }

    fn end_line(&mut self) -> Line {
        let length = std::mem::take(&mut self.partial_length);
        let line = std::mem::take(&mut self.partial);
        if length > self.longest {
            Line::TooLong(length)
        } else {
            Line::Whole(line.into())
        }
    }
}
