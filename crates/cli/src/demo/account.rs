//! What was produced, and what became of it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::names;

/// Counts what the brokers have acknowledged and what the members have printed, number by number.
///
/// Numbers are counted and not places, so that a message that is stored twice counts as a duplicate as well.
#[derive(Debug)]
pub(super) struct Account {
    /// For each number from 1 on, as far as they have come.
    numbers: Vec<Number>,
    /// How many there may be.
    most: usize,
    sums: Sums,
    kills: Vec<Kill>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Number {
    acknowledged: bool,
    printed: bool,
}

/// A member that was killed, and who went on in its place.
#[derive(Debug)]
pub(super) struct Kill {
    pub(super) member: usize,
    pub(super) at: Duration,
    /// The partitions that it owned; with how long it took until another member printed something of them.
    pub(super) takeovers: BTreeMap<i32, Option<Duration>>,
}

/// The sums of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Numbers that the brokers have acknowledged.
    pub(super) produced: u64,
    /// Lines that members have printed.
    pub(super) printed: u64,
    /// Different numbers that they have printed.
    pub(super) consumed: u64,
    /// Numbers that are acknowledged and that nobody has printed; before the end, not yet.
    pub(super) lost: u64,
    /// Lines with a number that was printed before.
    pub(super) duplicates: u64,
    /// Numbers that were printed although their acknowledgement never came; before the end, not yet.
    pub(super) unacknowledged: u64,
    /// Lines that are none of the numbers.
    pub(super) unknown: u64,
}

impl Account {
    /// For the numbers from 1 to `most`.
    pub(super) fn new(most: usize) -> Self {
        Self {
            numbers: Vec::new(),
            most,
            sums: Sums::default(),
            kills: Vec::new(),
        }
    }

    pub(super) fn acknowledge(&mut self, number: u64) {
        let Some(known) = self.number(number) else {
            self.sums.unknown += 1;
            return;
        };
        let before = std::mem::replace(&mut known.acknowledged, true);
        let printed = known.printed;
        match (before, printed) {
            (true, _) => return,
            (false, true) => self.sums.unacknowledged -= 1,
            (false, false) => self.sums.lost += 1,
        }
        self.sums.produced += 1;
    }

    /// A member has printed a number of a partition. Gives the kills whose last takeover this was.
    pub(super) fn print(
        &mut self,
        member: usize,
        partition: i32,
        number: u64,
        at: Duration,
    ) -> Vec<usize> {
        self.count_line(number);
        let mut over = Vec::new();
        for (index, kill) in self.kills.iter_mut().enumerate() {
            if kill.member != member
                && let Some(taken @ None) = kill.takeovers.get_mut(&partition)
            {
                *taken = Some(at.saturating_sub(kill.at));
                if kill.is_over() {
                    over.push(index);
                }
            }
        }
        over
    }

    /// A member was killed that owned these partitions.
    pub(super) fn kill(&mut self, member: usize, partitions: Vec<i32>, at: Duration) {
        let takeovers = partitions.into_iter().map(|partition| (partition, None));
        self.kills.push(Kill {
            member,
            at,
            takeovers: takeovers.collect(),
        });
    }

    pub(super) fn kills(&self) -> &[Kill] {
        &self.kills
    }

    pub(super) fn sums(&self) -> Sums {
        self.sums
    }

    /// Why this account is no good, if it is none.
    pub(super) fn complaint(&self) -> Option<String> {
        let sums = self.sums;
        let unread = |kill: &Kill| kill.takeovers.values().any(Option::is_none);
        Some(match sums {
            Sums { lost: 1.., .. } => format!("{} message(s) were lost", sums.lost),
            Sums { unknown: 1.., .. } => {
                format!("{} line(s) are no message that was written", sums.unknown)
            }
            Sums { produced: 0, .. } => "nothing was produced".to_owned(),
            _ if self.kills.iter().any(unread) => {
                "a partition was not taken over after its owner was killed".to_owned()
            }
            _ => return None,
        })
    }

    /// The account for scripts.
    pub(super) fn json(&self) -> Value {
        let sums = self.sums;
        let all = self.takeovers();
        let kills: Vec<Value> = self.kills.iter().map(Kill::json).collect();
        json!({
            "produced": sums.produced,
            "printed": sums.printed,
            "consumed": sums.consumed,
            "lost": sums.lost,
            "duplicates": sums.duplicates,
            "unacknowledged": sums.unacknowledged,
            "unknown": sums.unknown,
            "kills": kills,
            "takeover_median_ms": millis(median(&all)),
            "takeover_worst_ms": millis(all.last().copied()),
        })
    }

    /// How long each takeover took, the shortest first.
    pub(super) fn takeovers(&self) -> Vec<Duration> {
        let all = self.kills.iter().flat_map(|kill| kill.takeovers.values());
        let mut all: Vec<Duration> = all.filter_map(|taken| *taken).collect();
        all.sort_unstable();
        all
    }

    fn count_line(&mut self, number: u64) {
        self.sums.printed += 1;
        let Some(known) = self.number(number) else {
            self.sums.unknown += 1;
            return;
        };
        let before = std::mem::replace(&mut known.printed, true);
        let acknowledged = known.acknowledged;
        match (before, acknowledged) {
            (true, _) => {
                self.sums.duplicates += 1;
                return;
            }
            (false, true) => self.sums.lost -= 1,
            (false, false) => self.sums.unacknowledged += 1,
        }
        self.sums.consumed += 1;
    }

    fn number(&mut self, number: u64) -> Option<&mut Number> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        if index >= self.most {
            return None;
        }
        if index >= self.numbers.len() {
            self.numbers.resize(index + 1, Number::default());
        }
        self.numbers.get_mut(index)
    }
}

impl Kill {
    /// How long its takeovers took, the shortest first.
    pub(super) fn times(&self) -> Vec<Duration> {
        let mut times: Vec<Duration> = self.takeovers.values().filter_map(|taken| *taken).collect();
        times.sort_unstable();
        times
    }

    pub(super) fn is_over(&self) -> bool {
        self.takeovers.values().all(Option::is_some)
    }

    fn json(&self) -> Value {
        let times = self.times();
        let partitions: BTreeMap<String, Value> = self
            .takeovers
            .iter()
            .map(|(partition, taken)| (partition.to_string(), millis(*taken)))
            .collect();
        json!({
            "member": names::member(self.member),
            "at_ms": millis(Some(self.at)),
            "takeover_ms": partitions,
            "median_ms": millis(median(&times)),
            "worst_ms": millis(times.last().copied()),
        })
    }
}

/// The middle of times in their order, or between the two in the middle.
pub(super) fn median(sorted: &[Duration]) -> Option<Duration> {
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some((*lower + *upper) / 2)
}

fn millis(time: Option<Duration>) -> Value {
    match time {
        Some(time) => json!((time.as_secs_f64() * 1e4).round() / 10.0),
        None => Value::Null,
    }
}
