//! Lines that are shown again and again in place, on a terminal.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use crate::table::size;

/// The screen beside the one with the shell's lines, and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// The colours of those that are told apart: none of them is hard to read on either background.
const COLOURS: [u8; 6] = [36, 33, 32, 35, 94, 91];

/// How a piece of a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Strong,
    Faint,
    Alarm,
    /// One of a few colours, by a number, for what belongs together.
    Colour(usize),
}

/// A line of pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pieces: Vec<(Style, String)>,
}

impl Line {
    pub(crate) fn new(style: Style, text: impl Into<String>) -> Self {
        Self::default().with(style, text)
    }

    pub(crate) fn with(mut self, style: Style, text: impl Into<String>) -> Self {
        self.pieces.push((style, text.into()));
        self
    }

    /// The line without its looks.
    pub(crate) fn text(&self) -> String {
        let pieces = self.pieces.iter().map(|(_, text)| text.as_str());
        pieces.collect()
    }

    /// The line in so many columns: where it is longer, with an ellipsis in place of its end.
    pub(crate) fn fit(mut self, columns: usize) -> Self {
        let lengths = self.pieces.iter().map(|(_, text)| text.chars().count());
        if lengths.sum::<usize>() <= columns {
            return self;
        }
        let mut left = columns.saturating_sub(1);
        for (_, text) in &mut self.pieces {
            *text = text.chars().take(left).collect();
            left -= text.chars().count();
        }
        match columns {
            0 => self,
            _ => self.with(Style::Faint, "…"),
        }
    }

    /// What a terminal is sent for it: no more than `columns` characters, and none that moves the cursor.
    fn codes(&self, columns: usize, coloured: bool) -> String {
        let mut codes = String::new();
        let mut left = columns;
        for (style, text) in &self.pieces {
            let shown = text.chars().take(left);
            let shown: String = shown
                .map(|c| if c.is_control() { '?' } else { c })
                .collect();
            left -= shown.chars().count();
            match style.code().filter(|_| coloured) {
                // Writing to a string does not fail.
                Some(code) => drop(write!(codes, "\x1b[{code}m{shown}\x1b[0m")),
                None => codes += &shown,
            }
        }
        codes
    }
}

impl Style {
    fn code(self) -> Option<u8> {
        match self {
            Self::Plain => None,
            Self::Strong => Some(1),
            Self::Faint => Some(2),
            Self::Alarm => Some(31),
            Self::Colour(number) => COLOURS.get(number % COLOURS.len()).copied(),
        }
    }
}

/// A terminal whose screen is this program's until this is dropped.
#[derive(Debug)]
pub(crate) struct Screen {
    coloured: bool,
}

impl Screen {
    /// Takes the screen; `None` where stdout is no terminal that can show one. `NO_COLOR` in the environment is respected.
    pub(crate) fn open() -> io::Result<Option<Self>> {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if is_dumb || size().is_none() {
            return Ok(None);
        }
        let no_color = std::env::var_os("NO_COLOR");
        let screen = Self {
            coloured: no_color.is_none_or(|value| value.is_empty()),
        };
        send(ENTER)?;
        Ok(Some(screen))
    }

    /// Shows the lines that `lines` makes for so many columns and rows in place of what was there.
    pub(crate) fn draw(&self, lines: impl FnOnce(usize, usize) -> Vec<Line>) -> io::Result<()> {
        // A terminal that is closed tells so when it is written to.
        let (columns, rows) = size().unwrap_or((80, 24));
        let lines = lines(columns, rows);
        send(&frame(&lines, columns, rows, self.coloured))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // With a closed terminal there is nothing to restore.
        let _ = send(LEAVE);
    }
}

/// Everything is written from the upper left corner on, so that nothing of an earlier frame stays.
fn frame(lines: &[Line], columns: usize, rows: usize, coloured: bool) -> String {
    let mut frame = "\x1b[H".to_owned();
    for (index, line) in lines.iter().take(rows).enumerate() {
        if index > 0 {
            frame += "\r\n";
        }
        // Before the line and not behind it, where a full line leaves the cursor on its last character.
        frame += "\x1b[2K";
        frame += &line.codes(columns, coloured);
    }
    if lines.len() < rows {
        // What is below the last line.
        frame += "\r\n\x1b[0J";
    }
    frame
}

fn send(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests;
