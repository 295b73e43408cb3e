//! Who descends from whom, by `/proc`.

use std::collections::BTreeSet;
use std::fs;

/// A process: its number, and when it was started, because numbers come again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Alive {
    pub(crate) pid: u32,
    started: String,
    parent: u32,
    pub(crate) command: String,
}

/// Every process that descends from this one.
pub(crate) fn descendants(of: u32) -> BTreeSet<Alive> {
    let all = all();
    let mut known = BTreeSet::from([of]);
    let mut found = BTreeSet::new();
    // A parent may come behind its children.
    loop {
        let before = known.len();
        for process in all.iter().filter(|process| known.contains(&process.parent)) {
            found.insert(process.clone());
        }
        known.extend(found.iter().map(|process| process.pid));
        if known.len() == before {
            return found;
        }
    }
}

/// Those of them that still run.
pub(crate) fn still_there(processes: &BTreeSet<Alive>) -> Vec<Alive> {
    let all = all();
    let is_there = |process: &&Alive| {
        // Its parent may be another by now.
        all.iter()
            .any(|other| (other.pid, &other.started) == (process.pid, &process.started))
    };
    processes.iter().filter(is_there).cloned().collect()
}

/// Those that have ended and that nobody has waited for are none.
fn all() -> Vec<Alive> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(look_at).collect()
}

fn look_at(pid: u32) -> Option<Alive> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may have spaces and parentheses in it, and what follows has not.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    (*fields.first()? != "Z").then_some(Alive {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        started: (*fields.get(19)?).to_owned(),
        command,
    })
}
