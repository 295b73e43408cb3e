//! What the members have said of each message, before they told their spouts.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use divvy_tests::Process;

#[derive(Debug, Default)]
pub(crate) struct Said {
    /// How many lines of each member were read, and how many messages it has finished.
    members: Vec<(usize, usize)>,
    /// The offsets of each partition that were finished: acknowledged, or taken as dead letters.
    finished: BTreeMap<i32, BTreeSet<i64>>,
    worked_off: BTreeSet<String>,
    dead: BTreeSet<String>,
    failed: usize,
}

impl Said {
    pub(crate) fn add_member(&mut self) {
        self.members.push((0, 0));
    }

    /// Reads on in the members' output.
    pub(crate) fn read(&mut self, members: &[Process]) -> Result<()> {
        for (member, process) in members.iter().enumerate() {
            let lines = process.stdout().since(self.members[member].0);
            self.members[member].0 += lines.len();
            for line in lines {
                let text = line.text();
                let finished = self.read_line(&text);
                let finished =
                    finished.with_context(|| format!("member {member} said {text:?}"))?;
                self.members[member].1 += usize::from(finished);
            }
        }
        Ok(())
    }

    /// Gives whether it is of a message that is finished.
    fn read_line(&mut self, text: &str) -> Result<bool> {
        let fields: Vec<&str> = text.split(' ').collect();
        let &[what, id, value] = &fields[..] else {
            // The figures that a member ends with.
            return if text.starts_with("SpoutStats") {
                Ok(false)
            } else {
                bail!("not three words")
            };
        };
        let id: divvy::MessageId = id.parse()?;
        match what {
            "ack" => self.worked_off.insert(value.to_owned()),
            "dead" => self.dead.insert(value.to_owned()),
            "fail" => {
                self.failed += 1;
                return Ok(false);
            }
            _ => bail!("an unknown word"),
        };
        let partition = self.finished.entry(id.partition()).or_default();
        partition.insert(id.offset());
        Ok(true)
    }

    /// How many messages are finished, each counted once.
    pub(crate) fn finished(&self) -> usize {
        self.finished.values().map(BTreeSet::len).sum()
    }

    /// How many messages a member has finished.
    pub(crate) fn finished_by(&self, member: usize) -> usize {
        self.members[member].1
    }

    pub(crate) fn is_finished(&self, partition: i32, offset: i64) -> bool {
        let finished = self.finished.get(&partition);
        finished.is_some_and(|finished| finished.contains(&offset))
    }

    /// The first offset of a partition that nobody has finished.
    pub(crate) fn first_unfinished(&self, partition: i32) -> i64 {
        let finished = self.finished.get(&partition).into_iter().flatten();
        let gapless = (0..).zip(finished).take_while(|(at, offset)| at == *offset);
        gapless.count().try_into().unwrap_or(i64::MAX)
    }

    /// How often a worker has failed.
    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    /// The values of the messages that were acknowledged.
    pub(crate) fn worked_off(&self) -> &BTreeSet<String> {
        &self.worked_off
    }

    /// The values of the messages that were taken as dead letters.
    pub(crate) fn dead(&self) -> &BTreeSet<String> {
        &self.dead
    }
}
