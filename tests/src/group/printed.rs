//! What the members of a group have printed, held against what was acknowledged.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::{Acknowledged, Line};
use anyhow::{Context as _, Result, ensure};

#[cfg(test)]
mod tests;

/// What `--format` makes of a message, so that [`Printed::parse`] can read it.
pub const FORMAT: &str = "%t %p %o %s\\n";

/// A topic and a partition.
pub type Partition = (String, i32);

/// A message on a member's stdout.
#[derive(Clone, Debug)]
pub struct Printed {
    /// Which member of the group, from 0.
    pub member: usize,
    /// When its line was read.
    pub at: Instant,
    /// It was written after that.
    pub since: Instant,
    /// Where the message is from.
    pub partition: Partition,
    /// Its place there.
    pub offset: i64,
    /// Its value.
    pub number: u64,
}

impl Printed {
    /// The message that a member's line shows.
    ///
    /// # Errors
    ///
    /// When the line is not as [`FORMAT`] makes it.
    pub fn parse(member: usize, line: &Line) -> Result<Printed> {
        let text = line.text();
        let fields: Vec<&str> = text.split(' ').collect();
        let [topic, partition, offset, number] = fields[..] else {
            anyhow::bail!("member {member} printed {text:?}")
        };
        let parse = || -> Result<Printed> {
            Ok(Printed {
                member,
                at: line.at,
                since: line.since,
                partition: (topic.to_owned(), partition.parse()?),
                offset: offset.parse()?,
                number: number.parse()?,
            })
        };
        parse().with_context(|| format!("member {member} printed {text:?}"))
    }
}

/// Everything that was printed, and when.
#[derive(Debug, Default)]
pub struct Output {
    /// In the order of arrival for each member.
    printed: Vec<Printed>,
    /// The number at each offset.
    numbers: BTreeMap<Partition, BTreeMap<i64, u64>>,
    /// What was printed without its place, by members of Kafka's own.
    bare: BTreeSet<u64>,
}

impl Output {
    /// Takes one more message in.
    ///
    /// # Errors
    ///
    /// When another number was printed for the same offset before.
    pub fn push(&mut self, printed: Printed) -> Result<()> {
        let numbers = self.numbers.entry(printed.partition.clone()).or_default();
        let first = *numbers.entry(printed.offset).or_insert(printed.number);
        ensure!(
            first == printed.number,
            "{first} was printed before: {printed:?}"
        );
        self.printed.push(printed);
        Ok(())
    }

    /// Takes in a line that is a message's value and nothing else.
    ///
    /// # Errors
    ///
    /// When it is no number.
    pub fn push_number(&mut self, line: &Line) -> Result<()> {
        let text = line.text();
        let number = text.parse();
        self.bare
            .insert(number.with_context(|| format!("no number: {text:?}"))?);
        Ok(())
    }

    /// Those of these messages that were not printed.
    ///
    /// # Errors
    ///
    /// When another number was printed for the offset of one.
    pub fn missing(&self, topic: &str, acknowledged: &[Acknowledged]) -> Result<Vec<Acknowledged>> {
        let mut missing = Vec::new();
        for message in acknowledged {
            let partition = (topic.to_owned(), message.partition);
            let numbers = self.numbers.get(&partition);
            match numbers.and_then(|numbers| numbers.get(&message.offset)) {
                Some(number) => ensure!(
                    *number == message.number,
                    "{number} was printed for {message:?}"
                ),
                None if self.bare.contains(&message.number) => {}
                None => missing.push(*message),
            }
        }
        Ok(missing)
    }

    /// How many messages were printed more often than once, as often as they were, by partition. Partitions without are left
    /// out.
    pub fn duplicates(&self) -> BTreeMap<Partition, usize> {
        self.numbers
            .iter()
            .map(|(partition, numbers)| {
                let printed = self.of(partition).count();
                (partition.clone(), printed - numbers.len())
            })
            .filter(|(_, duplicates)| *duplicates > 0)
            .collect()
    }

    /// Two lines of a partition that were certainly written in this order, of which the second has not the larger offset.
    pub fn disorder(&self) -> Option<[&Printed; 2]> {
        self.numbers.keys().find_map(|partition| {
            let mut last: BTreeMap<usize, &Printed> = BTreeMap::new();
            for line in self.of(partition) {
                match last.insert(line.member, line) {
                    Some(before) if before.offset >= line.offset => return Some([before, line]),
                    _ => {}
                }
            }
            let mut lines: Vec<&Printed> = self.of(partition).collect();
            lines.sort_by_key(|line| std::cmp::Reverse(line.offset));
            let mut earliest: Option<&Printed> = None;
            for line in lines {
                match earliest {
                    Some(above) if above.at < line.since => return Some([above, line]),
                    Some(above) if above.at <= line.at => {}
                    _ => earliest = Some(line),
                }
            }
            None
        })
    }

    /// How often each partition went from one member's hands to another's, in the order in which the lines may have been written
    /// that makes it the seldomest. Two members that print a partition at the same time make more of these than there were moves.
    pub fn handovers(&self) -> BTreeMap<Partition, usize> {
        let handovers = self.numbers.keys().map(|partition| {
            let lines = self.in_turns(partition);
            let pairs = lines.windows(2);
            let handovers = pairs.filter(|pair| pair[0].member != pair[1].member);
            (partition.clone(), handovers.count())
        });
        handovers.collect()
    }

    /// When a member first printed something of a partition, from a moment on.
    pub fn first_line(
        &self,
        member: usize,
        partition: &Partition,
        from: Instant,
    ) -> Option<Instant> {
        self.of(partition)
            .filter(|line| line.member == member && line.at >= from)
            .map(|line| line.at)
            .min()
    }

    /// When a member last printed something within a span of time.
    pub fn last_line(&self, member: usize, within: Range<Instant>) -> Option<Instant> {
        let lines = self.printed.iter();
        lines
            .filter(|line| line.member == member && within.contains(&line.at))
            .map(|line| line.at)
            .max()
    }

    /// The longest time that a message took from its acknowledgement to its first line, of those that were acknowledged within a
    /// span of time and printed.
    pub fn longest_way(
        &self,
        topic: &str,
        acknowledged: &[Acknowledged],
        within: &Range<Instant>,
    ) -> Option<Duration> {
        let mut times = BTreeMap::new();
        let messages = acknowledged.iter();
        messages
            .filter(|message| within.contains(&message.at))
            .filter_map(|message| {
                let of_partition = times
                    .entry(message.partition)
                    .or_insert_with(|| self.first_times(&(topic.to_owned(), message.partition)));
                let printed = of_partition.get(&message.offset)?;
                Some(printed.saturating_duration_since(message.at))
            })
            .max()
    }

    /// How many messages a member printed after a moment that others had printed by then, by partition.
    pub fn stale(&self, member: usize, from: Instant) -> BTreeMap<Partition, usize> {
        let mut by_others = BTreeMap::new();
        for line in self.printed.iter().filter(|line| line.member != member) {
            let at = by_others.entry((&line.partition, line.offset));
            let at = at.or_insert(line.at);
            *at = line.at.min(*at);
        }
        let mut stale = BTreeMap::new();
        for line in &self.printed {
            let before = by_others.get(&(&line.partition, line.offset));
            if line.member == member
                && line.at >= from
                && before.is_some_and(|before| *before < line.at)
            {
                *stale.entry(line.partition.clone()).or_default() += 1;
            }
        }
        stale
    }

    /// When each offset of a partition was first printed.
    pub fn first_times(&self, partition: &Partition) -> BTreeMap<i64, Instant> {
        let mut times = BTreeMap::new();
        for line in self.of(partition) {
            let at = times.entry(line.offset).or_insert(line.at);
            *at = line.at.min(*at);
        }
        times
    }

    /// The offsets of a partition that a member printed.
    pub fn offsets_of(&self, member: usize, partition: &Partition) -> BTreeSet<i64> {
        let lines = self.of(partition).filter(|line| line.member == member);
        lines.map(|line| line.offset).collect()
    }

    /// How many messages were printed, duplicates included (but not those of Kafka's own members among themselves).
    pub fn len(&self) -> usize {
        self.printed.len() + self.bare.len()
    }

    /// Whether nothing was printed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything that was printed with its place, each member's in the order of arrival.
    pub fn printed(&self) -> &[Printed] {
        &self.printed
    }

    /// The lines of a partition in an order in which they may have been written: each member goes on for as long as no line of
    /// another's is certainly older.
    fn in_turns(&self, partition: &Partition) -> Vec<&Printed> {
        let mut left: BTreeMap<usize, VecDeque<&Printed>> = BTreeMap::new();
        for line in self.of(partition) {
            left.entry(line.member).or_default().push_back(line);
        }
        let mut turns: Vec<&Printed> = Vec::new();
        loop {
            let heads = left.values().filter_map(VecDeque::front).copied();
            let Some(first) = heads.min_by_key(|line| line.at) else {
                return turns;
            };
            let goes_on = turns.last().and_then(|last| left[&last.member].front());
            let next = goes_on.filter(|line| line.since <= first.at);
            let next = *next.unwrap_or(&first);
            turns.push(next);
            if let Some(lines) = left.get_mut(&next.member) {
                lines.pop_front();
            }
        }
    }

    fn of(&self, partition: &Partition) -> impl Iterator<Item = &Printed> {
        self.printed
            .iter()
            .filter(move |line| line.partition == *partition)
    }
}
