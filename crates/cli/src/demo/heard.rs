//! What the processes say, taken from the lines that they write.

#[cfg(test)]
mod tests;

use serde_json::Value;

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Producer,
    Member(usize),
}

/// What somebody says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A message was acknowledged, by the producer's report.
    Acknowledged(u64),
    /// A member has printed a message.
    Printed {
        partition: i32,
        offset: i64,
        number: u64,
    },
    /// A member reads these partitions now.
    Assigned(Vec<i32>),
    /// It does not any more.
    Released(Vec<i32>),
    /// Something else has happened to a member.
    Remark(String),
    /// Its process has ended.
    Ended { success: bool, how: String },
}

/// How members print messages, for `--format`.
pub(super) const FORMAT: &str = r"%p %o %s\n";

/// Events that come all the time and mean nothing here.
const ROUTINE: [&str; 4] = ["committed", "idle", "waiting", "reset"];

/// A line of a process's stdout. What nobody can have meant becomes the number 0, which is none.
pub(super) fn on_stdout(who: Who, line: &str) -> Heard {
    match who {
        Who::Producer => Heard::Acknowledged(acknowledged(line).unwrap_or(0)),
        Who::Member(_) => printed(line).unwrap_or(Heard::Printed {
            partition: -1,
            offset: -1,
            number: 0,
        }),
    }
}

fn acknowledged(line: &str) -> Option<u64> {
    let report: Value = serde_json::from_str(line).ok()?;
    report.get("value")?.as_str()?.parse().ok()
}

fn printed(line: &str) -> Option<Heard> {
    let mut fields = line.split(' ');
    let heard = Heard::Printed {
        partition: fields.next()?.parse().ok()?,
        offset: fields.next()?.parse().ok()?,
        number: fields.next()?.parse().ok()?,
    };
    fields.next().is_none().then_some(heard)
}

/// A line of a member's stderr, which `--events json` makes of events. `None` for what is only for its log.
pub(super) fn on_stderr(line: &str) -> Option<Heard> {
    let event: Value = serde_json::from_str(line).ok()?;
    let name = event.get("event")?.as_str()?;
    match name {
        "assigned" | "resumed" => Some(Heard::Assigned(partitions(&event))),
        "revoked" | "lost" | "suspended" => Some(Heard::Released(partitions(&event))),
        name if ROUTINE.contains(&name) => None,
        name => {
            let why = ["message", "why", "what", "partition"];
            let why = why.iter().find_map(|field| event.get(*field));
            Some(Heard::Remark(match why {
                Some(Value::String(why)) => format!("{name}: {why}"),
                Some(other) => format!("{name}: {other}"),
                None => name.to_owned(),
            }))
        }
    }
}

fn partitions(event: &Value) -> Vec<i32> {
    let listed = event.get("partitions").and_then(Value::as_array);
    let ids = listed.into_iter().flatten().filter_map(Value::as_i64);
    let mut ids: Vec<i32> = ids.filter_map(|id| i32::try_from(id).ok()).collect();
    ids.sort_unstable();
    ids
}
