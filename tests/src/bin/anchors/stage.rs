//! A group of two members that are at work.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use divvy_tests::group::Member;
use divvy_tests::{Cluster, CommittedWatch, Group, NumberProducer, Store, wait_for};

/// What the members have to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) partitions: i32,
    /// Messages a second, in all.
    pub(crate) rate: u32,
}

pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(90);

/// Whose members they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    /// Kafka's own high-level consumer.
    Java,
    PyKafka,
    Divvy,
}

impl Make {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Make::Java => "Java",
            Make::PyKafka => "PyKafka",
            Make::Divvy => "divvy",
        }
    }

    /// Where its members keep their offsets.
    fn store(self) -> Store {
        match self {
            Make::PyKafka => Store::Kafka,
            Make::Java | Make::Divvy => Store::ZooKeeper,
        }
    }
}

/// A message that a member has printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    pub(crate) member: usize,
    pub(crate) at: Instant,
    pub(crate) partition: u64,
    pub(crate) number: u64,
}

/// Two members, each behind a proxy of its own, who share partitions into which a producer writes.
pub(crate) struct Stage<'a> {
    pub(crate) group: Group<'a>,
    partitions: usize,
    pub(crate) committed: CommittedWatch<'a>,
    _producers: Vec<(String, NumberProducer)>,
}

impl<'a> Stage<'a> {
    pub(crate) fn set(cluster: &'a Cluster, make: Make, load: Load) -> Result<Stage<'a>> {
        let mut group = Group::new(cluster, &[load.partitions])?
            .session_timeout(SESSION_TIMEOUT)
            .arguments(&["--commit-interval", "1s"])
            .behind_proxies();
        for _ in 0..2 {
            match make {
                Make::Java => group.enter_java()?,
                Make::PyKafka => group.enter_pykafka()?,
                Make::Divvy => group.enter()?,
            };
        }
        let committed = CommittedWatch::new(
            cluster,
            make.store(),
            &group.name,
            group.topic(),
            load.partitions,
        )?;
        let producers = group.produce(load.rate)?;
        let stage = Stage {
            group,
            partitions: usize::try_from(load.partitions)?,
            committed,
            _producers: producers,
        };
        let what = format!("two members of {} to share the partitions", make.name());
        wait_for(PATIENCE, &what, || stage.is_shared()).with_context(|| {
            let said = stage.group.members.iter();
            said.map(|member| member.program.stderr().tail(10))
                .collect::<String>()
        })?;
        Ok(stage)
    }

    /// Whether each member has printed half of the partitions of late, and nothing else.
    fn is_shared(&self) -> bool {
        let deliveries = self.deliveries().unwrap_or_default();
        let late = Instant::now().checked_sub(Duration::from_secs(2));
        let Some(late) = late else { return false };
        let mut owners: Vec<(u64, usize)> = deliveries
            .iter()
            .filter(|delivery| delivery.at > late)
            .map(|delivery| (delivery.partition, delivery.member))
            .collect();
        owners.sort_unstable();
        owners.dedup();
        let of_first = owners.iter().filter(|(_, member)| *member == 0).count();
        owners.len() == self.partitions && of_first == self.partitions / 2
    }

    /// What was printed so far, in the order of arrival.
    pub(crate) fn deliveries(&self) -> Result<Vec<Delivery>> {
        let mut deliveries = Vec::new();
        for (member, Member { program, .. }) in self.group.members.iter().enumerate() {
            for line in program.stdout().lines() {
                // Where a message is from is not told by all of them; its value comes last.
                let text = line.text();
                let number = text.rsplit(' ').next().unwrap_or_default();
                let number: u64 = number
                    .parse()
                    .with_context(|| format!("member {member} printed {text:?}"))?;
                deliveries.push(Delivery {
                    member,
                    at: line.at,
                    partition: number % self.partitions as u64,
                    number,
                });
            }
        }
        deliveries.sort_by_key(|delivery| delivery.at);
        Ok(deliveries)
    }
}
