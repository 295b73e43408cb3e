//! Tables for people, and lines for anybody.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;

/// What a column is shortened to at most, where a table is too wide.
const NARROWEST: usize = 8;

/// What stands between columns.
const GAP: usize = 2;

/// Rows under headings.
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Clone, Copy)]
pub(crate) struct Column {
    heading: &'static str,
    right: bool,
}

/// A column of texts.
pub(crate) fn text(heading: &'static str) -> Column {
    Column {
        heading,
        right: false,
    }
}

/// A column of numbers.
pub(crate) fn number(heading: &'static str) -> Column {
    Column {
        heading,
        right: true,
    }
}

impl Table {
    pub(crate) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, which has a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The headings and the rows. Where `width` is given and not enough, the widest column of texts is shortened in its cells'
    /// middles, because names differ at their ends.
    pub(crate) fn lines(&self, width: Option<usize>) -> Vec<String> {
        let mut widths: Vec<usize> = self.columns.iter().map(|c| c.heading.len()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        if let Some(width) = width {
            self.shorten(&mut widths, width);
        }
        let headings = self.columns.iter().map(|c| c.heading.to_owned()).collect();
        let rows = std::iter::once(&headings).chain(&self.rows);
        rows.map(|row| self.line(row, &widths)).collect()
    }

    fn shorten(&self, widths: &mut [usize], width: usize) {
        let total =
            |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        while let Some(over) = total(widths).checked_sub(width).filter(|over| *over > 0) {
            let texts = widths.iter_mut().zip(&self.columns);
            let texts = texts.filter(|(width, column)| !column.right && **width > NARROWEST);
            let Some((widest, _)) = texts.max_by_key(|(width, _)| **width) else {
                return;
            };
            *widest = widest.saturating_sub(over).max(NARROWEST);
        }
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, width), column) in row.iter().zip(widths).zip(&self.columns) {
            let cell = shortened(cell, *width);
            let gap = if line.is_empty() { 0 } else { GAP };
            line.extend(std::iter::repeat_n(' ', gap));
            line += &match column.right {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            };
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// A text of so many characters at most, without its middle if it is longer. What would move the cursor is shown as a question
/// mark: names in ZooKeeper are written by others.
fn shortened(text: &str, width: usize) -> String {
    let chars: Vec<char> = text
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    if chars.len() <= width {
        return chars.into_iter().collect();
    }
    let kept = width.saturating_sub(1);
    let (front, back) = (kept - kept / 2, kept / 2);
    let front = chars.iter().take(front);
    let back = chars.iter().skip(chars.len() - back);
    front.chain(&['…']).chain(back).collect()
}

/// How wide a table may be: as the terminal, if stdout is one.
pub(crate) fn width() -> Option<usize> {
    size().map(|(columns, _)| columns)
}

/// Columns and rows of the terminal, if stdout is one and knows them.
pub(crate) fn size() -> Option<(usize, usize)> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then(|| (size.ws_col.into(), size.ws_row.into()))
}

/// Prints lines. A reader that wants no more of them is no failure.
pub(crate) fn print(lines: impl IntoIterator<Item = String>) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let print = || {
        for line in lines {
            writeln!(out, "{line}")?;
        }
        out.flush()
    };
    match print() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

/// What is not known is a dash.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([text("name"), number("lag"), text("owner")]);
        table.row(["a", "7", "billing_host-1433000000000-00c0ffee-0"].map(str::to_owned));
        table.row(["bcd", "12345", "-"].map(str::to_owned));
        table
    }

    #[test]
    fn columns_stand_below_one_another() {
        assert_eq!(
            table().lines(None),
            [
                "name    lag  owner",
                "a         7  billing_host-1433000000000-00c0ffee-0",
                "bcd   12345  -",
            ]
        );
    }

    #[test]
    fn the_widest_text_gives_way() {
        for width in [21, 24, 30, 50] {
            let lines = table().lines(Some(width));
            assert!(
                lines.iter().all(|line| line.chars().count() <= width),
                "{lines:?}"
            );
            assert!(lines[2].ends_with("12345  -"));
        }
        let narrow = table().lines(Some(21));
        assert_eq!(narrow[1], "a         7  bill…e-0");
        // Numbers are never shortened.
        assert!(table().lines(Some(1))[2].contains("12345"));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut table = Table::new([text("data")]);
        table.row(["a\u{1b}[2Jb\n".to_owned()]);
        assert_eq!(table.lines(None)[1], "a?[2Jb?");
    }
}
