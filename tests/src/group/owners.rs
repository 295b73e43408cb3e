//! Who owns what in a group under test.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::rule::{is_balanced, range};
use super::{Group, Partition, Program, Rule};
use crate::{Owner, wait_some};
use anyhow::{Context as _, Result, ensure};

/// The owner nodes of every topic of a group.
pub type Owners = BTreeMap<Partition, Owner>;

impl Group<'_> {
    /// Who owns what just now.
    ///
    /// # Errors
    ///
    /// When ZooKeeper cannot be asked.
    pub fn owners(&self) -> Result<Owners> {
        let mut owners = Owners::new();
        for topic in self.topics.keys() {
            let nodes = self.view.owners(&self.name, topic)?.into_iter();
            owners.extend(nodes.map(|(partition, owner)| ((topic.clone(), partition), owner)));
        }
        Ok(owners)
    }

    /// The partitions that a member owns.
    pub fn owned_by(&self, member: usize, owners: &Owners) -> Vec<Partition> {
        let owned = owners
            .iter()
            .filter(|(_, owner)| member_of(owner) == self.members[member].id);
        owned.map(|(partition, _)| partition.clone()).collect()
    }

    /// The member that owns a partition.
    ///
    /// # Errors
    ///
    /// When it has no owner, or one that is no member.
    pub fn owner_of(&self, partition: &Partition, owners: &Owners) -> Result<usize> {
        let owner = owners
            .get(partition)
            .with_context(|| format!("nobody owns {partition:?}"))?;
        self.members
            .iter()
            .position(|member| member.id == member_of(owner))
            .with_context(|| format!("a stranger owns {partition:?}: {owner:?}"))
    }

    /// Waits until exactly the members that live are registered, and every partition is owned by whom the rule gives it to;
    /// demands that what one of divvy's members owned `before`, and still does, it owns by the same node.
    ///
    /// # Errors
    ///
    /// When that is not so `within` that time; the error shows who owns what.
    pub fn settle_from(&mut self, before: &Owners, within: Duration) -> Result<Owners> {
        let living = self.members.iter().filter(|member| member.lives);
        let living: BTreeSet<String> = living.map(|member| member.id.clone()).collect();
        let (mut ids, mut owners) = (BTreeSet::new(), Owners::new());
        let settled = wait_some(within, "every partition to have its owner", || {
            ids = self.view.ids(&self.name).ok()?.into_keys().collect();
            owners = self.owners().ok()?;
            if ids != living {
                return None;
            }
            match self.is_shared_out(&ids, &owners) {
                Ok(settled) => settled.then_some(Ok(())),
                Err(error) => Some(Err(error)),
            }
        });
        settled
            .and_then(|looked| looked)
            .with_context(|| format!("registered are {ids:#?}\n{}", show(&owners)))?;
        self.note_moves(before, &owners)?;
        Ok(owners)
    }

    /// Demands that every owner node is the one that it was.
    ///
    /// # Errors
    ///
    /// When one is not; the error shows all.
    pub fn nothing_moved_since(&self, before: &Owners) -> Result<()> {
        let now = self.owners()?;
        ensure!(
            now == *before,
            "owners were\n{}and are\n{}",
            show(before),
            show(&now)
        );
        Ok(())
    }

    fn note_moves(&mut self, before: &Owners, after: &Owners) -> Result<()> {
        for (partition, owner) in after {
            match before.get(partition) {
                Some(old) if old.text == owner.text => ensure!(
                    old.czxid == owner.czxid || self.gives_everything_up(owner),
                    "{partition:?} went from {old:?} to {owner:?}, which is no other member"
                ),
                Some(old) if member_of(old) != member_of(owner) => {
                    *self.moves.entry(partition.clone()).or_default() += 1;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether an owner is a member that gives up all its partitions whenever the group changes, as Kafka's own does.
    fn gives_everything_up(&self, owner: &Owner) -> bool {
        let mut members = self.members.iter();
        members.any(|member| {
            member.id == member_of(owner) && matches!(member.program, Program::Java(_))
        })
    }

    fn is_shared_out(&self, ids: &BTreeSet<String>, owners: &Owners) -> Result<bool> {
        let threads_of_partitions = || {
            owners
                .iter()
                .map(|(partition, owner)| (partition, &owner.text))
        };
        if let Some(judge) = &self.judge {
            let expected = judge.assignment(ids)?;
            return Ok(threads_of_partitions().eq(&expected));
        }
        let streams = |id| (0..self.streams).map(move |stream| format!("{id}-{stream}"));
        let threads: BTreeSet<String> = ids.iter().flat_map(streams).collect();
        Ok(match self.rule {
            Rule::Range => threads_of_partitions().eq(&range(&self.topics, &threads)),
            Rule::RoundRobin => is_balanced(self.topics.values().sum(), &threads, owners),
        })
    }
}

/// The id in `<id>-<thread>`.
fn member_of(owner: &Owner) -> &str {
    owner.text.rsplit_once('-').map_or("", |(id, _)| id)
}

/// The owners, a line each.
pub fn show(owners: &Owners) -> String {
    owners
        .iter()
        .map(|((topic, partition), owner)| {
            format!(
                "{topic}-{partition}: {} since {}\n",
                owner.text, owner.czxid
            )
        })
        .collect()
}
