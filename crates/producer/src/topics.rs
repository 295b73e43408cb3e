use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use divvy_client::{Metadata, TopicPartition};

use crate::accumulator::{Accumulator, Slot};
use crate::error::{Error, Result};
use crate::partitioner::{Partitioner, Partitions};

/// The topics that were looked up, with what every record for them needs to know.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    known: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
}

/// A topic as the cluster's metadata had it.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    /// Its partitions in ascending order, those among them that have a leader, and the slot of each.
    all: Vec<i32>,
    available: Vec<i32>,
    slots: Vec<Slot>,
}

impl Topics {
    /// A topic, if it was looked up and exists.
    #[inline]
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(name).cloned()
    }

    /// Adds a topic, if the metadata has it.
    pub(crate) fn add(&self, name: &Arc<str>, metadata: &Metadata, accumulator: &mut Accumulator) {
        if let Some(topic) = Topic::new(name, metadata, accumulator) {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.insert(Arc::clone(name), Arc::new(topic));
        }
    }

    /// Brings all topics up to date. Those that are gone are forgotten, so that they are looked up again.
    pub(crate) fn update(&self, metadata: &Metadata, accumulator: &mut Accumulator) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(
            |name, topic| match Topic::new(name, metadata, accumulator) {
                Some(new) => {
                    *topic = Arc::new(new);
                    true
                }
                None => false,
            },
        );
    }
}

impl Topic {
    fn new(name: &Arc<str>, metadata: &Metadata, accumulator: &mut Accumulator) -> Option<Self> {
        let all = metadata.partitions(name)?;
        let on = |partition| TopicPartition {
            topic: Arc::clone(name),
            partition,
        };
        let has_leader = |partition: &i32| metadata.leader(&on(*partition)).is_some();
        let available = all.iter().copied().filter(has_leader).collect();
        let slots = all
            .iter()
            .map(|partition| accumulator.slot(&on(*partition)));
        Some(Self {
            name: Arc::clone(name),
            available,
            slots: slots.collect(),
            all,
        })
    }

    pub(crate) fn partitions(&self) -> &[i32] {
        &self.all
    }

    /// Where a record goes that names this partition, or leaves it to the partitioner.
    #[inline]
    pub(crate) fn place(
        &self,
        partition: Option<i32>,
        key: Option<&[u8]>,
        partitioner: &dyn Partitioner,
    ) -> Result<Slot> {
        if let Some(partition) = partition {
            return self.slot(partition).ok_or_else(|| {
                let tp = self.on(partition);
                divvy_client::Error::UnknownPartition { tp }.into()
            });
        }
        if key.is_none() && partitioner.needs_key() {
            return Err(Error::InvalidRecord {
                topic: self.name.to_string(),
                why: "it has no key, by which the partitioner goes".to_owned(),
            });
        }
        let partitions = Partitions::new(&self.all, &self.available);
        let chosen = partitioner.partition(&self.name, key, partitions);
        self.slot(chosen).ok_or_else(|| Error::Partitioner {
            tp: self.on(chosen),
        })
    }

    fn on(&self, partition: i32) -> TopicPartition {
        TopicPartition {
            topic: Arc::clone(&self.name),
            partition,
        }
    }

    /// Partitions are numbered from 0 on without a gap, as a rule.
    #[inline]
    fn slot(&self, partition: i32) -> Option<Slot> {
        let guess = usize::try_from(partition).ok()?;
        let at = match self.all.get(guess) {
            Some(found) if *found == partition => guess,
            _ => self.all.binary_search(&partition).ok()?,
        };
        self.slots.get(at).copied()
    }
}
