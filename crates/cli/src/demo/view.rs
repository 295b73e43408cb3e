//! Where the demo is shown: on a screen, or as lines.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::json;

use super::frame::{frame, status};
use super::names::moment;
use super::report::report;
use super::show::Show;
use crate::screen::Screen;

/// How often the state is told where there is no screen.
const STATUS: Duration = Duration::from_secs(1);

/// A screen, or stdout or stderr with lines.
pub(super) struct View {
    length: Duration,
    /// The account is to be JSON.
    json: bool,
    screen: Option<Screen>,
    /// How many events have become lines.
    told: usize,
    next_status: Duration,
}

impl View {
    /// A screen where there is one, and nothing but lines on stderr with `json`.
    pub(super) fn open(json: bool, length: Duration) -> io::Result<Self> {
        let screen = if json { None } else { Screen::open()? };
        Ok(Self {
            length,
            json,
            screen,
            told: 0,
            next_status: STATUS,
        })
    }

    /// Shows the state.
    pub(super) fn draw(&mut self, show: &Show, now: Duration) -> io::Result<()> {
        if let Some(screen) = &self.screen {
            return screen.draw(|columns, rows| frame(show, now, self.length, (columns, rows)));
        }
        let fresh = show.events.get(self.told..).unwrap_or_default();
        self.told = show.events.len();
        for event in fresh {
            self.line(&format!("{:>7}  {}", moment(event.at), event.text))?;
        }
        if now >= self.next_status {
            self.next_status = now + STATUS;
            self.line(&status(show, now))?;
        }
        Ok(())
    }

    /// Leaves the screen and tells the account.
    pub(super) fn end(mut self, show: &Show, took: Duration) -> io::Result<()> {
        if self.screen.take().is_none() {
            self.draw(show, took)?;
        }
        for line in report(show, took) {
            self.line(&line)?;
        }
        if self.json {
            let mut account = show.account.json();
            account["seconds"] = json!(took.as_secs_f64());
            account["members"] = json!(show.members.len());
            account["partitions"] = json!(show.partitions.len());
            account["troubles"] = json!(show.troubles);
            writeln!(io::stdout(), "{account}")?;
        }
        Ok(())
    }

    fn line(&self, line: &str) -> io::Result<()> {
        match self.json {
            true => writeln!(io::stderr(), "{line}"),
            false => writeln!(io::stdout(), "{line}"),
        }
    }
}
