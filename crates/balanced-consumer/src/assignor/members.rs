use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::AssignError;

/// The most threads that may share one topic.
///
/// A registration is written by others and can claim any number of streams; this bounds what computing an assignment costs.
/// Kafka has no such limit, but threads beyond the number of partitions get nothing anyway.
pub const MAX_THREADS: u64 = 65_536;

/// One stream of one member, the unit that partitions are assigned to: Kafka's `ConsumerThreadId`.
///
/// Its text `<consumer id>-<thread>` is what owner nodes hold. Threads order by that whole text as Java's `String.compareTo` orders
/// it (by UTF-16 units), so `c-10` comes before `c-2`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConsumerThreadId {
    /// The member's id, the name of its node below `ids`.
    pub consumer_id: Arc<str>,
    /// The number of the stream within the member, from 0.
    pub thread: u32,
}

impl ConsumerThreadId {
    /// Names a stream of a member.
    pub fn new(consumer_id: impl Into<Arc<str>>, thread: u32) -> Self {
        Self {
            consumer_id: consumer_id.into(),
            thread,
        }
    }

    /// What Java compares.
    fn utf16(&self) -> Vec<u16> {
        self.to_string().encode_utf16().collect()
    }
}

impl fmt::Display for ConsumerThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.consumer_id, self.thread)
    }
}

impl Ord for ConsumerThreadId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.utf16().cmp(&other.utf16())
    }
}

impl PartialOrd for ConsumerThreadId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What one member subscribes: topic to number of streams.
///
/// White and black lists are already evaluated: these are the topics that they matched.
pub type Subscription = BTreeMap<Arc<str>, u32>;

/// Every member of a group with what it subscribes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMembers(BTreeMap<Arc<str>, Subscription>);

impl GroupMembers {
    /// A group without members.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member, or replaces what it subscribes.
    pub fn insert(&mut self, consumer_id: impl Into<Arc<str>>, subscription: Subscription) {
        self.0.insert(consumer_id.into(), subscription);
    }

    /// What a member subscribes, if it is one.
    pub fn get(&self, consumer_id: &str) -> Option<&Subscription> {
        self.0.get(consumer_id)
    }

    /// The members in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Subscription)> {
        self.0.iter()
    }

    /// The member that wrote the text of an owner node, with the thread that it names, if it names one.
    pub(crate) fn owner(&self, text: &str) -> Option<(Arc<str>, Option<ConsumerThreadId>)> {
        let member = |id: &str| self.0.get_key_value(id).map(|(id, _)| Arc::clone(id));
        if let Some((id, thread)) = text.rsplit_once('-')
            && let (Some(id), Ok(thread)) = (member(id), thread.parse())
        {
            let thread = ConsumerThreadId::new(Arc::clone(&id), thread);
            return Some((id, Some(thread)));
        }
        Some((member(text)?, None))
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every topic that some member subscribes with at least one stream.
    pub fn topics(&self) -> BTreeSet<Arc<str>> {
        self.0
            .values()
            .flatten()
            .filter(|(_, streams)| **streams > 0)
            .map(|(topic, _)| topic.clone())
            .collect()
    }

    /// The threads that share a topic, in Java's order.
    ///
    /// # Errors
    ///
    /// [`AssignError::TooManyThreads`] if they are more than [`MAX_THREADS`].
    pub fn threads(&self, topic: &str) -> Result<Vec<ConsumerThreadId>, AssignError> {
        let streams = |subscription: &Subscription| subscription.get(topic).copied().unwrap_or(0);
        let threads = self.0.values().map(|s| u64::from(streams(s))).sum();
        if threads > MAX_THREADS {
            return Err(AssignError::TooManyThreads {
                topic: topic.into(),
                threads,
            });
        }
        let mut threads: Vec<_> = self
            .0
            .iter()
            .flat_map(|(id, s)| (0..streams(s)).map(|n| ConsumerThreadId::new(id.clone(), n)))
            .collect();
        threads.sort_by_cached_key(ConsumerThreadId::utf16);
        Ok(threads)
    }
}

impl<Id: Into<Arc<str>>> FromIterator<(Id, Subscription)> for GroupMembers {
    fn from_iter<I: IntoIterator<Item = (Id, Subscription)>>(members: I) -> Self {
        Self(members.into_iter().map(|(id, s)| (id.into(), s)).collect())
    }
}
