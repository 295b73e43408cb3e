//! Waiting for what a group under test prints.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Group, PATIENCE, Partition, Printed, Program};
use crate::{Acknowledged, NumberProducer, wait_some};
use anyhow::{Result, bail, ensure};

impl Group<'_> {
    /// Takes in what was printed since the last time.
    ///
    /// # Errors
    ///
    /// When it is not what a member prints.
    pub fn collect(&mut self) -> Result<()> {
        for (number, member) in self.members.iter_mut().enumerate() {
            let lines = member.program.stdout().since(member.read);
            member.read += lines.len();
            for line in lines {
                match &member.program {
                    // Its formatters are not told where a message comes from.
                    Program::Java(_) => self.output.push_number(&line)?,
                    _ => self.output.push(Printed::parse(number, &line)?)?,
                }
            }
        }
        Ok(())
    }

    /// Waits until the members have printed that many messages more.
    ///
    /// # Errors
    ///
    /// When they do not.
    pub fn wait_for_lines(&mut self, count: usize) -> Result<()> {
        self.collect()?;
        let enough = self.output.len() + count;
        let what = format!("{count} more messages to be printed");
        wait_some(
            PATIENCE.max(Duration::from_millis(2 * count as u64)),
            &what,
            || match self.collect() {
                Ok(()) => (self.output.len() >= enough).then_some(Ok(())),
                Err(error) => Some(Err(error)),
            },
        )?
    }

    /// Waits until a member prints something of a partition, and gives when it first did so, from a moment on.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn wait_for_line_of(
        &mut self,
        member: usize,
        partition: &Partition,
        from: Instant,
    ) -> Result<Instant> {
        let what = format!("member {member} to print {partition:?}");
        wait_some(PATIENCE, &what, || match self.collect() {
            Ok(()) => self.output.first_line(member, partition, from).map(Ok),
            Err(error) => Some(Err(error)),
        })?
    }

    /// Stops the producers, and waits until everything that was acknowledged was printed by some member.
    ///
    /// # Errors
    ///
    /// When something is lost; the error says how much.
    pub fn nothing_is_lost(&mut self, producers: Vec<(String, NumberProducer)>) -> Result<()> {
        for (topic, producer) in producers {
            self.wait_until_printed(&topic, &producer.stop()?)?;
        }
        Ok(())
    }

    /// Waits until everything that was acknowledged of a topic was printed by some member.
    ///
    /// # Errors
    ///
    /// When something is lost; the error says how much.
    pub fn wait_until_printed(&mut self, topic: &str, acknowledged: &[Acknowledged]) -> Result<()> {
        ensure!(!acknowledged.is_empty(), "nothing was acknowledged");
        let mut missing = acknowledged.to_vec();
        let printed = wait_some(PATIENCE, "every message to be printed", || {
            let looked = self
                .collect()
                .and_then(|()| self.output.missing(topic, &missing));
            match looked {
                Ok(still) => {
                    missing = still;
                    missing.is_empty().then_some(Ok(()))
                }
                Err(error) => Some(Err(error)),
            }
        });
        match printed {
            Ok(printed) => printed,
            Err(error) => bail!(
                "{error}; {} of {} were lost, first {:?}",
                missing.len(),
                acknowledged.len(),
                missing.first()
            ),
        }
    }

    /// Demands that no message was printed twice, and each partition in order, by one member at a time.
    ///
    /// # Errors
    ///
    /// When it was otherwise; the error shows where.
    pub fn printed_once_and_in_order(&self) -> Result<()> {
        let duplicates = self.output.duplicates();
        ensure!(duplicates.is_empty(), "printed twice: {duplicates:?}");
        if let Some([line, next]) = self.output.disorder() {
            bail!("after {line:?} came {next:?}");
        }
        self.printed_by_one_at_a_time()
    }

    /// Demands that no partition was printed by two members at once: it changed hands in the output no more often than its
    /// owner did in ZooKeeper.
    ///
    /// # Errors
    ///
    /// When it did; the error says how often.
    pub fn printed_by_one_at_a_time(&self) -> Result<()> {
        for (partition, handovers) in self.output.handovers() {
            let moves = self.moves.get(&partition).copied().unwrap_or_default();
            ensure!(
                handovers <= moves,
                "{partition:?} moved {moves} times and was printed in {handovers} turns"
            );
        }
        Ok(())
    }

    /// Demands the same of a group that was not looked at each time that it changed: a partition changed hands in the output no
    /// more often than members of divvy's said that it was assigned to them.
    ///
    /// # Errors
    ///
    /// When it did; the error says how often.
    pub fn printed_as_assigned(&self) -> Result<()> {
        let mut assigned: BTreeMap<Partition, usize> = BTreeMap::new();
        for member in &self.members {
            if let Program::Divvy(divvy) = &member.program {
                for event in divvy.events_named("assigned") {
                    let topic = event.fields["topic"].as_str().unwrap_or(self.topic());
                    for partition in event.partitions() {
                        let times = assigned.entry((topic.to_owned(), partition));
                        *times.or_default() += 1;
                    }
                }
            }
        }
        for (partition, handovers) in self.output.handovers() {
            let times = assigned.get(&partition).copied().unwrap_or_default();
            ensure!(
                handovers < times,
                "{partition:?} was assigned {times} times and printed in {} turns",
                handovers + 1
            );
        }
        Ok(())
    }
}
