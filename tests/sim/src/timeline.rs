//! What has happened, for those who read about it.

use divvy_embedded_cluster::zookeeper::Millis;

/// The lines of a run. They cost nothing unless they are wanted: a run that fails is repeated with them.
#[derive(Debug)]
pub(crate) struct Timeline {
    wanted: bool,
    lines: Vec<String>,
}

impl Timeline {
    pub(crate) fn new(wanted: bool) -> Self {
        Self {
            wanted,
            lines: Vec::new(),
        }
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted
    }

    pub(crate) fn note(&mut self, now: Millis, line: impl FnOnce() -> String) {
        if self.wanted {
            let (seconds, millis) = (now / 1000, now % 1000);
            self.lines
                .push(format!("{seconds:>4}.{millis:03} {}", line()));
        }
    }

    pub(crate) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}
