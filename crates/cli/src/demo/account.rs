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
    /// For each number from 1 on.
    numbers: Vec<Number>,
    printed: u64,
    unknown: u64,
    kills: Vec<Kill>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Number {
    acknowledged: bool,
    printed: u32,
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
    /// Numbers that are acknowledged and that nobody has printed.
    pub(super) lost: u64,
    /// Lines with a number that was printed before.
    pub(super) duplicates: u64,
    /// Numbers that were printed although their acknowledgement never came.
    pub(super) unacknowledged: u64,
    /// Lines that are none of the numbers.
    pub(super) unknown: u64,
}

impl Account {
    /// For the numbers from 1 to `most`.
    pub(super) fn new(most: usize) -> Self {
        Self {
            numbers: vec![Number::default(); most],
            printed: 0,
            unknown: 0,
            kills: Vec::new(),
        }
    }

    pub(super) fn acknowledge(&mut self, number: u64) {
        match self.number(number) {
            Some(number) => number.acknowledged = true,
            None => self.unknown += 1,
        }
    }

    /// A member has printed a number of a partition. Gives the kills whose last takeover this was.
    pub(super) fn print(
        &mut self,
        member: usize,
        partition: i32,
        number: u64,
        at: Duration,
    ) -> Vec<usize> {
        self.printed += 1;
        match self.number(number) {
            Some(number) => number.printed = number.printed.saturating_add(1),
            None => self.unknown += 1,
        }
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
        let mut sums = Sums {
            printed: self.printed,
            unknown: self.unknown,
            ..Sums::default()
        };
        for number in &self.numbers {
            let is_printed = number.printed > 0;
            sums.produced += u64::from(number.acknowledged);
            sums.consumed += u64::from(is_printed);
            sums.lost += u64::from(number.acknowledged && !is_printed);
            sums.duplicates += u64::from(number.printed.saturating_sub(1));
            sums.unacknowledged += u64::from(is_printed && !number.acknowledged);
        }
        sums
    }

    /// Why this account is no good, if it is none.
    pub(super) fn complaint(&self) -> Option<String> {
        let sums = self.sums();
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
        let sums = self.sums();
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

    fn number(&mut self, number: u64) -> Option<&mut Number> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
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
